"""A job's ticket: wiped with its session, replaced by the next sign-in, never replaced by an older one."""

from __future__ import annotations

from uuid import UUID

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import Job, new_id
from lxc_dashboard.db.repositories.tickets import SIGN_IN_ENDED, JobTicket
from tests.integration.db.runs import LEASE_S, TICKET, hold, sign_in


async def test_runs_of_an_ended_session_lose_their_ticket_and_wait_for_a_sign_in(
    database: DatabaseService, creation: Job
) -> None:
    session = new_id()
    await sign_in(database, creation, session)
    await hold(database, creation)
    async with database.transaction() as tx:
        assert await tx.tickets.wipe_of_session(new_id()) == []
        assert list(await tx.tickets.wipe_of_session(session)) == [creation.id]
    async with database.transaction() as tx:
        found = await tx.jobs.get(creation.id)
        assert await tx.tickets.get(creation.id) is None
        assert not await tx.leases.renew(creation.id, "a", LEASE_S), "its worker has to stop"
        assert not await tx.tickets.renew(creation.id, "a", session, TICKET)
    assert (found.state, found.ticket_enc, found.lease_owner) == ("waiting", None, None)
    assert (await sign_in(database, creation, new_id())).state == "queued"


async def test_the_end_of_a_session_is_told_once_by_the_runs_that_wait_for_the_next_one(
    database: DatabaseService, creation: Job
) -> None:
    session = new_id()
    for _ in range(2):
        await sign_in(database, creation, session)
        async with database.transaction() as tx:
            await tx.tickets.wipe_of_session(session)
            await tx.tickets.wipe_of_session(session)
    async with database.transaction() as tx:
        told = [event.code for event in await tx.events.after(creation.id, 0)]
        assert told == [SIGN_IN_ENDED] * 2
        (await tx.jobs.get(creation.id)).state = "paused"
    await sign_in(database, creation, session)
    async with database.transaction() as tx:
        assert list(await tx.tickets.wipe_of_session(session)) == [creation.id]
        assert len(await tx.events.after(creation.id, 0)) == 2, "one that is paused waits for nothing else"


async def test_a_renewed_ticket_never_brings_back_a_wiped_one(database: DatabaseService, creation: Job) -> None:
    session, later = new_id(), new_id()
    await hold(database, creation)
    async with database.transaction() as tx:
        assert not await tx.tickets.renew(creation.id, "a", None, TICKET)
    await sign_in(database, creation, session)
    async with database.transaction() as tx:
        assert not await tx.tickets.renew(creation.id, "b", session, TICKET)
        assert await tx.tickets.renew(creation.id, "a", session, JobTicket("new", "csrf"))
        assert await tx.tickets.get(creation.id) == JobTicket("new", "csrf")
    await sign_in(database, creation, later)
    async with database.transaction() as tx:
        assert not await tx.tickets.renew(creation.id, "a", session, JobTicket("of the session before", "csrf"))
        assert await tx.tickets.get(creation.id) == TICKET


async def test_a_renewal_by_schedule_replaces_that_very_ticket_or_nothing(
    database: DatabaseService, creation: Job
) -> None:
    session = new_id()
    await sign_in(database, creation, session)
    async with database.transaction() as tx:
        (lent,) = await tx.tickets.lent(UUID(int=0), 10)
        assert (lent.job_id, lent.userid, lent.ticket) == (creation.id, creation.userid, TICKET)
        assert await tx.tickets.replace(lent, JobTicket("new", "csrf"))
        assert not await tx.tickets.replace(lent, JobTicket("newer", "csrf"))
        (again,) = await tx.tickets.lent(UUID(int=0), 10)
        await tx.tickets.wipe_of_session(session)
        assert not await tx.tickets.replace(again, JobTicket("newest", "csrf"))
        assert await tx.tickets.get(creation.id) is None
    await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        (held,) = await tx.tickets.lent(UUID(int=0), 10)
        assert await tx.tickets.replace(held, JobTicket("new", "csrf")), "also while a worker holds it"


async def test_a_run_given_back_for_a_sign_in_keeps_no_ticket_unless_a_later_sign_in_brought_it(
    database: DatabaseService, creation: Job
) -> None:
    taken = await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        assert not await tx.tickets.wait_for_sign_in(creation.id, "b", taken.signed_in_at)
        assert await tx.tickets.wait_for_sign_in(creation.id, "a", taken.signed_in_at)
        found = await tx.jobs.get(creation.id)
        assert (found.state, found.ticket_enc, found.lease_owner) == ("waiting", None, None)
    taken = await sign_in(database, creation, new_id())
    await hold(database, creation)
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        assert await tx.tickets.wait_for_sign_in(creation.id, "a", taken.signed_in_at)
        found = await tx.jobs.get(creation.id)
        assert (found.state, found.lease_owner) == ("queued", None)
        assert await tx.tickets.get(creation.id) == TICKET


async def test_a_ticket_is_wiped_by_itself_only_while_that_very_one_stands_there(
    database: DatabaseService, creation: Job
) -> None:
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        (old,) = await tx.tickets.lent(UUID(int=0), 10)
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        assert not await tx.tickets.wipe(old)
        (new,) = await tx.tickets.lent(UUID(int=0), 10)
        assert await tx.tickets.wipe(new)
        found = await tx.jobs.get(creation.id)
    assert (found.state, found.ticket_enc) == ("waiting", None)


async def test_a_sign_in_leaves_a_running_run_running(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    assert (await sign_in(database, creation, new_id())).state == "running"
