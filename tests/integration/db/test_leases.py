"""One worker at a time per job: leases by the database's clock, and protection against former holders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.db.models import CREATE_KIND, Container, EventType, Job, JobState, Phase, new_id
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.db.repositories.tickets import JobTicket
from lxc_dashboard.errors import ConflictError

LEASE_S = 60
LINE = NewEvent(EventType.LOG, Phase.SYNCING, 70, "line")


async def acquire(database: DatabaseService, creation: Job, owner: str, lease_s: float = LEASE_S) -> Job | None:
    async with database.transaction() as tx:
        return await tx.leases.acquire(creation.id, owner, lease_s)


async def now_of(database: DatabaseService, creation: Job) -> Job:
    async with database.transaction() as tx:
        return await tx.jobs.get(creation.id)


async def end_lease(database: DatabaseService, creation: Job) -> None:
    """End the lease as if its time were over."""
    async with database.transaction() as tx:
        ended = text("UPDATE job SET lease_until = clock_timestamp() - interval '1 ms' WHERE id = :id")
        await tx.session.execute(ended, {"id": creation.id})


async def expired(database: DatabaseService, limit: int = 10, again_after_s: float = LEASE_S) -> list[Job]:
    async with database.transaction() as tx:
        return list(await tx.leases.expired(limit, again_after_s=again_after_s))


async def test_a_run_is_taken_and_counted(database: DatabaseService, creation: Job) -> None:
    taken = await acquire(database, creation, "a")
    assert taken is not None
    assert (taken.state, taken.attempt, taken.lease_owner, taken.enqueued_at) == ("running", 1, "a", None)
    assert taken.lease_until is not None
    assert LEASE_S - 10 < (taken.lease_until - datetime.now(UTC)).total_seconds() < LEASE_S + 10
    assert await acquire(database, creation, "b") is None
    assert await acquire(database, creation, "a") is None


async def test_a_run_whose_lease_ended_is_taken_over(database: DatabaseService, creation: Job) -> None:
    first = await acquire(database, creation, "a", lease_s=0)
    second = await acquire(database, creation, "b")
    assert first is not None
    assert second is not None
    assert (second.attempt, second.lease_owner, second.started_at) == (2, "b", first.started_at)


async def test_of_many_workers_one_takes_the_run(database: DatabaseService, creation: Job) -> None:
    for turn in range(1, 6):
        results = await asyncio.gather(*(acquire(database, creation, f"{turn}-{n}") for n in range(15)))
        (winner,) = [row for row in results if row is not None]
        assert winner.attempt == turn
        assert (await now_of(database, creation)).lease_owner == winner.lease_owner
        await end_lease(database, creation)


async def test_nobody_takes_a_run_that_has_ended_or_never_was(database: DatabaseService, creation: Job) -> None:
    await acquire(database, creation, "a")
    async with database.transaction() as tx:
        await tx.jobs.finish(creation.id, "a", JobState.FAILED)
        assert await tx.leases.acquire(creation.id, "b", LEASE_S) is None
        assert await tx.leases.acquire(new_id(), "b", LEASE_S) is None


async def test_a_lease_is_renewed_by_its_owner_only(database: DatabaseService, creation: Job) -> None:
    await acquire(database, creation, "a", lease_s=1)
    async with database.transaction() as tx:
        assert not await tx.leases.renew(creation.id, "b", LEASE_S)
        assert await tx.leases.renew(creation.id, "a", LEASE_S)
    until = (await now_of(database, creation)).lease_until
    assert until is not None
    assert (until - datetime.now(UTC)).total_seconds() > LEASE_S - 10


async def test_a_late_renewal_succeeds_until_somebody_else_took_the_run(
    database: DatabaseService, creation: Job
) -> None:
    await acquire(database, creation, "a", lease_s=0)
    async with database.transaction() as tx:
        assert await tx.leases.renew(creation.id, "a", LEASE_S)
        await tx.events.append(creation.id, "a", [], checkpoint={})
    await end_lease(database, creation)
    await acquire(database, creation, "b")
    async with database.transaction() as tx:
        assert not await tx.leases.renew(creation.id, "a", LEASE_S)


async def test_a_renewal_and_a_takeover_at_once_leave_one_owner(database: DatabaseService, creation: Job) -> None:
    async def renew() -> bool:
        async with database.transaction() as tx:
            return await tx.leases.renew(creation.id, "a", LEASE_S)

    await acquire(database, creation, "a")
    for turn in range(10):
        await end_lease(database, creation)
        renewed, taken = await asyncio.gather(renew(), acquire(database, creation, f"b{turn}"))
        assert renewed is (taken is None)
        if taken is not None:
            await end_lease(database, creation)
            assert await acquire(database, creation, "a") is not None


async def test_a_run_given_back_is_handed_out_at_once(database: DatabaseService, creation: Job) -> None:
    await acquire(database, creation, "a")
    async with database.transaction() as tx:
        assert not await tx.leases.release(creation.id, "b")
        assert await tx.leases.release(creation.id, "a")
    assert (await now_of(database, creation)).state == "queued"
    assert [row.id for row in await expired(database)] == [creation.id]


async def test_a_waiting_run_is_not_handed_out(database: DatabaseService, creation: Job) -> None:
    await acquire(database, creation, "a")
    async with database.transaction() as tx:
        await tx.leases.release(creation.id, "a", state=JobState.WAITING)
    assert await expired(database, again_after_s=0) == []
    assert (await now_of(database, creation)).state == "waiting"
    async with database.transaction() as tx:
        with pytest.raises(ValueError, match="queued, waiting or paused"):
            await tx.leases.release(creation.id, "a", state=JobState.DONE)


@pytest.mark.parametrize("stop", [JobState.QUEUED, JobState.WAITING, JobState.PAUSED])
async def test_a_job_is_cancelling_from_the_request_to_its_end(
    database: DatabaseService, creation: Job, stop: JobState
) -> None:
    await acquire(database, creation, "a")
    async with database.transaction() as tx:
        await tx.jobs.request_cancel(creation.id, "root@pam")
    assert (await now_of(database, creation)).state == "cancelling"
    async with database.transaction() as tx:
        await tx.leases.release(creation.id, "a", state=stop)
    assert [row.state for row in await expired(database)] == ["cancelling"]
    taken = await acquire(database, creation, "b")
    assert taken is not None
    assert taken.state == "cancelling"
    async with database.transaction() as tx:
        assert (await tx.jobs.finish(creation.id, "b", JobState.CANCELLED)).state == "cancelled"


async def test_a_job_that_is_being_cancelled_locks_its_guest(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        first = await tx.jobs.add(Job.about(container, "container.stop", userid="root@pam"))
        await tx.jobs.request_cancel(first.id, "root@pam")
        assert await tx.jobs.locking(container.endpoint_id, container.vmid) == first
    with pytest.raises(ConflictError):
        async with database.transaction() as tx:
            await tx.jobs.add(Job.about(container, "container.start", userid="root@pam"))


async def test_the_reaper_hands_out_each_run_once_in_a_while(database: DatabaseService, creation: Job) -> None:
    assert await expired(database) == [], "it stands in the queue"
    assert len(await expired(database, again_after_s=0)) == 1, "its delivery was lost"
    await acquire(database, creation, "a")
    assert await expired(database, again_after_s=0) == [], "a worker has it"
    await end_lease(database, creation)
    assert len(await expired(database)) == 1, "its worker is gone"
    assert await expired(database) == [], "it stands in the queue again"


async def test_reapers_that_ask_at_once_share_the_runs(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        for _ in range(20):
            row = Job.about(container, CREATE_KIND, step="creating", locks_guest=False, userid="root@pam")
            await tx.jobs.add(row)
        await tx.session.execute(text("UPDATE job SET enqueued_at = NULL"))
    shares = await asyncio.gather(*(expired(database, limit=4) for _ in range(8)))
    handed_out = [row.id for share in shares for row in share]
    assert len(handed_out) == len(set(handed_out))
    assert all(len(share) <= 4 for share in shares)
    async with database.transaction() as tx:
        rest = await tx.leases.expired(20, again_after_s=LEASE_S)
    assert len(handed_out) + len(rest) == 20
    assert list(rest) == sorted(rest, key=lambda row: row.created_at)


async def _checkpoint(tx: Transaction, creation: Job) -> None:
    await tx.events.append(creation.id, "a", [], checkpoint={"done": ["late"]})


async def _append(tx: Transaction, creation: Job) -> None:
    await tx.events.append(creation.id, "a", [LINE])


async def _append_nothing(tx: Transaction, creation: Job) -> None:
    await tx.events.append(creation.id, "a", [])


async def _finish(tx: Transaction, creation: Job) -> None:
    await tx.jobs.finish(creation.id, "a", JobState.DONE)


FENCED = [_checkpoint, _append, _append_nothing, _finish]


@pytest.mark.parametrize("lost", ["never held", "ended", "taken over", "given back", "session ended", "finished"])
async def test_a_former_owner_changes_nothing(database: DatabaseService, creation: Job, lost: str) -> None:
    async def late(act: Callable[[Transaction, Job], Awaitable[None]]) -> None:
        async with database.transaction() as tx:
            await act(tx, creation)

    await lose(database, creation, lost)
    before = await now_of(database, creation)
    told = await told_of(database, creation)
    for act in FENCED:
        with pytest.raises(ConflictError, match="no longer held"):
            await late(act)
    after = await now_of(database, creation)
    assert after.model_dump() == before.model_dump()
    assert await told_of(database, creation) == told


async def told_of(database: DatabaseService, creation: Job) -> list[str]:
    async with database.transaction() as tx:
        return [event.message for event in await tx.events.after(creation.id, 0)]


async def lose(database: DatabaseService, creation: Job, how: str) -> None:
    """Let ``a`` take the job's lease and lose it in the way ``how``."""
    session = new_id()
    async with database.transaction() as tx:
        signed_in = {"session_id": session, "signed_in_at": datetime.now(UTC)}
        await tx.tickets.set(creation.id, JobTicket("t", "c"), **signed_in)  # type: ignore[arg-type]
        if how != "never held":
            assert await tx.leases.acquire(creation.id, "a", LEASE_S)
        if how == "given back":
            await tx.leases.release(creation.id, "a")
        if how == "session ended":
            await tx.tickets.wipe_of_session(session)
        if how == "finished":
            await tx.jobs.finish(creation.id, "a", JobState.CANCELLED)
    if how in {"ended", "taken over"}:
        await end_lease(database, creation)
    if how == "taken over":
        assert await acquire(database, creation, "b")


