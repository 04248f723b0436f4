"""A client of the sandbox's SSH server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncssh

from pve_sandbox.ssh.door import SshDoor

VMID = 101
DEADLINE_S = 60


@asynccontextmanager
async def connected(
    door: SshDoor, username: str = "root", key: str = ""
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{door.port} {door.host_key}\n")
    private = asyncssh.import_private_key(key or door.client_key)
    async with asyncssh.connect(
        "127.0.0.1", door.port, username=username, client_keys=[private], known_hosts=known, config=None
    ) as connection:
        yield connection


async def output_of(
    connection: asyncssh.SSHClientConnection, command: str, text: bytes | None = None
) -> tuple[int, str, str]:
    result = await connection.run(command, input=text, encoding=None)
    assert isinstance(result.stdout, bytes)
    assert isinstance(result.stderr, bytes)
    return result.returncode or 0, result.stdout.decode(), result.stderr.decode()


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
