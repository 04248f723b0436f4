"""The embedded PostgreSQL and Valkey: real servers with their data in a folder."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.embedded.folder import free_port
from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from tests.integration.embedded.kept import read, write


async def test_a_second_start_finds_what_the_first_one_wrote(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data") as services:
        await write(services)
    async with EmbeddedServices(tmp_path / "data") as services:
        assert await read(services.database_url, services.redis_url) == (("stays",), b"stays")


async def test_both_are_of_the_promised_versions(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        with psycopg.connect(services.database_url) as connection:
            assert connection.info.server_version // 10_000 == 18
        client = Redis.from_url(services.redis_url)
        assert str((await client.info("server"))["valkey_version"]).startswith("9.")
        await client.aclose()


async def test_neither_lets_anybody_in_without_the_password(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(services.database_url, password="wrong")
        client = Redis.from_url(services.redis_url.replace("redis://:", "redis://:wrong"))
        with pytest.raises(AuthenticationError):
            await client.get("anything")
        await client.aclose()


async def test_passwords_stand_in_no_command_line_and_files_are_private(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        secrets = [url.partition("@")[0].rpartition(":")[2] for url in (services.database_url, services.redis_url)]
        for server in services._servers():
            assert server.process is not None
            shown = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode()
            assert not [secret for secret in secrets if secret in shown]
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "data" / "access.json").stat().st_mode) == 0o600
        for part in ("postgres", "valkey", "log"):
            assert stat.S_IMODE((tmp_path / "data" / part).stat().st_mode) == 0o700


async def test_servers_listen_on_loopback_only(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        ports = {int(url.rpartition(":")[2].partition("/")[0]) for url in (services.database_url, services.redis_url)}
        listening = [
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        ]
        bound = {address for address in listening if int(address.rpartition(":")[2], 16) in ports}
        assert {address.partition(":")[0] for address in bound} == {"0100007F"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
async def test_root_runs_neither_server(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        for server in services._servers():
            assert server.process is not None
            assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0


async def test_a_folder_in_use_is_refused_by_the_name_of_its_holder(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False):
        with pytest.raises(ConflictError, match=f"in use by process {os.getpid()}"):
            await EmbeddedServices(tmp_path / "data").start()


async def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        first = services.database_url
    port = int(first.rpartition(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        async with EmbeddedServices(tmp_path / "data", durable=False) as services:
            assert services.database_url != first
            with psycopg.connect(services.database_url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_ports_stay_the_same_while_they_are_free(tmp_path: Path) -> None:
    urls = []
    for _ in range(2):
        async with EmbeddedServices(tmp_path / "data", durable=False) as services:
            urls.append((services.database_url, services.redis_url))
    assert urls[0] == urls[1]


async def test_a_stale_pid_file_is_no_hindrance(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        await write(services)
    file = tmp_path / "data" / "postgres" / "data" / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n/nowhere\n0\n5432\n\n127.0.0.1\n 0 0\nready\n", encoding="ascii")
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        with psycopg.connect(services.database_url) as connection:
            assert connection.execute("SELECT word FROM kept").fetchone() == ("stays",)


async def test_a_first_start_that_was_cut_short_is_made_good_by_the_next(tmp_path: Path) -> None:
    draft = tmp_path / "data" / "postgres" / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n", encoding="ascii")
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        with psycopg.connect(services.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_a_server_that_cannot_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data", durable=False):
        pass
    (tmp_path / "data" / "postgres" / "data" / "PG_VERSION").write_text("12\n", encoding="ascii")
    with pytest.raises(ServiceUnavailableError, match="postgres ended while starting") as caught:
        await EmbeddedServices(tmp_path / "data", durable=False).start()
    assert "incompatible with server" in caught.value.detail


def test_a_free_port_is_none_that_the_system_gives_away_and_the_preferred_one_where_it_is_free() -> None:
    port = free_port()
    assert 20_000 <= port < 30_000
    assert free_port(port) == port
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(port) != port


async def test_a_thread_may_not_start_servers(tmp_path: Path) -> None:
    def start() -> None:
        asyncio.run(EmbeddedServices(tmp_path / "data").start())

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(start)
