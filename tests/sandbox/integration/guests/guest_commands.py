"""Running commands in a guest, and waiting for their effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from pve_sandbox.guests.host import GuestHost, run_in

PROJECT = Path(__file__).resolve().parents[4]
VMID = 101
DEADLINE_S = 60


async def output_of(host: GuestHost, script: str, vmid: int = VMID) -> str:
    """Run a script that must succeed, and return its output."""
    status, output = await run_in(host, vmid, ["sh", "-c", script])
    assert status == 0, output.decode()
    return output.decode().strip()


async def status_of(host: GuestHost, script: str) -> int:
    return (await run_in(host, VMID, ["sh", "-c", script]))[0]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            await asyncio.sleep(0.01)
