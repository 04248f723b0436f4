"""A run's row: secrets and tickets wiped in time, events numbered, cancelled and finished once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import Container, Creation, CreationState, EventType, Phase, ProxmoxNode, new_id, now
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.db.repositories.tickets import SIGN_IN_ENDED, JobTicket
from lxc_dashboard.db.rotation import RotationReport, encrypted_columns, rotate_secrets
from lxc_dashboard.errors import ConflictError, NotFoundError

LEASE_S = 60
TICKET = JobTicket("PVE:root@pam:hunter2", "csrf-hunter2")


def log(message: str, lines: int = 1) -> NewEvent:
    return NewEvent(EventType.LOG, Phase.SYNCING, 70, message, lines=lines, script="20-nginx.sh")


async def hold(database: DatabaseService, creation: Creation) -> None:
    async with database.transaction() as tx:
        assert await tx.creations.acquire_lease(creation.id, "a", LEASE_S)


async def sign_in(database: DatabaseService, creation: Creation, session_id: UUID) -> Creation:
    async with database.transaction() as tx:
        return await tx.creations.set_ticket(creation.id, TICKET, session_id=session_id, signed_in_at=datetime.now(UTC))


async def test_a_new_run_is_queued_and_stamped(database: DatabaseService, creation: Creation) -> None:
    assert (creation.state, creation.phase, creation.percent, creation.attempt) == ("queued", "creating", 0, 0)
    assert creation.enqueued_at is not None
    assert creation.spec == {"cores": 2}


async def test_a_host_whose_clock_is_wrong_puts_no_run_before_or_behind_others(
    database: DatabaseService, creation: Creation
) -> None:
    runs = [creation]
    for vmid, off_by in ((102, timedelta(minutes=-10)), (103, timedelta(minutes=10)), (104, timedelta())):
        async with database.transaction() as tx:
            guest = Container(endpoint_id=creation.endpoint_id, vmid=vmid, node="pve1", hostname=f"ct-{vmid}")
            await tx.containers.reserve(guest)
            at = now() + off_by
            asked = Creation(endpoint_id=creation.endpoint_id, container_id=guest.id, userid="root@pam", created_at=at)
            runs.append(await tx.creations.add(asked))
    async with database.transaction() as tx:
        places = await tx.creations.places(creation.endpoint_id)
        listed = await tx.creations.list(creation.endpoint_id)
    assert [places[run.id].ahead for run in runs] == [0, 1, 2, 3]
    assert [run.id for run in listed] == [run.id for run in reversed(runs)]


async def test_runs_are_listed_newest_first_by_state_user_and_container(
    database: DatabaseService, creation: Creation
) -> None:
    async with database.transaction() as tx:
        guest = Container(endpoint_id=creation.endpoint_id, vmid=102, node="pve1", hostname="b")
        await tx.containers.reserve(guest)
        second = Creation(endpoint_id=creation.endpoint_id, container_id=guest.id, userid="eve@pve")
        await tx.creations.add(second)
    await hold(database, creation)
    async with database.transaction() as tx:
        listed = tx.creations.list
        assert [row.id for row in await listed(creation.endpoint_id)] == [second.id, creation.id]
        assert [row.id for row in await listed(creation.endpoint_id, states=[CreationState.RUNNING])] == [creation.id]
        assert [row.id for row in await listed(creation.endpoint_id, userid="eve@pve")] == [second.id]
        assert [row.id for row in await listed(creation.endpoint_id, container_id=guest.id)] == [second.id]
        assert len(await listed(creation.endpoint_id, limit=1)) == 1
        assert await listed(new_id()) == []


async def test_a_checkpoint_replaces_the_last_one(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        for checkpoint, phase, percent in (
            ({"done": ["x"]}, Phase.CREATING, 5),
            ({"upid": {"start": "UPID:\0"}}, Phase.STARTING, 20),
        ):
            event = NewEvent(EventType.STEP, phase, percent, "a step")
            await tx.creations.append_events(creation.id, "a", [event], checkpoint=checkpoint)
        found = await tx.creations.get(creation.id)
    assert found.checkpoint == {"upid": {"start": "UPID:\N{REPLACEMENT CHARACTER}"}}
    assert (found.phase, found.percent) == ("starting", 20)


async def test_events_are_numbered_by_line(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        assert await tx.creations.last_seq(creation.id) == 0
        first = await tx.creations.append_events(creation.id, "a", [log("1"), log("2\n3\n4", 3), log("5")])
    async with database.transaction() as tx:
        second = await tx.creations.append_events(creation.id, "a", [log("6\0")], checkpoint={"offset": {"s": 9}})
        found = await tx.creations.get(creation.id)
        assert await tx.creations.last_seq(creation.id) == 6
    assert [row.seq for row in (*first, *second)] == [1, 2, 5, 6]
    assert second[0].message == "6\N{REPLACEMENT CHARACTER}"
    assert (found.checkpoint, found.phase, found.percent) == ({"offset": {"s": 9}}, "syncing", 70)


async def test_a_viewer_gets_what_holds_any_line_after_his_last(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    chunks = [3, 1, 4, 1, 5]
    async with database.transaction() as tx:
        await tx.creations.append_events(creation.id, "a", [log("x\n" * lines, lines) for lines in chunks])
    spans = [range(1 + sum(chunks[:n]), 1 + sum(chunks[: n + 1])) for n in range(len(chunks))]
    async with database.transaction() as tx:
        for seq in range(-1, sum(chunks) + 2):
            expected = [span.start for span in spans if span.stop - 1 > seq]
            assert [row.seq for row in await tx.creations.events_after(creation.id, seq)] == expected
        assert [row.seq for row in await tx.creations.events_after(creation.id, 4, limit=2)] == [5, 9]


async def test_events_and_their_checkpoint_are_stored_together_or_not_at_all(
    database: DatabaseService, creation: Creation
) -> None:
    async def append_and_fail() -> None:
        async with database.transaction() as tx:
            await tx.creations.append_events(creation.id, "a", [log("1")], checkpoint={"done": ["x"]})
            await tx.creations.get(new_id())

    await hold(database, creation)
    with pytest.raises(NotFoundError):
        await append_and_fail()
    async with database.transaction() as tx:
        assert await tx.creations.last_seq(creation.id) == 0
        assert (await tx.creations.get(creation.id)).checkpoint == {}


@pytest.mark.parametrize("end", [CreationState.READY, CreationState.CANCELLED])
async def test_the_end_of_a_run_wipes_its_secrets_and_its_lease(
    database: DatabaseService, creation: Creation, end: CreationState
) -> None:
    await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.creations.set_secrets(creation.id, {"root_password": "hunter2"})
        await tx.creations.finish(creation.id, "a", end, error={"tail": ["\0"]}, result={"address": "10.0.0.1"})
    async with database.transaction() as tx:
        found = await tx.creations.get(creation.id)
        assert await tx.creations.get_secrets(creation.id) == {}
        assert await tx.creations.get_ticket(creation.id) is None
    assert (found.secrets_enc, found.ticket_enc, found.lease_owner, found.lease_until) == (None, None, None, None)
    assert (found.state, found.percent) == (end.value, 100 if end is CreationState.READY else 0)
    assert found.result == {"address": "10.0.0.1"}
    assert found.finished_at is not None


async def test_a_failed_run_keeps_its_secrets_until_it_is_old(database: DatabaseService, creation: Creation) -> None:
    await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.creations.seal_secrets(creation.id, "a", {"door_key": ["public", "hunter2"]})
        await tx.creations.finish(creation.id, "a", CreationState.FAILED)
        assert await tx.creations.get_ticket(creation.id) is None
    async with database.transaction() as tx:
        assert await tx.creations.wipe_stale_secrets(3600) == 0
        assert await tx.creations.get_secrets(creation.id) == {"door_key": ["public", "hunter2"]}
        assert await tx.creations.wipe_stale_secrets(0) == 1
        assert await tx.creations.get_secrets(creation.id) == {}


async def test_a_failed_run_whose_container_is_gone_keeps_no_secret(
    database: DatabaseService, creation: Creation
) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.creations.seal_secrets(creation.id, "a", {"door_key": ["public", "hunter2"]})
        await tx.creations.finish(creation.id, "a", CreationState.FAILED)
        await tx.containers.mark_deleted(creation.container_id)
        assert await tx.creations.wipe_stale_secrets(3600) == 1


async def test_only_the_worker_that_holds_a_run_seals_its_secrets(
    database: DatabaseService, creation: Creation
) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        with pytest.raises(ConflictError):
            await tx.creations.seal_secrets(creation.id, "b", {"a": "b"})
        assert await tx.creations.get_secrets(creation.id) == {}


async def test_a_run_ends_only_in_an_end(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        with pytest.raises(ValueError, match="not an end"):
            await tx.creations.finish(creation.id, "a", CreationState.WAITING)


async def test_the_first_to_cancel_is_remembered(database: DatabaseService, creation: Creation) -> None:
    async with database.transaction() as tx:
        first = await tx.creations.request_cancel(creation.id, "root@pam")
        asked_at = first.cancel_requested_at
        second = await tx.creations.request_cancel(creation.id, "eve@pve")
    assert asked_at is not None
    assert (second.cancel_requested_at, second.cancelled_by) == (asked_at, "root@pam")


async def test_what_has_ended_is_not_cancelled(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.creations.finish(creation.id, "a", CreationState.READY)
        with pytest.raises(ConflictError, match="has ended: ready"):
            await tx.creations.request_cancel(creation.id, "root@pam")
        with pytest.raises(NotFoundError):
            await tx.creations.request_cancel(new_id(), "root@pam")


async def test_secrets_and_ticket_come_back_and_stand_nowhere_in_plain_text(
    database: DatabaseService, creation: Creation
) -> None:
    async with database.transaction() as tx:
        assert await tx.creations.get_secrets(creation.id) == {}
        await tx.creations.set_secrets(creation.id, {"root_password": "hunter2"})
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        assert await tx.creations.get_secrets(creation.id) == {"root_password": "hunter2"}
        assert await tx.creations.get_ticket(creation.id) == TICKET
        stored = await tx.session.scalar(text("SELECT to_json(c)::text FROM creation c"))
        await tx.creations.set_secrets(creation.id, None)
        assert await tx.creations.get_secrets(creation.id) == {}
    assert stored.count("v1.") == 2
    assert "hunter2" not in stored + repr(TICKET)


async def test_secrets_are_given_with_a_new_run(database: DatabaseService, container: Container) -> None:
    row = Creation(endpoint_id=container.endpoint_id, container_id=container.id, userid="root@pam")
    async with database.transaction() as tx:
        await tx.creations.add(row, {"root_password": "hunter2"})
    async with database.transaction() as tx:
        assert await tx.creations.get_secrets(row.id) == {"root_password": "hunter2"}


async def test_a_run_that_has_ended_takes_no_secret(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.creations.finish(creation.id, "a", CreationState.FAILED)
        with pytest.raises(NotFoundError):
            await tx.creations.set_secrets(creation.id, {"a": "b"})
        with pytest.raises(NotFoundError):
            await tx.creations.set_ticket(creation.id, TICKET, session_id=new_id(), signed_in_at=datetime.now(UTC))


async def test_runs_of_an_ended_session_lose_their_ticket_and_wait_for_a_sign_in(
    database: DatabaseService, creation: Creation
) -> None:
    session = new_id()
    await sign_in(database, creation, session)
    await hold(database, creation)
    async with database.transaction() as tx:
        assert await tx.creations.wipe_tickets_of_session(new_id()) == []
        assert list(await tx.creations.wipe_tickets_of_session(session)) == [creation.id]
    async with database.transaction() as tx:
        found = await tx.creations.get(creation.id)
        assert await tx.creations.get_ticket(creation.id) is None
        assert not await tx.creations.renew_lease(creation.id, "a", LEASE_S), "its worker has to stop"
        assert not await tx.creations.renew_ticket(creation.id, "a", session, TICKET)
    assert (found.state, found.ticket_enc, found.lease_owner) == ("waiting", None, None)
    assert (await sign_in(database, creation, new_id())).state == "queued"


async def test_the_end_of_a_session_is_told_once_by_the_runs_that_wait_for_the_next_one(
    database: DatabaseService, creation: Creation
) -> None:
    session = new_id()
    for _ in range(2):
        await sign_in(database, creation, session)
        async with database.transaction() as tx:
            await tx.creations.wipe_tickets_of_session(session)
            await tx.creations.wipe_tickets_of_session(session)
    async with database.transaction() as tx:
        told = [event.message for event in await tx.creations.events_after(creation.id, 0)]
        assert told == [SIGN_IN_ENDED] * 2
        (await tx.creations.get(creation.id)).state = "paused"
    await sign_in(database, creation, session)
    async with database.transaction() as tx:
        assert list(await tx.creations.wipe_tickets_of_session(session)) == [creation.id]
        assert len(await tx.creations.events_after(creation.id, 0)) == 2, "one that is paused waits for nothing else"


async def test_a_renewed_ticket_never_brings_back_a_wiped_one(database: DatabaseService, creation: Creation) -> None:
    session, later = new_id(), new_id()
    await hold(database, creation)
    async with database.transaction() as tx:
        assert not await tx.creations.renew_ticket(creation.id, "a", None, TICKET)
    await sign_in(database, creation, session)
    async with database.transaction() as tx:
        assert not await tx.creations.renew_ticket(creation.id, "b", session, TICKET)
        assert await tx.creations.renew_ticket(creation.id, "a", session, JobTicket("new", "csrf"))
        assert await tx.creations.get_ticket(creation.id) == JobTicket("new", "csrf")
    await sign_in(database, creation, later)
    async with database.transaction() as tx:
        assert not await tx.creations.renew_ticket(
            creation.id, "a", session, JobTicket("of the session before", "csrf")
        )
        assert await tx.creations.get_ticket(creation.id) == TICKET


async def test_a_renewal_by_schedule_replaces_that_very_ticket_or_nothing(
    database: DatabaseService, creation: Creation
) -> None:
    session = new_id()
    await sign_in(database, creation, session)
    async with database.transaction() as tx:
        (lent,) = await tx.creations.lent_tickets(UUID(int=0), 10)
        assert (lent.creation_id, lent.userid, lent.ticket) == (creation.id, creation.userid, TICKET)
        assert await tx.creations.replace_ticket(lent, JobTicket("new", "csrf"))
        assert not await tx.creations.replace_ticket(lent, JobTicket("newer", "csrf"))
        (again,) = await tx.creations.lent_tickets(UUID(int=0), 10)
        await tx.creations.wipe_tickets_of_session(session)
        assert not await tx.creations.replace_ticket(again, JobTicket("newest", "csrf"))
        assert await tx.creations.get_ticket(creation.id) is None
    await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        (held,) = await tx.creations.lent_tickets(UUID(int=0), 10)
        assert await tx.creations.replace_ticket(held, JobTicket("new", "csrf")), "also while a worker holds it"


async def test_a_run_given_back_for_a_sign_in_keeps_no_ticket_unless_a_later_sign_in_brought_it(
    database: DatabaseService, creation: Creation
) -> None:
    taken = await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        assert not await tx.creations.wait_for_sign_in(creation.id, "b", taken.signed_in_at)
        assert await tx.creations.wait_for_sign_in(creation.id, "a", taken.signed_in_at)
        found = await tx.creations.get(creation.id)
        assert (found.state, found.ticket_enc, found.lease_owner) == ("waiting", None, None)
    taken = await sign_in(database, creation, new_id())
    await hold(database, creation)
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        assert await tx.creations.wait_for_sign_in(creation.id, "a", taken.signed_in_at)
        found = await tx.creations.get(creation.id)
        assert (found.state, found.lease_owner) == ("queued", None)
        assert await tx.creations.get_ticket(creation.id) == TICKET


async def test_a_ticket_is_wiped_by_itself_only_while_that_very_one_stands_there(
    database: DatabaseService, creation: Creation
) -> None:
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        (old,) = await tx.creations.lent_tickets(UUID(int=0), 10)
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        assert not await tx.creations.wipe_ticket(old)
        (new,) = await tx.creations.lent_tickets(UUID(int=0), 10)
        assert await tx.creations.wipe_ticket(new)
        found = await tx.creations.get(creation.id)
    assert (found.state, found.ticket_enc) == ("waiting", None)


async def test_a_sign_in_leaves_a_running_run_running(database: DatabaseService, creation: Creation) -> None:
    await hold(database, creation)
    assert (await sign_in(database, creation, new_id())).state == "running"


async def test_every_secret_moves_to_the_new_key(
    database: DatabaseService, database_url: str, creation: Creation, keyring: Keyring
) -> None:
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        await tx.creations.set_secrets(creation.id, {"a": "b"})
        await tx.containers.set_root_password(creation.container_id, "hunter2")
        node = ProxmoxNode(name="other", host="b", tokenid="root@pam!x")
        await tx.nodes.add(node, NodeSecrets("token", "key"))
    new = Keyring.from_hex("b2" * 32, "a1" * 32)
    assert await rotate_secrets(database, new) == RotationReport(5, ())
    assert await rotate_secrets(database, new) == RotationReport(0, ())
    alone = Keyring.from_hex("b2" * 32)
    async with database.transaction() as tx:
        stored = [
            (table.name, column, row_id, token)
            for table, column in encrypted_columns()
            for row_id, token in await tx.session.execute(text(f"SELECT id, {column} FROM {table.name}"))  # noqa: S608
            if token is not None
        ]
    assert len(stored) == 5
    for table, column, row_id, token in stored:
        assert alone.decrypt(token, table=table, column=column, row=row_id)


async def test_a_secret_that_cannot_be_read_is_named_and_left(database: DatabaseService, creation: Creation) -> None:
    async with database.transaction() as tx:
        await tx.creations.set_secrets(creation.id, {"a": "b"})
        await tx.containers.set_root_password(creation.container_id, "hunter2")
        await tx.session.execute(text("UPDATE container SET root_password_enc = (SELECT secrets_enc FROM creation)"))
    report = await rotate_secrets(database, Keyring.from_hex("b2" * 32, "a1" * 32))
    assert report.rotated == 1
    (named,) = report.unreadable
    assert named.startswith(f"container.root_password_enc {creation.container_id}: ")


async def test_rotation_goes_past_one_batch(
    database: DatabaseService, endpoint: ProxmoxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.db.rotation.BATCH_ROWS", 2)
    async with database.transaction() as tx:
        for vmid in range(101, 106):
            row = Container(endpoint_id=endpoint.id, vmid=vmid, node="pve1", hostname="x")
            await tx.containers.reserve(row, root_password="hunter2")
    report = await rotate_secrets(database, Keyring.from_hex("b2" * 32, "a1" * 32))
    assert report == RotationReport(5, ())
