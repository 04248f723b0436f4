"""The supervisor in every shell at hand: a step runs once, outlives who asked for it, and its output is exact."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "lxc_dashboard" / "guest"
SHELLS = [[name] for name in ("dash", "bash") if shutil.which(name)]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []
DEADLINE_S = 20
NAMESPACES = (
    shutil.which("unshare")
    and not subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], check=False, capture_output=True
    ).returncode
)


@dataclass
class Guest:
    """A folder with the supervisor in it; ``path`` is the PATH of what runs there."""

    folder: Path
    shell: list[str]
    path: str = os.environ["PATH"]
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    def hurries(self, patient: str, hasty: str) -> None:
        """The supervisor waits less."""
        supervisor = self.folder / "supervisor.sh"
        text = supervisor.read_text()
        assert patient in text
        supervisor.write_text(text.replace(patient, hasty))

    async def start(
        self, script: str, step: str = "s1", *, timeout_s: int = 30, offset: int = 0
    ) -> asyncio.subprocess.Process:
        data = script.encode()
        process = await asyncio.create_subprocess_exec(
            *self.shell,
            str(self.folder / "supervisor.sh"),
            *("run", "NONCE", step, "script.sh", str(timeout_s), str(offset), str(len(data))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": self.path},
            start_new_session=True,
        )
        assert process.stdin
        process.stdin.write(data)
        process.stdin.close()
        self.processes.append(process)
        return process

    async def run(
        self, script: str, step: str = "s1", *, timeout_s: int = 30, offset: int = 0
    ) -> tuple[bytes, list[str]]:
        """Output and the words of the end line."""
        process = await self.start(script, step, timeout_s=timeout_s, offset=offset)
        return await self.end_of(process)

    @staticmethod
    async def end_of(process: asyncio.subprocess.Process) -> tuple[bytes, list[str]]:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
        ends = [line.split()[2:] for line in err.decode().splitlines() if line.startswith("NONCE end ")]
        assert len(ends) == 1, err
        return out, ends[0]

    async def stop(self, step: str = "s1") -> None:
        process = await asyncio.create_subprocess_exec(*self.shell, str(self.folder / "supervisor.sh"), "stop", step)
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()

    async def until_exists(self, *names: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not all((self.folder / name).exists() for name in names):
                await asyncio.sleep(0.01)

    def supervisor_pid(self, step: str = "s1") -> int:
        return int((self.folder / "steps" / step / "supervisor").read_text().split()[0])


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def test_busybox_is_among_the_shells() -> None:
    if not shutil.which("busybox"):
        pytest.skip("this machine has no busybox: nothing of the supervisor is tried in its shell")
    assert ["busybox", "sh"] in SHELLS


@pytest.fixture
def guest(tmp_path: Path, shell: list[str]) -> Iterator[Guest]:
    for name in ("supervisor.sh", "helpers.sh"):
        shutil.copy(SOURCES / name, tmp_path)
    guest = Guest(tmp_path, shell)
    guest.hurries("grace_ticks=50 ", "grace_ticks=10 ")
    yield guest
    for group in tmp_path.glob("steps/*/group"):
        with_group(int(group.read_text()), signal.SIGKILL)


def with_group(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


async def until_gone(group: int) -> None:
    """A killed process stays listed until init has reaped it."""
    async with asyncio.timeout(DEADLINE_S):
        while with_group(group, signal.SIGCONT):
            await asyncio.sleep(0.02)


@pytest.fixture
def without_gnu_tail(guest: Guest) -> Guest:
    """A guest whose ``tail`` knows no ``--pid``, as busybox's."""
    bins = guest.folder / "bin"
    bins.mkdir()
    tail = bins / "tail"
    tail.write_text(
        f'#!/bin/sh\ncase $* in *--pid*) echo "unrecognized option" >&2; exit 1 ;; esac\nexec {shutil.which("tail")} "$@"\n'
    )
    tail.chmod(0o755)
    guest.path = f"{bins}:{guest.path}"
    return guest


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


async def test_a_timeout_ends_the_whole_group(guest: Guest) -> None:
    _, end = await guest.run("sleep 300 & sleep 300", timeout_s=1)
    assert end[0] == "timeout"
    await until_gone(int((guest.folder / "steps/s1/group").read_text()))


@pytest.mark.parametrize("how", ["timeout", "cancelled"])
async def test_what_left_the_group_for_a_session_of_its_own_is_ended_too(guest: Guest, how: str) -> None:
    """As dpkg does below apt."""
    own = f"sh -c 'trap \"\" TERM; echo $$ > {guest.folder}/own; while :; do sleep 0.2; done'"
    process = await guest.start(f"setsid {own} & sleep 300", timeout_s=3 if how == "timeout" else 100)
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
    began = time.monotonic()
    await guest.stop()
    out, end = await guest.end_of(process)
    assert end[0] == "cancelled"
    assert time.monotonic() - began < DEADLINE_S
    await until_gone(int(out.split()[0]))


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
    group = int(await process.stdout.readline())  # read: who asked for the step follows it by now
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
    async with asyncio.timeout(40):
        _, err = await process.communicate()
    assert b"end lost" in err


