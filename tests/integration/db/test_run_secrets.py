"""The secrets of a job: stored encrypted, wiped in time, moved to a new key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState, ProxmoxNode, new_id
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.db.rotation import RotationReport, encrypted_columns, rotate_secrets, sealed_as
from lxc_dashboard.errors import ConflictError, NotFoundError
from tests.integration.db.runs import TICKET, hold, sign_in


@pytest.mark.parametrize("end", [JobState.DONE, JobState.CANCELLED])
async def test_the_end_of_a_run_wipes_its_secrets_and_its_lease(
    database: DatabaseService, creation: Job, end: JobState
) -> None:
    await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.jobs.set_secrets(creation.id, {"root_password": "hunter2"})
        await tx.jobs.finish(creation.id, "a", end, error={"tail": ["\0"]}, result={"address": "10.0.0.1"})
    async with database.transaction() as tx:
        found = await tx.jobs.get(creation.id)
        assert await tx.jobs.get_secrets(creation.id) == {}
        assert await tx.tickets.get(creation.id) is None
    assert (found.secrets_enc, found.ticket_enc, found.lease_owner, found.lease_until) == (None, None, None, None)
    assert (found.state, found.percent) == (end.value, 100 if end is JobState.DONE else 0)
    assert found.result == {"address": "10.0.0.1"}
    assert found.finished_at is not None


async def test_a_failed_run_keeps_its_secrets_until_it_is_old(database: DatabaseService, creation: Job) -> None:
    await sign_in(database, creation, new_id())
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.jobs.seal_secrets(creation.id, "a", {"door_key": ["public", "hunter2"]})
        await tx.jobs.finish(creation.id, "a", JobState.FAILED)
        assert await tx.tickets.get(creation.id) is None
    async with database.transaction() as tx:
        assert await tx.jobs.wipe_stale_secrets(3600) == 0
        assert await tx.jobs.get_secrets(creation.id) == {"door_key": ["public", "hunter2"]}
        assert await tx.jobs.wipe_stale_secrets(0) == 1
        assert await tx.jobs.get_secrets(creation.id) == {}


async def test_a_failed_run_whose_container_is_gone_keeps_no_secret(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.jobs.seal_secrets(creation.id, "a", {"door_key": ["public", "hunter2"]})
        await tx.jobs.finish(creation.id, "a", JobState.FAILED)
        await tx.containers.mark_deleted(creation.own_container_id)
        assert await tx.jobs.wipe_stale_secrets(3600) == 1


async def test_only_the_worker_that_holds_a_run_seals_its_secrets(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        with pytest.raises(ConflictError):
            await tx.jobs.seal_secrets(creation.id, "b", {"a": "b"})
        assert await tx.jobs.get_secrets(creation.id) == {}


async def test_secrets_and_ticket_come_back_and_stand_nowhere_in_plain_text(
    database: DatabaseService, creation: Job
) -> None:
    async with database.transaction() as tx:
        assert await tx.jobs.get_secrets(creation.id) == {}
        await tx.jobs.set_secrets(creation.id, {"root_password": "hunter2"})
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        assert await tx.jobs.get_secrets(creation.id) == {"root_password": "hunter2"}
        assert await tx.tickets.get(creation.id) == TICKET
        stored = await tx.session.scalar(text("SELECT to_json(c)::text FROM job c"))
        await tx.jobs.set_secrets(creation.id, None)
        assert await tx.jobs.get_secrets(creation.id) == {}
    assert stored.count("v1.") == 2
    assert "hunter2" not in stored + repr(TICKET)


async def test_secrets_are_given_with_a_new_run(database: DatabaseService, container: Container) -> None:
    row = Job.about(container, CREATE_KIND, step="creating", locks_guest=False, userid="root@pam")
    async with database.transaction() as tx:
        await tx.jobs.add(row, {"root_password": "hunter2"})
    async with database.transaction() as tx:
        assert await tx.jobs.get_secrets(row.id) == {"root_password": "hunter2"}


async def test_a_run_that_has_ended_takes_no_secret(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.jobs.finish(creation.id, "a", JobState.FAILED)
        with pytest.raises(NotFoundError):
            await tx.jobs.set_secrets(creation.id, {"a": "b"})
        with pytest.raises(NotFoundError):
            await tx.tickets.set(creation.id, TICKET, session_id=new_id(), signed_in_at=datetime.now(UTC))


async def test_every_secret_moves_to_the_new_key(
    database: DatabaseService, database_url: str, creation: Job, keyring: Keyring
) -> None:
    await sign_in(database, creation, new_id())
    async with database.transaction() as tx:
        await tx.jobs.set_secrets(creation.id, {"a": "b"})
        await tx.containers.set_root_password(creation.own_container_id, "hunter2")
        node = ProxmoxNode(name="other", host="b", tokenid="root@pam!x")
        await tx.nodes.add(node, NodeSecrets("token", "key"))
    new = Keyring.from_hex("b2" * 32, "a1" * 32)
    assert await rotate_secrets(database, new) == RotationReport(5, ())
    assert await rotate_secrets(database, new) == RotationReport(0, ())
    alone = Keyring.from_hex("b2" * 32)
    async with database.transaction() as tx:
        stored = [
            (sealed_as(table), column, row_id, token)
            for table, column in encrypted_columns()
            for row_id, token in await tx.session.execute(text(f"SELECT id, {column} FROM {table.name}"))  # noqa: S608
            if token is not None
        ]
    assert len(stored) == 5
    for table, column, row_id, token in stored:
        assert alone.decrypt(token, table=table, column=column, row=row_id)


async def test_a_secret_that_cannot_be_read_is_named_and_left(database: DatabaseService, creation: Job) -> None:
    async with database.transaction() as tx:
        await tx.jobs.set_secrets(creation.id, {"a": "b"})
        await tx.containers.set_root_password(creation.own_container_id, "hunter2")
        await tx.session.execute(text("UPDATE container SET root_password_enc = (SELECT secrets_enc FROM job)"))
    report = await rotate_secrets(database, Keyring.from_hex("b2" * 32, "a1" * 32))
    assert report.rotated == 1
    (named,) = report.unreadable
    assert named.params["secret"] == f"container.root_password_enc {creation.container_id}"


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
