"""Transactions: commit, rollback, and errors translated to the product's own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import ProgrammingError

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db import engine
from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.db.engine import create_engine
from lxc_dashboard.db.models import Container, Preset, ProxmoxNode, new_id
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, ServiceUnavailableError


class Abandoned(Exception):  # noqa: N818 - it is no error of anything
    """An error of the caller in a transaction."""


async def names(database: DatabaseService) -> list[str]:
    async with database.transaction() as tx:
        return [node.name for node in await tx.nodes.list()]


async def within(database: DatabaseService, work: Callable[[Transaction], Awaitable[None]]) -> None:
    async with database.transaction() as tx:
        await work(tx)


async def cut_connection(tx: Transaction, url: str) -> None:
    pid = await tx.session.scalar(text("SELECT pg_backend_pid()"))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))


async def test_a_transaction_commits_at_its_end(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        await tx.nodes.add(ProxmoxNode(name="lab", host="a"))
        assert await names(database) == []
    assert await names(database) == ["lab"]


async def test_an_error_rolls_back_everything_and_comes_out_as_it_is(database: DatabaseService) -> None:
    async def work(tx: Transaction) -> None:
        await tx.nodes.add(ProxmoxNode(name="lab", host="a"))
        raise Abandoned

    with pytest.raises(Abandoned):
        await within(database, work)
    assert await names(database) == []


async def test_a_cancelled_transaction_rolls_back_and_gives_its_connection_back(database: DatabaseService) -> None:
    inside = asyncio.Event()

    async def slow() -> None:
        async with database.transaction() as tx:
            await tx.nodes.add(ProxmoxNode(name="lab", host="a"))
            inside.set()
            await tx.session.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(slow())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(database) == []


async def test_rows_stay_readable_after_their_transaction(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        node = await tx.nodes.add(ProxmoxNode(name="lab", host="a"))
    assert (node.name, node.port, node.doors) == ("lab", 8006, {})


async def test_a_call_that_conflicts_says_so_itself_and_what_was_passed_over_is_no_commit(
    database: DatabaseService, endpoint: ProxmoxNode
) -> None:
    async def work(tx: Transaction) -> None:
        with pytest.raises(ConflictError, match="An endpoint with this name"):
            await tx.nodes.add(ProxmoxNode(name="lab", host="b"))

    with pytest.raises(ConflictError, match="nothing was stored"):
        await within(database, work)
    assert await names(database) == ["lab"]


async def test_a_failed_statement_that_was_passed_over_is_no_commit_either(
    database: DatabaseService, endpoint: ProxmoxNode
) -> None:
    async def work(tx: Transaction) -> None:
        await tx.nodes.add(ProxmoxNode(name="other", host="c"))
        with pytest.raises(ConflictError):
            await tx.session.execute(text("UPDATE proxmox_node SET name = 'lab'"))

    with pytest.raises(ConflictError, match="nothing was stored"):
        await within(database, work)
    assert await names(database) == ["lab"]


async def test_a_conflict_without_a_sentence_of_its_own_names_the_table(
    database: DatabaseService, endpoint: ProxmoxNode
) -> None:
    row = Preset(endpoint_id=endpoint.id, owner="root@pam", name="small")
    async with database.transaction() as tx:
        await tx.presets.add(row)
    with pytest.raises(ConflictError, match="This preset already exists"):
        async with database.transaction() as tx:
            await tx.presets.add(Preset(id=row.id, endpoint_id=endpoint.id, owner="root@pam", name="large"))


async def test_a_missing_parent_is_not_found(database: DatabaseService) -> None:
    with pytest.raises(NotFoundError):
        async with database.transaction() as tx:
            await tx.containers.reserve(Container(endpoint_id=new_id(), vmid=101, node="pve1", hostname="x"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"port": 0}, "ck_proxmox_node_port_range"),
        ({"tokenid": "root@pam!x"}, "ck_proxmox_node_token_whole"),
        ({"host": "x" * 256}, "value"),
        ({"host": None}, "host"),
    ],
)
async def test_a_value_that_the_schema_refuses_is_named(
    database: DatabaseService, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        async with database.transaction() as tx:
            await tx.nodes.add(ProxmoxNode(name="lab", **{"host": "a"} | changes))
    assert list(caught.value.fields) == [field]


async def test_the_referring_thing_is_named_when_a_row_cannot_go(
    database: DatabaseService, container: Container
) -> None:
    with pytest.raises(ConflictError, match="This endpoint still has containers"):
        async with database.transaction() as tx:
            await tx.session.execute(text("DELETE FROM proxmox_node"))


async def test_a_mistake_in_our_own_sql_stays_what_it_is(database: DatabaseService) -> None:
    with pytest.raises(ProgrammingError):
        async with database.transaction() as tx:
            await tx.session.execute(text("SELEC 1"))


async def test_a_missing_migration_says_what_to_do(empty_database_url: str, keyring: Keyring) -> None:
    service = DatabaseService(create_engine(empty_database_url), keyring)
    with pytest.raises(ServiceUnavailableError, match="lxc-dashboard migrate"):
        await names(service)
    await service.close()


@pytest.mark.parametrize("statements_after", [0, 1])
async def test_a_lost_connection_is_unavailable_and_the_next_transaction_works(
    database: DatabaseService, database_url: str, statements_after: int
) -> None:
    async def work(tx: Transaction) -> None:
        await tx.nodes.add(ProxmoxNode(name="lab", host="a"))
        await cut_connection(tx, database_url)
        for _ in range(statements_after):
            await tx.session.execute(text("SELECT 1"))

    with pytest.raises(ServiceUnavailableError) as caught:
        await within(database, work)
    assert caught.value.retryable
    assert await names(database) == []


async def test_connections_lost_while_idle_are_replaced_unseen(
    database: DatabaseService, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PING_AFTER_IDLE_S", 0.0)
    await asyncio.gather(*(database.ping() for _ in range(5)))
    cut = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'lxc-dashboard'"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute(cut)
    assert await asyncio.gather(*(names(database) for _ in range(5))) == [[]] * 5


async def test_a_connection_that_was_just_used_is_not_asked_whether_it_lives(
    database: DatabaseService, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings: list[object] = []
    monkeypatch.setattr(PGDialect_psycopg, "do_ping", lambda _, connection: pings.append(connection))
    monkeypatch.setattr(engine, "PING_AFTER_IDLE_S", 3600.0)
    for _ in range(3):
        await database.ping()
    assert pings == []
    monkeypatch.setattr(engine, "PING_AFTER_IDLE_S", 0.0)
    await database.ping()
    assert len(pings) == 1


async def test_a_server_that_is_not_there_is_unavailable(keyring: Keyring) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me:hunter2@127.0.0.1:{taken.getsockname()[1]}/none"
        service = DatabaseService(create_engine(url), keyring)
        with pytest.raises(ServiceUnavailableError) as caught:
            await service.ping()
    assert caught.value.retryable
    assert "hunter2" not in str(caught.value)
    await service.close()


async def test_a_wrong_password_is_unavailable_and_not_shown(database_url: str, keyring: Keyring) -> None:
    before, _, after = database_url.partition("@")
    service = DatabaseService(create_engine(f"{before.rpartition(':')[0]}:hunter2@{after}"), keyring)
    with pytest.raises(ServiceUnavailableError) as caught:
        await service.ping()
    assert "hunter2" not in str(caught.value)
    await service.close()


async def test_a_statement_ends_after_its_timeout(database_url: str, keyring: Keyring) -> None:
    service = DatabaseService(create_engine(database_url, statement_timeout_s=0.05), keyring)
    with pytest.raises(ServiceUnavailableError):
        async with service.transaction() as tx:
            await tx.session.execute(text("SELECT pg_sleep(60)"))
    await service.close()


async def test_options_of_the_url_are_kept_beside_our_limits(database_url: str, keyring: Keyring) -> None:
    service = DatabaseService(create_engine(f"{database_url}?options=-c%20search_path%3Dpg_catalog"), keyring)
    async with service.transaction() as tx:
        shown = [
            await tx.session.scalar(text(f"SHOW {name}")) for name in ("search_path", "statement_timeout", "TimeZone")
        ]
    assert shown == ["pg_catalog", "30s", "UTC"]
    await service.close()


async def test_a_full_pool_is_unavailable_not_a_hang(
    database_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.db.engine.POOL_TIMEOUT_S", 0.05)
    service = DatabaseService(create_engine(database_url, pool_size=1, max_overflow=0), keyring)
    async with service.transaction() as tx:
        await tx.session.execute(text("SELECT 1"))
        with pytest.raises(ServiceUnavailableError, match="busy"):
            await service.ping()
    await service.close()
