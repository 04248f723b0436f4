"""A job's row: its events are numbered; it is cancelled and finished once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import CREATE_KIND, Container, EventType, Job, JobState, Phase, new_id, now
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.errors import ConflictError, NotFoundError
from tests.integration.db.runs import hold


def log(message: str, lines: int = 1) -> NewEvent:
    return NewEvent(EventType.LOG, Phase.SYNCING, 70, message, lines=lines, script="20-nginx.sh")


async def test_a_new_run_is_queued_and_stamped(database: DatabaseService, creation: Job) -> None:
    assert (creation.state, creation.step, creation.percent, creation.attempt) == ("queued", "creating", 0, 0)
    assert creation.enqueued_at is not None
    assert creation.params == {"cores": 2}


async def test_a_host_whose_clock_is_wrong_puts_no_run_before_or_behind_others(
    database: DatabaseService, creation: Job
) -> None:
    runs = [creation]
    for vmid, off_by in ((102, timedelta(minutes=-10)), (103, timedelta(minutes=10)), (104, timedelta())):
        async with database.transaction() as tx:
            guest = Container(endpoint_id=creation.endpoint_id, vmid=vmid, node="pve1", hostname=f"ct-{vmid}")
            await tx.containers.reserve(guest)
            at = now() + off_by
            asked = Job.about(guest, CREATE_KIND, step="creating", userid="root@pam", created_at=at)
            runs.append(await tx.jobs.add(asked))
    async with database.transaction() as tx:
        places = await tx.slots.places(creation.endpoint_id)
        listed = await tx.jobs.list(creation.endpoint_id)
    assert [places[run.id].ahead for run in runs] == [0, 1, 2, 3]
    assert [run.id for run in listed] == [run.id for run in reversed(runs)]


async def test_runs_are_listed_newest_first_by_state_user_and_container(
    database: DatabaseService, creation: Job
) -> None:
    async with database.transaction() as tx:
        guest = Container(endpoint_id=creation.endpoint_id, vmid=102, node="pve1", hostname="b")
        await tx.containers.reserve(guest)
        second = Job.about(guest, CREATE_KIND, step="creating", userid="eve@pve")
        await tx.jobs.add(second)
    await hold(database, creation)
    async with database.transaction() as tx:
        listed = tx.jobs.list
        assert [row.id for row in await listed(creation.endpoint_id)] == [second.id, creation.id]
        assert [row.id for row in await listed(creation.endpoint_id, states=[JobState.RUNNING])] == [creation.id]
        assert [row.id for row in await listed(creation.endpoint_id, userid="eve@pve")] == [second.id]
        assert [row.id for row in await listed(creation.endpoint_id, container_id=guest.id)] == [second.id]
        assert len(await listed(creation.endpoint_id, limit=1)) == 1
        assert await listed(new_id()) == []


async def test_a_checkpoint_replaces_the_last_one(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        for checkpoint, phase, percent in (
            ({"done": ["x"]}, Phase.CREATING, 5),
            ({"upid": {"start": "UPID:\0"}}, Phase.STARTING, 20),
        ):
            event = NewEvent(EventType.STEP, phase, percent, "a step")
            await tx.events.append(creation.id, "a", [event], checkpoint=checkpoint)
        found = await tx.jobs.get(creation.id)
    assert found.checkpoint == {"upid": {"start": "UPID:\N{REPLACEMENT CHARACTER}"}}
    assert (found.step, found.percent) == ("starting", 20)


async def test_events_are_numbered_by_line(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        assert await tx.events.last_seq(creation.id) == 0
        first = await tx.events.append(creation.id, "a", [log("1"), log("2\n3\n4", 3), log("5")])
    async with database.transaction() as tx:
        second = await tx.events.append(creation.id, "a", [log("6\0")], checkpoint={"offset": {"s": 9}})
        found = await tx.jobs.get(creation.id)
        assert await tx.events.last_seq(creation.id) == 6
    assert [row.seq for row in (*first, *second)] == [1, 2, 5, 6]
    assert second[0].message == "6\N{REPLACEMENT CHARACTER}"
    assert (found.checkpoint, found.step, found.percent) == ({"offset": {"s": 9}}, "syncing", 70)


async def test_a_viewer_gets_what_holds_any_line_after_his_last(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    chunks = [3, 1, 4, 1, 5]
    async with database.transaction() as tx:
        await tx.events.append(creation.id, "a", [log("x\n" * lines, lines) for lines in chunks])
    spans = [range(1 + sum(chunks[:n]), 1 + sum(chunks[: n + 1])) for n in range(len(chunks))]
    async with database.transaction() as tx:
        for seq in range(-1, sum(chunks) + 2):
            expected = [span.start for span in spans if span.stop - 1 > seq]
            assert [row.seq for row in await tx.events.after(creation.id, seq)] == expected
        assert [row.seq for row in await tx.events.after(creation.id, 4, limit=2)] == [5, 9]


async def test_events_and_their_checkpoint_are_stored_together_or_not_at_all(
    database: DatabaseService, creation: Job
) -> None:
    async def append_and_fail() -> None:
        async with database.transaction() as tx:
            await tx.events.append(creation.id, "a", [log("1")], checkpoint={"done": ["x"]})
            await tx.jobs.get(new_id())

    await hold(database, creation)
    with pytest.raises(NotFoundError):
        await append_and_fail()
    async with database.transaction() as tx:
        assert await tx.events.last_seq(creation.id) == 0
        assert (await tx.jobs.get(creation.id)).checkpoint == {}


async def test_a_run_ends_only_in_an_end(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        with pytest.raises(ValueError, match="not an end"):
            await tx.jobs.finish(creation.id, "a", JobState.WAITING)


async def test_the_first_to_cancel_is_remembered(database: DatabaseService, creation: Job) -> None:
    async with database.transaction() as tx:
        first = await tx.jobs.request_cancel(creation.id, "root@pam")
        assert first.state == "cancelling"
        second = await tx.jobs.request_cancel(creation.id, "eve@pve")
    assert (second.state, second.cancelled_by) == ("cancelling", "root@pam")


async def test_what_has_ended_is_not_cancelled(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.jobs.finish(creation.id, "a", JobState.DONE)
        with pytest.raises(ConflictError, match="has ended: done"):
            await tx.jobs.request_cancel(creation.id, "root@pam")
        with pytest.raises(NotFoundError):
            await tx.jobs.request_cancel(new_id(), "root@pam")
