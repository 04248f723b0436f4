"""One terminal, several that watch it."""

from __future__ import annotations

import asyncio

from lxc_dashboard.sandbox.terminal import Terminal

SAYS_WHAT_IT_IS_TOLD = ("sh", "-c", "read line; echo one; read line; echo two")


async def test_who_leaves_while_it_says_something_ends_it_for_nobody() -> None:
    terminal, seen = Terminal(), bytearray()

    async def stays(data: bytes) -> None:
        seen.extend(data)

    async def left(data: bytes) -> None:
        raise ConnectionResetError

    terminal.listeners |= {left, stays}
    await terminal.open(SAYS_WHAT_IT_IS_TOLD)
    await terminal.write(b"\n")
    async with asyncio.timeout(30):
        while b"one" not in seen:
            await asyncio.sleep(0.01)
        assert terminal.listeners == {stays}
        await terminal.write(b"\n")
        await terminal.ended.wait()
    assert b"two" in seen
    await terminal.close()
