"""Jobs that a user sees by the rows of their feed, without a request to PVE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.services.monitor.rows import Row
from tests.integration.creation.test_listing import add
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab


def row(job: UUID | str, name: str, lifecycle: str = "creating") -> Row:
    return Row(0, name, job=str(job), lifecycle=lifecycle)


async def test_one_sees_ones_own_running_jobs_and_those_of_containers_in_the_feed(lab: Lab) -> None:
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    mine = await add(lab.rt, operator, 501, JobState.RUNNING)
    shown = await add(lab.rt, lab.session, 502, JobState.RUNNING)
    await add(lab.rt, lab.session, 503, JobState.RUNNING)
    queued = await add(lab.rt, lab.session, 504, JobState.QUEUED)
    ended = await add(lab.rt, lab.session, 505, JobState.DONE)
    rows = {502: row(shown, "host-502"), 504: row(queued, "host-504"), 505: row(ended, "host-505"), 101: row("", "x")}
    asked = len(lab.sandbox.api.requests)
    assert [job.id for job in await listing.running(lab.rt, operator, rows)] == [shown, mine]
    assert [job.own for job in await listing.running(lab.rt, operator, rows)] == [False, True]
    assert len(lab.sandbox.api.requests) == asked


async def test_a_container_that_was_given_the_vmid_of_a_job_shows_no_job(lab: Lab) -> None:
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await add(lab.rt, lab.session, 511, JobState.RUNNING)
    assert await listing.running(lab.rt, operator, {511: row("", "somebody-elses", "")}) == ()


async def test_jobs_are_found_by_host_name_alone(lab: Lab) -> None:
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    mine = await add(lab.rt, operator, 521, JobState.FAILED)
    shown = await add(lab.rt, lab.session, 522, JobState.DONE)
    await add(lab.rt, lab.session, 523, JobState.DONE)
    rows = {522: row(shown, "host-522", "done")}
    assert [job.id for job in await listing.named(lab.rt, operator, rows, "HOST 52", 8)] == [shown, mine]
    assert [job.id for job in await listing.named(lab.rt, operator, rows, "host 52", 1)] == [shown]
    assert await listing.named(lab.rt, operator, rows, "operator@pve", 8) == ()
    assert await listing.named(lab.rt, operator, rows, "host-523", 8) == ()
