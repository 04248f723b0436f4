"""The list of jobs: visibility, filters and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState
from lxc_dashboard.db.repositories.leases import Place
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs.listing import Wanted, page_of, pulse, pulse_of
from tests.integration.creation.conftest import content_of, spec_of, store
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.jobs.listing import JobPage
    from tests.integration.creation.conftest import Lab

OWNER = "test:1"


async def add(
    rt: Runtime, session: Session, vmid: int, state: JobState, *, node: str = "pve1", revision: UUID | None = None
) -> UUID:
    """Store a job of the session's user in this state. No worker runs it."""
    spec = spec_of(revision, node=node)
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid, node=node, hostname=f"host-{vmid}")
        )
        row = Job.about(
            container,
            CREATE_KIND,
            step="creating",
            revision_id=revision,
            userid=session.userid,
            params=spec.to_json(),
        )
        await tx.jobs.add(row)
        if state is not JobState.QUEUED:
            await tx.leases.acquire(row.id, OWNER, 60)
        if state in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}:
            await tx.jobs.finish(row.id, OWNER, state)
        return row.id


async def names(rt: Runtime, session: Session, wanted: Wanted, **where: int) -> list[str]:
    found: JobPage = await page_of(rt, session, wanted, **{"limit": 50, **where})
    return [job.name for job in found.jobs]


async def test_filters_by_state_node_template_user_and_text(lab: Lab) -> None:
    revision = await store(lab.rt, content_of(("10-a.sh", "true")))
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await add(lab.rt, lab.session, 201, JobState.DONE)
    await add(lab.rt, lab.session, 202, JobState.FAILED, node="pve2")
    await add(lab.rt, lab.session, 203, JobState.QUEUED, revision=revision)
    await add(lab.rt, operator, 204, JobState.RUNNING)

    found = await page_of(lab.rt, operator, Wanted(), limit=50)
    template = found.jobs[0].template
    assert [job.name for job in found.jobs] == ["host-204"]

    whole = await page_of(lab.rt, lab.session, Wanted(), limit=50)
    assert [job.name for job in whole.jobs] == ["host-203", "host-202", "host-201"]
    assert (whole.choices.nodes, len(whole.choices.templates), template) == (("pve1", "pve2"), 1, "")
    wanted = {
        "state": (Wanted(states=(JobState.DONE, JobState.FAILED)), ["host-202", "host-201"]),
        "node": (Wanted(node="pve2"), ["host-202"]),
        "template": (Wanted(template=whole.choices.templates[0]), ["host-203"]),
        "name": (Wanted(text="HOST-20"), ["host-203", "host-202", "host-201"]),
        "vmid": (Wanted(text="201"), ["host-201"]),
        "two words": (Wanted(text="host root@pam 202"), ["host-202"]),
        "of the template": (Wanted(text="probe-"), ["host-203"]),
        "as it is written": (Wanted(text="%"), []),
        "none": (Wanted(node="pve1", states=(JobState.FAILED,)), []),
    }
    for what, (each, expected) in wanted.items():
        assert await names(lab.rt, lab.session, each) == expected, what


async def test_others_jobs_are_listed_where_pve_shows_their_container(lab: Lab) -> None:
    job = await lab.finish(await lab.request(None))
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await add(lab.rt, lab.session, 9321, JobState.RUNNING)  # not in PVE, so only its own user sees it
    await add(lab.rt, operator, 9322, JobState.RUNNING)
    assert await names(lab.rt, operator, Wanted()) == ["host-9322", job.name]
    assert await names(lab.rt, operator, Wanted(userid="operator@pve")) == ["host-9322"]
    assert [view.id for view in await service.list_jobs(lab.rt, operator, unfinished=True)] != []


@pytest.mark.full
async def test_thousands_are_read_a_page_at_a_time_newest_first(lab: Lab) -> None:
    for number in range(120):
        await add(lab.rt, lab.session, 3000 + number, JobState.DONE)
    first = await page_of(lab.rt, lab.session, Wanted(), limit=50)
    assert (first.total, len(first.jobs), first.jobs[0].name) == (120, 50, "host-3119")
    last = await page_of(lab.rt, lab.session, Wanted(), limit=50, offset=100)
    assert [job.name for job in last.jobs] == [f"host-{vmid}" for vmid in range(3019, 2999, -1)]
    assert (await page_of(lab.rt, lab.session, Wanted(), limit=50, offset=150)).jobs == ()


async def test_queued_jobs_say_their_place_in_the_line(lab: Lab) -> None:
    ids = [await add(lab.rt, lab.session, 400 + number, JobState.QUEUED) for number in range(3)]
    found = await page_of(lab.rt, lab.session, Wanted(), limit=50)
    lines = [(job.name, job.place and job.place.ahead) for job in found.jobs]
    assert lines == [("host-402", 2), ("host-401", 1), ("host-400", 0)]
    async with lab.rt.db.transaction() as tx:
        await tx.leases.acquire(ids[0], OWNER, 60)
    places = [(await service.get_job(lab.rt, lab.session, id_)).place for id_ in ids]
    assert places == [None, Place(0), Place(1)]


async def test_the_pulse_tells_what_runs_before_what_is_new(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    running = await add(lab.rt, lab.session, 500, JobState.RUNNING)
    for number in range(5):
        await add(lab.rt, lab.session, 501 + number, JobState.DONE)
    monkeypatch.setattr("lxc_dashboard.services.jobs.listing.NEWEST", 2)
    found = await pulse(lab.rt, lab.session.endpoint_id)
    assert found[0].id == running
    assert len(found) == 2
    assert [job.state for job in await pulse_of(lab.rt, lab.session.endpoint_id, [running])] == [JobState.RUNNING]


async def test_ones_own_jobs_are_listed_while_pve_is_away(lab: Lab) -> None:
    await add(lab.rt, lab.session, 601, JobState.DONE)
    lab.sandbox.drop(1.0)
    assert await names(lab.rt, lab.session, Wanted()) == ["host-601"]
