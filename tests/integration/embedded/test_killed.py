"""Killed embedded servers are restarted with their data. If the command is killed, its servers end too."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lxc_dashboard.embedded import EmbeddedServices
from tests.integration.embedded.kept import Hold, read, write
from tests.processes import alive

GONE_WITHIN_S = 60


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, f"still alive: {left}"
        os.sched_yield()


def server_pids(said: dict[str, Any]) -> list[int]:
    """The pids of the servers and all their children."""
    pids = list(said["pids"])
    for pid in said["pids"]:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        pids += [int(word) for word in children.split()]
    return pids


@pytest.mark.full
async def test_a_killed_server_is_revived_on_its_port_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data") as services:
        await write(services)
        before = (services.database_url, services.redis_url)
        assert await services.revive() == []
        for server in services._servers():
            assert server.process is not None
            server.process.kill()
            server.process.wait()
        assert await services.revive() == ["postgres", "valkey"]
        assert (services.database_url, services.redis_url) == before
        row, _ = await read(services.database_url, services.redis_url)
        assert row == ("stays",)


@pytest.mark.full
async def test_a_killed_server_is_revived_when_the_last_of_its_processes_has_ended(tmp_path: Path) -> None:
    async with EmbeddedServices(tmp_path / "data") as services:
        server = services._postgres
        assert server is not None
        assert server.process is not None
        with psycopg.connect(services.database_url) as client:
            slow_to_end = client.info.backend_pid
            os.kill(slow_to_end, signal.SIGSTOP)
            server.process.kill()
            server.process.wait()
            reviving = asyncio.create_task(services.revive())
            try:
                async with asyncio.timeout(60):
                    while "still in use" not in server.log_tail():
                        await asyncio.sleep(0.01)
            finally:
                os.kill(slow_to_end, signal.SIGCONT)
            assert await reviving == ["postgres"]


async def test_killing_the_command_ends_every_server_and_the_next_start_finds_the_data(
    tmp_path: Path, hold: Hold
) -> None:
    async with EmbeddedServices(tmp_path / "data") as services:
        await write(services)
    holder = hold(tmp_path / "data")
    pids = server_pids(holder.ready())
    assert len(pids) > 4
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()
    wait_until_gone(pids)
    async with EmbeddedServices(tmp_path / "data") as services:
        assert await read(services.database_url, services.redis_url) == (("stays",), b"stays")


@pytest.mark.full
async def test_a_start_right_after_a_kill_waits_for_the_old_servers(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path / "data")
    servers = holder.ready()["pids"]
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()
    async with EmbeddedServices(tmp_path / "data") as services:
        assert [pid for pid in servers if alive(pid)] == []
        await write(services)


def test_a_normal_end_leaves_no_server(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path / "data")
    pids = server_pids(holder.ready())
    assert holder.finish() == 0
    assert not [pid for pid in pids if alive(pid)]
