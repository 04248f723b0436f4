"""How a step ends: by itself, by timeout, cancel or reboot, or on a full disk. Nothing of it remains."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.guest.supervised import DEADLINE_S, GRACE_TICKS, NAMESPACES, Guest, until_gone, with_group


async def test_a_timeout_ends_the_whole_group(guest: Guest) -> None:
    _, end = await guest.run("sleep 300 & sleep 300", timeout_s=1)
    assert end[0] == "timeout"
    await until_gone(int((guest.folder / "steps/s1/group").read_text().split()[0]))


@pytest.mark.parametrize("how", ["timeout", "cancelled"])
async def test_what_left_the_group_for_a_session_of_its_own_is_ended_too(guest: Guest, how: str) -> None:
    """As dpkg below apt, which leaves its group."""
    own = f"sh -c 'trap \"\" TERM; echo $$ > {guest.folder}/own; while :; do sleep 0.2; done'"
    process = await guest.start(f"setsid {own} & sleep 300", timeout_s=6 if how == "timeout" else 100)
    await guest.until_exists("own", "steps/s1/group")
    if how == "cancelled":
        await guest.stop()
    assert (await guest.end_of(process))[1][0] == how
    await until_gone(int((guest.folder / "own").read_text()))


async def test_what_an_earlier_step_left_running_is_not_ended_by_a_later_ones_timeout(guest: Guest) -> None:
    daemon = f"sh -c 'echo $$ > {guest.folder}/own; exec sleep 300'"
    await guest.run(f"setsid {daemon} & until [ -s {guest.folder}/own ]; do sleep 0.02; done", "s1")
    _, end = await guest.run("sleep 300", "s10", timeout_s=1)
    assert end[0] == "timeout"
    group = int((guest.folder / "own").read_text())
    assert with_group(group, signal.SIGKILL), "it runs until here"
    await until_gone(group)


async def test_a_step_that_ignores_term_is_killed(guest: Guest) -> None:
    process = await guest.start(f"trap '' TERM; echo $$; touch {guest.folder}/deaf; while :; do sleep 0.2; done")
    await guest.until_exists("deaf")
    await guest.stop()
    out, end = await guest.end_of(process)
    assert end[0] == "cancelled"
    await until_gone(int(out.split()[0]))


async def test_where_each_look_takes_long_a_step_that_ignores_term_is_killed_no_later(guest: Guest) -> None:
    """The grace period counts seconds, not checks: a machine under load checks less often."""
    process = await guest.start(f"trap '' TERM; touch {guest.folder}/deaf; while :; do sleep 0.2; done")
    await guest.until_exists("deaf", "steps/s1/group")
    bins, looks = guest.folder / "bin", guest.folder / "looks"
    bins.mkdir()
    (bins / "sleep").write_text(f"#!/bin/sh\necho look >> {looks}\nexec {shutil.which('sleep')} 0.6\n")
    (bins / "sleep").chmod(0o755)
    guest.path = f"{bins}:{guest.path}"
    await guest.stop()
    assert (await guest.end_of(process))[1][0] == "cancelled"
    assert len(looks.read_text().split()) < GRACE_TICKS / 2


async def test_a_child_that_ignores_term_dies_with_its_step(guest: Guest) -> None:
    script = f"(trap '' TERM; touch {guest.folder}/deaf; while :; do sleep 0.2; done) & echo $$; sleep 300"
    process = await guest.start(script)
    await guest.until_exists("deaf")
    await guest.stop()
    out, end = await guest.end_of(process)
    assert end[0] == "cancelled"
    await until_gone(int(out.split()[0]))


async def test_a_stopped_step_that_never_started_never_runs(guest: Guest) -> None:
    await guest.stop()
    out, end = await guest.run(f"touch {guest.folder}/ran")
    assert (out, end[0]) == (b"", "cancelled")
    assert not (guest.folder / "ran").exists()


async def test_stopping_an_ended_step_changes_nothing(guest: Guest) -> None:
    await guest.run("exit 3")
    await guest.stop()
    assert (await guest.run("exit 3"))[1][:2] == ["exit", "3"]


async def test_a_dead_supervisor_is_told_as_lost_and_its_step_ended(guest: Guest) -> None:
    process = await guest.start("echo $$; sleep 300")
    assert process.stdout
    group = int(await process.stdout.readline())  # once this line is read, the caller is following the step
    os.kill(guest.supervisor_pid(), signal.SIGKILL)
    _, end = await guest.end_of(process)
    assert end[0] == "lost"
    await until_gone(group)
    assert (await guest.run("echo again"))[1][0] == "lost"


async def test_a_reboot_is_told(guest: Guest) -> None:
    process = await guest.start(f"touch {guest.folder}/begun; sleep 300")
    await guest.until_exists("begun", "steps/s1/supervisor")
    with_group(process.pid, signal.SIGKILL)
    await process.wait()
    os.kill(guest.supervisor_pid(), signal.SIGKILL)
    supervisor = guest.folder / "steps/s1/supervisor"
    pid, start, *_ = supervisor.read_text().split()
    supervisor.write_text(f"{pid} {start} another boot\n")
    assert (await guest.run("sleep 300"))[1][0] == "restarted"


async def test_a_supervisor_that_never_came_up_is_lost_for_good(guest: Guest) -> None:
    guest.hurries("start_ticks=500 ", "start_ticks=50 ")
    (guest.folder / "steps/s1").mkdir(parents=True)
    process = await guest.start("echo never")
    async with asyncio.timeout(DEADLINE_S):
        _, err = await process.communicate()
    assert b"end lost" in err


async def test_a_step_that_has_ended_leaves_no_process(guest: Guest) -> None:
    """The process that watches the deadline ends, too. The deadline may be hours away."""
    name = f"{guest.folder}/supervisor.sh"
    out, end = await guest.run("echo done", timeout_s=86399)
    assert (out, end[0]) == (b"done\n", "exit")
    async with asyncio.timeout(DEADLINE_S):
        while left := [words for words in _processes() if name in words or words[:2] == ["sleep", "86399"]]:
            await asyncio.sleep(0.01)
    assert left == []


def _processes() -> Iterator[list[str]]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_text(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue


async def on_small_disk(guest: Guest, size_kib: int, script: bytes) -> tuple[int, bytes, bytes]:
    """Run the step with its folder on a file system of ``size_kib``."""
    disk = guest.folder / "disk"
    disk.mkdir()
    beside = f"mount -t tmpfs -o size={size_kib}k none {disk} && cp {guest.folder}/*.sh {disk} && exec "
    run = shlex.join(
        [*guest.shell, f"{disk}/supervisor.sh", "run", "NONCE", "s1", "script.sh", "30", "0", str(len(script))]
    )
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", beside + run),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate(script)
    assert process.returncode is not None
    return process.returncode, out, err


@pytest.mark.skipif(not NAMESPACES, reason="no mount in a namespace of one's own here")
async def test_a_step_that_fills_the_disk_keeps_its_end(guest: Guest) -> None:
    fill = b"head -c 9999999 /dev/zero > ${0%/*}/filling 2>/dev/null; exit 5\n"
    status, out, err = await on_small_disk(guest, 256, fill)
    assert (status, out, err) == (0, b"", b"NONCE end exit 5 0\n")


@pytest.mark.skipif(not NAMESPACES, reason="no mount in a namespace of one's own here")
async def test_a_script_that_the_disk_cannot_hold_does_not_start(guest: Guest) -> None:
    status, out, err = await on_small_disk(guest, 64, b"echo ran\n#" + b"x" * 200_000)
    assert (status, out) == (92, b"")
    assert b"cannot be stored" in err


async def test_a_damaged_script_does_not_start(guest: Guest) -> None:
    process = await asyncio.create_subprocess_exec(
        *guest.shell,
        str(guest.folder / "supervisor.sh"),
        *("run", "NONCE", "s1", "script.sh", "30", "0", "17"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    assert process.returncode == 94
    assert not (guest.folder / "steps").exists()


async def test_a_daemon_left_behind_holds_nothing_up(guest: Guest) -> None:
    out, end = await guest.run("sleep 300 & echo $$; exit 0")
    assert end[:2] == ["exit", "0"]
    assert with_group(int(out.split()[0]), signal.SIGCONT), "a service that a script started goes on"