async def test_a_step_that_has_ended_leaves_no_process(guest: Guest) -> None:
    """Whoever watches its deadline above all, which may be hours away."""
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
    """The step where its folder has no more room than that."""
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


async def delays_of(guest: Guest) -> list[float]:
    """From when a line is printed until it is read, the shortest first. The next comes once the one before was seen."""
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
    assert (await delays_of(guest))[2] < 0.1, "the machine may be slow at times, but not each time"


async def test_a_line_is_visible_at_once_without_gnu_tail(without_gnu_tail: Guest) -> None:
    assert (await delays_of(without_gnu_tail))[2] < 0.1


async def test_output_waits_for_a_slow_reader_and_stays_whole(guest: Guest) -> None:
    process = await guest.start("seq 1 300000")
    await guest.until_exists("steps/s1/status")
    out, end = await guest.end_of(process)
    expected = "".join(f"{n}\n" for n in range(1, 300_001)).encode()
    assert int(end[2]) == len(expected)
    assert expected.startswith(out)
    rest, _ = await guest.run("seq 1 300000", offset=len(out))
    assert out + rest == expected


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/usr/bin/env bash", "#!/bin/bash -eu", "#!/bin/sh -eu\r", ""])
async def test_helpers_are_there_in_every_usual_shell(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\nlog_info hello\nlog_warn $CONTAINER_OS\necho $0")
    lines = out.decode().splitlines()
    assert lines[0] == "[info] hello"
    assert lines[1].startswith("[warn] ")
    assert lines[2].endswith("/script.sh")
    assert end[:2] == ["exit", "0"]


async def test_flags_of_the_first_line_count(guest: Guest) -> None:
    assert (await guest.run("#!/bin/sh -e\nfalse\necho on", "s1"))[1][:2] == ["exit", "1"]
    assert (await guest.run("#!/bin/bash -e\nfalse\necho on", "s2"))[1][:2] == ["exit", "1"]


HELPED = "log_info hello\nis_installed sh\necho $(is_installed sh)on\n"
TRACED = "+ log_info hello\n[info] hello\n+ is_installed sh\n++ is_installed sh\n+ echo on\non\n"
READ = "log_info hello\n[info] hello\nis_installed sh\necho $(is_installed sh)on\non\n"


@pytest.mark.parametrize("first", ["#!/bin/bash -x", "#!/bin/bash -eux", "#!/usr/bin/env -S bash -e -o xtrace"])
async def test_a_trace_shows_the_scripts_own_lines(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\n{HELPED}")
    assert out.decode() == TRACED
    assert end[:2] == ["exit", "0"]


@pytest.mark.parametrize("first", ["#!/bin/sh -x", "#!/bin/sh -eux"])
async def test_a_trace_shows_the_scripts_own_lines_in_sh(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\n{HELPED}echo to stderr >&2\nexit 3\n")
    # Not every sh marks what a substitution runs.
    assert out.decode().replace("++ ", "+ ") == (
        TRACED.replace("++ ", "+ ") + "+ echo to stderr\nto stderr\n+ exit 3\n"
    )
    assert end[:2] == ["exit", "3"]


@pytest.mark.parametrize("first", ["#!/bin/bash -v", "#!/bin/bash -veu", "#!/bin/sh -v"])
async def test_a_script_that_is_shown_as_it_is_read_is_shown_alone(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\n{HELPED}")
    assert out.decode() == f"{first}\n{READ}"
    assert end[:2] == ["exit", "0"]


async def test_a_trace_that_a_script_begins_itself_ends_with_it(guest: Guest) -> None:
    out, _ = await guest.run("#!/bin/bash\nset -x\nlog_info one\nset +x\nlog_info two\n")
    assert out.decode() == "+ log_info one\n[info] one\n+ set +x\n[info] two\n"


async def test_both_flags_together(guest: Guest) -> None:
    out, _ = await guest.run("#!/bin/bash -xv\nlog_info hello\n")
    assert out.decode() == "#!/bin/bash -xv\nlog_info hello\n+ log_info hello\n[info] hello\n"


async def test_another_interpreter_runs_by_its_first_line(guest: Guest) -> None:
    out, _ = await guest.run("#!/usr/bin/env -S awk -f\nBEGIN { print 6 * 7 }")
    assert out == b"42\n"


@pytest.mark.parametrize("first", ["#!/opt/none/zsh", "#!/usr/bin/env none-of-this-name", "#!none-of-this-name -x"])
async def test_an_interpreter_that_is_not_there_is_named(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\necho never")
    asked = first.removeprefix("#!").removeprefix("/usr/bin/env ").split()[0]
    assert out.decode().startswith(f"This script asks for {asked}, which this guest does not have")
    assert end[:2] == ["exit", "127"]


async def test_interrupts_are_not_ignored_in_a_step(guest: Guest) -> None:
    if guest.shell[0] == "busybox":
        pytest.skip("no shell takes back what it was started with, and busybox's env cannot")
    out, _ = await guest.run("grep SigIgn /proc/self/status")
    assert int(out.split()[1], 16) & 0b110 == 0
