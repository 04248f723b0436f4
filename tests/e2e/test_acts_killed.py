"""Web server and worker are killed while PVE shuts a container down: the task goes on and its job ends correctly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard.db.models import AuditEntry, Job
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from tests.e2e.conftest import until
from tests.e2e.job_runs import in_services
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.stack import Stack, answers
from tests.e2e.test_containers import row

pytestmark = pytest.mark.full

ENDPOINT = "acts-killed"
VMID = 101
SHUTDOWN_S = 30
BEGUN_WITHIN_MS = 30_000
ENDED_WITHIN_MS = 90_000
GONE_WITHIN_MS = 10_000


@pytest.fixture
def slow(stack: Stack, tmp_path: Path) -> Iterator[OtherNode]:
    """A PVE whose container needs ``SHUTDOWN_S`` to shut down."""

    def slow_down(node: Any) -> None:
        node.api.time_scale = 1.0
        node.api.ct(VMID).shutdown_secs = SHUTDOWN_S

    with other_node(stack, tmp_path, ENDPOINT, containers=1, nodes=1) as endpoint:
        endpoint.let(slow_down)
        yield endpoint


def tasks(endpoint: OtherNode) -> list[dict[str, Any]]:
    return [task for task in endpoint.node.api.tasks.values() if task["type"] == "vzshutdown"]


def begun_job(stack: Stack, page: Page) -> UUID:
    async def read(rt: Runtime, session: Session) -> UUID:
        async with rt.db.transaction() as tx:
            job = await tx.jobs.locking(session.endpoint_id, VMID)
        assert job is not None
        return job.id

    return in_services(stack, page, read)


def job_and_audit(stack: Stack, page: Page, job_id: UUID) -> tuple[Job, Sequence[AuditEntry]]:
    async def read(rt: Runtime, _: Session) -> tuple[Job, Sequence[AuditEntry]]:
        async with rt.db.transaction() as tx:
            return await tx.jobs.get(job_id), await tx.audit.list(endpoint_name=ENDPOINT)

    return in_services(stack, page, read)


def test_a_shutdown_outlives_web_server_and_worker_and_its_job_is_adopted(
    fresh_page: Page, stack: Stack, slow: OtherNode
) -> None:
    page = fresh_page
    sign_in_at(page, ENDPOINT)
    row(page, VMID).get_by_role("button", name=re.compile("^Shut down ")).click()
    page.get_by_role("dialog").get_by_role("button", name="Shut down").click()
    until(page, lambda: bool(tasks(slow)), "no shutdown is begun", BEGUN_WITHIN_MS)
    job_id = begun_job(stack, page)

    stack.children["web"].kill()
    stack.worker.kill()
    until(page, lambda: not answers(f"{stack.url}/api/live"), "somebody goes on answering", GONE_WITHIN_MS)
    assert [task["status"] for task in tasks(slow)] == ["running"]
    stack.start_worker()
    stack.start_web(stack.port)

    expect(row(page, VMID)).to_have_attribute("data-status", "stopped", timeout=ENDED_WITHIN_MS)
    until(page, lambda: job_and_audit(stack, page, job_id)[0].state == "done", "the job has no end", ENDED_WITHIN_MS)
    job, entries = job_and_audit(stack, page, job_id)
    (task,) = tasks(slow)
    assert (task["exitstatus"], job.attempt) == ("OK", 2)
    assert task["endtime"] - task["starttime"] >= SHUTDOWN_S
    told = [(entry.action, entry.result) for entry in entries if entry.action.startswith("container.")]
    assert told == [("container.shutdown.done", "ok"), ("container.shutdown", "ok")]
