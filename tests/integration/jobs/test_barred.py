"""What the pages of acts offer to a user without the privileges for the act."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import Job, JobState, new_id
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.state import guard
from lxc_dashboard.state.containers.console import ConsoleState
from lxc_dashboard.state.jobs import job
from pve_sandbox.node import SandboxNode
from tests.integration.jobs.test_visibility import grant_only
from tests.integration.monitor.conftest import SignIn
from tests.unit.state.test_page_states import finished, state_of

RUNS = 101
OWNER = "test:1"
NEEDED = "VM.PowerMgmt"


async def opened(rt: Runtime, session: Session, state_class: Any, address: str) -> Any:
    """Load a page as the user and return its state."""
    process: Any = SimpleNamespace(runtime=rt)
    token = guard._CALLER.set(guard.Caller(process, session))
    try:
        state = state_of(state_class, address)
        await finished(state_class.event_handlers["load"].fn(state))
        return state
    finally:
        guard._CALLER.reset(token)


async def failed_act(rt: Runtime, session: Session) -> UUID:
    row = Job(
        id=new_id(),
        kind=Power.STOP.act.name,
        endpoint_id=session.endpoint_id,
        vmid=RUNS,
        node="pve1",
        userid=session.userid,
    )
    async with rt.db.transaction() as tx:
        await tx.jobs.add(row)
        assert await tx.leases.acquire(row.id, OWNER, 60)
        await tx.jobs.finish(row.id, OWNER, JobState.FAILED)
    return row.id


async def test_the_page_of_a_failed_act_names_the_privilege_that_a_retry_needs(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    shown = {}
    for userid in ("operator@pve", "viewer@pve"):
        session = await sign_in(rt, userid)
        job_id = await failed_act(rt, session)
        shown[userid] = await opened(rt, session, job.JobState, f"{routes.job(job_id)}?job_id={job_id}")
    assert [(state.may_retry, state.retry_label) for state in shown.values()] == [(True, text.RETRY)] * 2
    assert shown["operator@pve"].barred == ""
    assert shown["viewer@pve"].barred == text.MISSING_PRIVILEGE.format(privilege=NEEDED, path=f"/vms/{RUNS}")


@pytest.mark.parametrize(("privileges", "is_barred"), [((NEEDED,), False), ((), True)])
async def test_the_console_of_a_stopped_guest_names_the_privilege_that_its_start_needs(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn, privileges: tuple[str, ...], is_barred: bool
) -> None:
    guests = await (await acting.client(rt, await sign_in(rt, "root@pam"))).cluster.resources("vm")
    stopped = next(guest.vmid for guest in guests if guest.type == "lxc" and guest.status == "stopped")
    grant_only(sandbox, "viewer@pve", f"/vms/{stopped}", "VM.Audit", "VM.Console", *privileges)
    address = f"{routes.console(stopped)}?vmid={stopped}"
    state = await opened(rt, await sign_in(rt, "viewer@pve"), ConsoleState, address)
    assert (state.vmid, state.url) == (stopped, "")
    expected = text.MISSING_PRIVILEGE.format(privilege=NEEDED, path=f"/vms/{stopped}") if is_barred else ""
    assert state.barred == expected