@pytest.mark.parametrize(("lease_left_s", "taken_over_with"), [(0, [3]), (LEASE_S, None)])
async def test_a_takeover_waits_for_a_late_owner_and_sees_what_it_did(
    database: DatabaseService,
    creation: Job,
    lock_awaited: Callable[[], Awaitable[None]],
    lease_left_s: int,
    taken_over_with: list[int] | None,
) -> None:
    async def take_over() -> list[int] | None:
        async with database.transaction() as tx:
            if await tx.leases.acquire(creation.id, "b", LEASE_S) is None:
                return None
            return [row.seq for row in await tx.events.append(creation.id, "b", [LINE])]

    await acquire(database, creation, "a", lease_s=0)
    async with database.transaction() as tx:
        assert await tx.leases.renew(creation.id, "a", LEASE_S)
        rows = await tx.events.append(creation.id, "a", [LINE, LINE])
        assert await tx.leases.renew(creation.id, "a", lease_left_s)
        late = asyncio.create_task(take_over())
        await lock_awaited()
    assert [row.seq for row in rows] == [1, 2]
    assert await late == taken_over_with


async def test_writes_of_one_owner_at_once_leave_no_gap_and_no_double(database: DatabaseService, creation: Job) -> None:
    async def write(lines: int) -> list[tuple[int, int]]:
        async with database.transaction() as tx:
            event = NewEvent(EventType.LOG, Phase.SYNCING, 70, "x\n" * lines, lines=lines)
            return [(row.seq, row.lines) for row in await tx.events.append(creation.id, "a", [event, LINE])]

    await acquire(database, creation, "a")
    written = await asyncio.gather(*(write(lines) for lines in range(1, 16)))
    numbers = sorted(number for rows in written for seq, lines in rows for number in range(seq, seq + lines))
    assert numbers == list(range(1, sum(range(1, 16)) + 15 + 1))


async def test_a_former_owner_that_keeps_writing_is_cut_off_at_the_takeover(
    database: DatabaseService, creation: Job
) -> None:
    started, refused = asyncio.Event(), 0

    async def write(owner: str, times: int) -> None:
        nonlocal refused
        for _ in range(times):
            try:
                async with database.transaction() as tx:
                    await tx.events.append(creation.id, owner, [NewEvent(EventType.LOG, Phase.SYNCING, 70, owner)])
            except ConflictError:
                refused += 1
            started.set()

    async def take_over() -> None:
        await started.wait()
        await end_lease(database, creation)
        assert await acquire(database, creation, "b")
        await write("b", 10)

    await acquire(database, creation, "a")
    await asyncio.gather(*(write("a", 15) for _ in range(4)), take_over())
    async with database.transaction() as tx:
        rows = await tx.events.after(creation.id, 0)
    owners = "".join(row.message for row in rows)
    assert owners == "a" * owners.count("a") + "b" * 10
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert refused == 60 - owners.count("a")
