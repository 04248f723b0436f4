"""A terminal with several viewers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pve_sandbox.api.containers.console import ON_A_PTY, Terminal

SAYS_WHAT_IT_IS_TOLD = ("sh", "-c", "read line; echo one; read line; echo two")


async def test_a_viewer_that_leaves_during_output_does_not_end_the_terminal() -> None:
    terminal, seen = Terminal(), bytearray()

    async def stays(data: bytes) -> None:
        seen.extend(data)

    async def left(data: bytes) -> None:
        raise ConnectionResetError

    terminal.listeners |= {left, stays}
    await terminal.open(SAYS_WHAT_IT_IS_TOLD)
    await terminal.write(b"\n")
    async with asyncio.timeout(60):
        while b"one" not in seen:
            await asyncio.sleep(0.01)
        assert terminal.listeners == {stays}
        await terminal.write(b"\n")
        await terminal.ended.wait()
    assert b"two" in seen
    await terminal.close()


SLOW = """#!/bin/sh
stty size
until [ -e "$0.go" ]; do sleep 0.02; done
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
        if seen.split() == [b"0", b"0"]:
            terminal.resize(132, 43)
            (tmp_path / "script.go").touch()

    terminal.listeners.add(see)
    await terminal.open(["/bin/sh", "-c", ON_A_PTY, "sleep 0.3"])
    async with asyncio.timeout(60):
        await terminal.ended.wait()
    await terminal.close()
    assert seen.split() == [b"0", b"0", b"43", b"132"]


DEAF = "stty raw -echo; echo deaf; while [ ! -e {} ]; do sleep 0.02; done; {}"
MUCH = b"x" * 200_000  # more than a pty buffers


async def deaf(terminal: Terminal, go: Path, then: str) -> bytearray:
    """Run a command that reads nothing until ``go`` exists. Returns its output."""
    seen, started = bytearray(), asyncio.Event()

    async def see(data: bytes) -> None:
        seen.extend(data)
        started.set()

    terminal.listeners.add(see)
    await terminal.open(["/bin/sh", "-c", DEAF.format(go, then)])
    async with asyncio.timeout(60):
        await started.wait()
    return seen


async def test_large_input_of_two_viewers_arrives_complete(tmp_path: Path) -> None:
    terminal, go = Terminal(), tmp_path / "go"
    seen = await deaf(terminal, go, f"head -c {2 * len(MUCH)} | wc -c")
    typing = [asyncio.create_task(terminal.write(MUCH)) for _ in range(2)]
    await asyncio.wait(typing, timeout=0.2)
    assert not any(task.done() for task in typing)
    go.touch()
    async with asyncio.timeout(60):
        await asyncio.gather(*typing)
        await terminal.ended.wait()
    await terminal.close()
    assert seen.split()[-1] == b"%d" % (2 * len(MUCH))


async def test_input_while_a_terminal_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    terminal, go = Terminal(), tmp_path / "go"
    await deaf(terminal, go, "true")
    number = terminal._master
    typing = asyncio.create_task(terminal.write(MUCH))
    await asyncio.wait([typing], timeout=0.2)
    go.touch()
    async with asyncio.timeout(60):
        await typing
    await terminal.close()
    assert not asyncio.get_running_loop().remove_writer(number), (
        "whoever gets this descriptor next could not be waited for"
    )
