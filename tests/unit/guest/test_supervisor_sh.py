"""The supervisor in every shell of this machine: a step runs once and outlives its caller."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time

import pytest

from tests.unit.guest.supervised import SHELLS, Guest, with_group


def test_busybox_is_among_the_shells() -> None:
    if not shutil.which("busybox"):
        pytest.skip("this machine has no busybox: nothing of the supervisor is tried in its shell")
    assert ["busybox", "sh"] in SHELLS


async def test_output_and_status_are_exact(guest: Guest) -> None:
    out, end = await guest.run("printf 'a\\n\\000b'; printf 'no newline' >&2; exit 7")
    assert out == b"a\n\0bno newline"
    assert end[:3] == ["exit", "7", "14"]


async def test_what_a_step_makes_may_be_read_in_the_guest_and_what_is_ours_may_not(guest: Guest) -> None:
    made = guest.folder / "made"
    out, _ = await guest.run(f"mkdir {made}\necho page > {made}/index.html\numask\n")
    assert out == b"0022\n"
    assert [oct(place.stat().st_mode & 0o777) for place in (made, made / "index.html")] == ["0o755", "0o644"]
    step = guest.folder / "steps" / "s1"
    assert [oct(place.stat().st_mode & 0o077) for place in (step, step / "out", step / "status")] == ["0o0"] * 3


async def test_output_is_exact_where_tail_knows_no_pid(without_gnu_tail: Guest) -> None:
    out, end = await without_gnu_tail.run("for i in 1 2 3; do echo $i; sleep 0.1; done; printf x")
    assert out == b"1\n2\n3\nx"
    assert end[:2] == ["exit", "0"]


@pytest.mark.parametrize("offset", [0, 1, 5, 14])
async def test_a_second_start_adopts_and_reads_from_its_offset(guest: Guest, offset: int) -> None:
    script = f"echo ran >> {guest.folder}/runs; echo 0123456789abc"
    await guest.run(script)
    out, end = await guest.run(script, offset=offset)
    assert out == b"0123456789abc\n"[offset:]
    assert end[:3] == ["exit", "0", "14"]
    assert (guest.folder / "runs").read_text() == "ran\n"


async def test_an_offset_in_a_running_step_is_exact_without_gnu_tail(without_gnu_tail: Guest) -> None:
    guest = without_gnu_tail
    script = f"echo 0123456789; touch {guest.folder}/printed; while [ ! -e {guest.folder}/go ]; do sleep 0.05; done; echo end"
    first = await guest.start(script)
    await guest.until_exists("printed")
    second = await guest.start(script, offset=4)
    await guest.until_exists("steps/s1/supervisor")
    (guest.folder / "go").touch()
    assert (await guest.end_of(second))[0] == b"456789\nend\n"
    assert (await guest.end_of(first))[0] == b"0123456789\nend\n"


async def test_starts_at_the_same_moment_run_the_step_once(guest: Guest) -> None:
    script = f"echo ran >> {guest.folder}/runs; sleep 0.3; echo out"
    results = await asyncio.gather(*(guest.run(script) for _ in range(8)))
    assert [out for out, _ in results] == [b"out\n"] * 8
    assert (guest.folder / "runs").read_text() == "ran\n"


async def test_the_step_outlives_the_one_who_asked_for_it(guest: Guest) -> None:
    script = f"echo begin; touch {guest.folder}/begun; while [ ! -e {guest.folder}/go ]; do sleep 0.05; done; echo end"
    process = await guest.start(script)
    await guest.until_exists("begun")
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    (guest.folder / "go").touch()
    out, end = await guest.run(script)
    assert out == b"begin\nend\n"
    assert end[0] == "exit"


@pytest.mark.parametrize("moment_ms", [0, 2, 5, 10, 20, 40])
async def test_killing_the_starter_at_any_moment_leaves_none_or_one_run(guest: Guest, moment_ms: int) -> None:
    script = f"echo ran >> {guest.folder}/runs; echo out"
    process = await guest.start(script)
    await asyncio.sleep(moment_ms / 1000)
    if process.returncode is None:
        with_group(process.pid, signal.SIGKILL)
    await process.wait()
    out, end = await guest.run(script)
    assert out == b"out\n"
    assert end[:2] == ["exit", "0"]
    assert (guest.folder / "runs").read_text() == "ran\n"


async def delays_of(guest: Guest) -> list[float]:
    """Seconds from printing a line until it is read, sorted.

    Each line is printed only after the one before was read. A reader that polls is thus late by a whole interval
    each time.
    """
    wait = f"until [ -e {guest.folder}/seen$i ]; do sleep 0.02; done"
    process = await guest.start(f"for i in 1 2 3 4 5 6 7 8 9 10; do date +%s.%N; {wait}; done", timeout_s=100)
    assert process.stdout
    delays = []
    for number in range(1, 11):
        delays.append(time.time() - float(await process.stdout.readline()))
        (guest.folder / f"seen{number}").touch()
    await process.communicate()
    return sorted(delays)


async def test_a_line_is_visible_at_once(guest: Guest) -> None:
    assert (await delays_of(guest))[0] < 0.1, "the machine may be slow at times, but not each time"


async def test_a_line_is_visible_at_once_without_gnu_tail(without_gnu_tail: Guest) -> None:
    assert (await delays_of(without_gnu_tail))[0] < 0.1


async def test_output_waits_for_a_slow_reader_and_stays_whole(guest: Guest) -> None:
    process = await guest.start("seq 1 300000")
    await guest.until_exists("steps/s1/status")
    out, end = await guest.end_of(process)
    expected = "".join(f"{n}\n" for n in range(1, 300_001)).encode()
    assert int(end[2]) == len(expected)
    assert expected.startswith(out)
    rest, _ = await guest.run("seq 1 300000", offset=len(out))
    assert out + rest == expected
