"""One terminal, several that watch it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lxc_dashboard.sandbox.console import ON_A_PTY
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


SLOW = """#!/bin/sh
stty size; sleep 0.5
trap 'stty size' WINCH
sh -c "$2" & wait; wait
"""


async def test_a_size_that_is_set_before_the_guests_pty_listens_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script"
    script.write_text(SLOW)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    terminal, seen = Terminal(), bytearray()

    async def see(data: bytes) -> None:
        seen.extend(data)
        if b"0 0" in seen:
            terminal.resize(132, 43)

    terminal.listeners.add(see)
    await terminal.open(["/bin/sh", "-c", ON_A_PTY, "sleep 0.3"])
    async with asyncio.timeout(20):
        await terminal.ended.wait()
    await terminal.close()
    assert seen.split() == [b"0", b"0", b"43", b"132"]
