"""Steps that run in the guest without a connection: install their supervisor, start, follow, stop and remove them."""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final, TypeVar

import structlog

from lxc_dashboard.errors import CommandFailedError, GuestError, GuestUnreachableError, WrongGuestError
from lxc_dashboard.guest.base import GUEST_FOLDER, MARKER_FILE, STATE_FOLDER, Door, GuestStream
from lxc_dashboard.guest.codes import GuestCode
from lxc_dashboard.messages import Message

_STEP_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,190}")


class Outcome(StrEnum):
    """The end of a step. ``lost``: its supervisor was killed. ``stopped`` and ``restarted`` are about its guest."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    LOST = "lost"


# Asks PVE about a silent guest: STOPPED, RESTARTED, or None where it runs or the answer is unknown.
Judge = Callable[[], Awaitable[Outcome | None]]


async def ask_nobody() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """A script for the guest. ``id`` names one run: a second start adopts it. ``name`` is the script's $0."""

    id: str
    name: str
    script: bytes = field(repr=False)
    timeout_s: int

    def __post_init__(self) -> None:
        if not _STEP_ID.fullmatch(self.id) or not _STEP_ID.fullmatch(self.name):
            raise GuestError(Message.of(GuestCode.STEP_NAME_INVALID), detail=f"{self.id} {self.name}")


@dataclass(frozen=True, slots=True)
class StepEnd:
    """The end of a step. ``size`` is the length of the whole output in bytes."""

    outcome: Outcome
    exit_status: int
    size: int

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.EXIT and self.exit_status == 0


def end_from_outcome(outcome: Outcome) -> StepEnd:
    """Return the end of a step that PVE's answer decides."""
    return StepEnd(outcome, 0, 0)


log = structlog.get_logger(__name__)

RECONNECT_FOR_S: Final = 120.0
RESTARTED_WAIT_S: Final = 8.0  # how long to wait for the output of a step whose guest restarted
# A guest can replace its supervisor, so the worker also limits time and output of a step.
OVERTIME_S: Final = 300.0
OUTPUT_MAX_BYTES: Final = 4 << 30
_BACKOFF_S: Final = (0.1, 0.3, 1.0, 2.0, 4.0)


class _StepLimits:
    """The limits of a step's time and output over all its connections. The time of its reader does not count."""

    def __init__(self, timeout_s: int) -> None:
        self._left_s = timeout_s + OVERTIME_S
        self._left_bytes = OUTPUT_MAX_BYTES

    @contextmanager
    def waiting(self) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            yield
        finally:
            self._left_s -= clock() - began

    def check(self, printed: int) -> None:
        """Raise ``GuestError`` where the step exceeds a limit."""
        self._left_bytes -= printed
        if self._left_s < 0:
            raise GuestError(Message.of(GuestCode.OVERTIME))
        if self._left_bytes < 0:
            raise GuestError(Message.of(GuestCode.OUTPUT_TOO_LARGE, gib=OUTPUT_MAX_BYTES >> 30))


class _Reconnects:
    """The retries of a lost connection, counted from the last output."""

    def __init__(self) -> None:
        self._tries = 0
        self._until = 0.0

    def renew(self) -> None:
        self._tries = 0
        self._until = 0.0

    async def wait(self, error: GuestUnreachableError, judge: Judge) -> Outcome | None:
        """Wait before the next try, or return the end that ``judge`` reports. Raises ``error`` when time is over."""
        clock = asyncio.get_running_loop().time
        lost_at = clock()
        outcome = await judge()
        if self._tries == 0:
            self._until = lost_at + RECONNECT_FOR_S
        tried_s = lost_at + RECONNECT_FOR_S - self._until
        if outcome is Outcome.STOPPED or (outcome is Outcome.RESTARTED and tried_s >= RESTARTED_WAIT_S):
            return outcome
        if clock() >= self._until:
            raise error
        delay_s = _BACKOFF_S[min(self._tries, len(_BACKOFF_S) - 1)]
        self._tries += 1
        log.info("guest connection lost", tries=self._tries, delay_s=delay_s, error=str(error))
        await asyncio.sleep(delay_s)
        return None


log = structlog.get_logger(__name__)

SILENCE_LIMIT_S: Final = 15.0  # the supervisor sends a beat every 3 s: a connection that is silent for longer is dead
QUIET_AFTER_S: Final = 6.0  # two beats are missing: ask whether the guest still runs
ASK_EVERY_S: Final = 3.0
STOP_TIMEOUT_S: Final = 14.0
_LOGGED_LINES: Final = 20
_SCRIPT: Final = f"{STATE_FOLDER}/supervisor.sh"
_OTHER_MARKER: Final = 96
_END: Final = re.compile(r"(exit|timeout|cancelled|restarted|lost)" + r" ([0-9]{1,18})" * 2)
_OF_EXIT_STATUS: Final = {
    92: GuestCode.SCRIPT_NOT_STORED,
    93: GuestCode.NOT_STARTED,
    94: GuestCode.SCRIPT_DAMAGED,
    95: GuestCode.NO_SETSID,
    127: GuestCode.MISSING,
}
# A shell reads its script while it runs, so a file in use is never overwritten. cat reports why printf fails.
_PUT: Final = """
put() {
    place=$1
    [ ! -e "$1" ] || place=$1.$$
    printf %s "$2" >"$place" || printf %s "$2" | cat >"$place"
    [ "$place" = "$1" ] || mv -f "$place" "$1"
}
"""
T = TypeVar("T")


class Supervisor:
    """The supervisor of one guest. All methods can be repeated."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def install(self, marker: str) -> None:
        """Write the marker, the supervisor and the helpers into the guest, in one command.

        Raises ``WrongGuestError`` where the guest carries another marker.
        """
        script = _install_script(marker)
        result = await self._door.run(["/bin/sh"], stdin=script.encode())
        if result.exit_status == _OTHER_MARKER:
            raise WrongGuestError(detail=result.error_text.strip())
        if result.exit_status != 0:
            raise CommandFailedError(Message.of(GuestCode.PREPARING), result.exit_status, result.error_text)

    async def follow(self, step: Step, offset: int = 0, judge: Judge | None = None) -> AsyncGenerator[bytes | StepEnd]:
        """Start or adopt the step. Yields its output from byte ``offset``, then its end.

        Reconnects for ``RECONNECT_FOR_S``. No byte comes twice or is left out. Calls ``judge`` for a silent or lost
        guest: a guest that is stopped or does not come back ends the step. Raises ``GuestUnreachableError`` after
        that time, ``GuestError`` for a step that exceeds its limits.
        """
        reconnects, limits, judge = _Reconnects(), _StepLimits(step.timeout_s), judge or ask_nobody
        while True:
            attempt = _Attempt(self._door, step, offset, limits, judge)
            try:
                async with aclosing(attempt.output()) as output:
                    async for chunk in output:
                        offset += len(chunk)
                        reconnects.renew()
                        yield chunk
            except GuestUnreachableError as error:
                with limits.waiting():
                    outcome = await reconnects.wait(error, judge)
                if outcome is not None:
                    yield end_from_outcome(outcome)
                    return
                limits.check(0)
                continue
            if attempt.end is not None and offset >= attempt.end.size:
                yield attempt.end
                return
            await reconnects.wait(GuestUnreachableError(Message.of(GuestCode.OUTPUT_ENDED_EARLY)), ask_nobody)

    async def stop(self, step_id: str) -> None:
        """End all processes of the step within 10 s: TERM, then KILL. A step that never started will not start."""
        result = await self._door.run(["/bin/sh", _SCRIPT, "stop", step_id], timeout_s=STOP_TIMEOUT_S)
        if result.exit_status not in {0, 127}:
            raise CommandFailedError(Message.of(GuestCode.STOPPING_STEP), result.exit_status, result.error_text)

    async def remove(self) -> None:
        """Remove everything from the guest except the marker and the credentials."""
        result = await self._door.run(["rm", "-rf", STATE_FOLDER])
        if result.exit_status != 0:
            raise CommandFailedError(Message.of(GuestCode.REMOVING_SUPERVISOR), result.exit_status, result.error_text)


class _Attempt:
    """One connection that starts or adopts a step and reads its output."""

    def __init__(self, door: Door, step: Step, offset: int, limits: _StepLimits, judge: Judge) -> None:
        self._door = door
        self._limits = limits
        self._judge = judge
        self._logged_lines = 0
        self._step = step
        self._nonce = secrets.token_hex(8)
        self._control = b""
        self._argv = [
            "/bin/sh", _SCRIPT, "run", self._nonce, step.id, step.name, str(step.timeout_s), str(offset),
            str(len(step.script)),
        ]  # fmt: skip
        self.end: StepEnd | None = None

    async def output(self) -> AsyncGenerator[bytes]:
        async with self._door.stream(self._argv, stdin=self._step.script) as stream:
            while True:
                with self._limits.waiting():
                    out, err = await self._next(stream)
                self._limits.check(len(out))
                self._read_control(err)
                if out:
                    yield out
                if not (out or err):
                    break
            await self._settle(stream)

    async def _next(self, stream: GuestStream) -> tuple[bytes, bytes]:
        """Return the next output, two empty ones at the end and for a guest that is stopped."""
        async with _running(stream.read()) as reading:
            await asyncio.wait((reading,), timeout=QUIET_AFTER_S)
            if not reading.done():
                await self._check_silent_guest(reading)
            return reading.result() if reading.done() else (b"", b"")

    async def _check_silent_guest(self, reading: asyncio.Task[tuple[bytes, bytes]]) -> None:
        """Wait for output, or for PVE's answer that the guest is stopped, which ends the step."""
        async with _running(self._ask_judge()) as judging:
            left_s = SILENCE_LIMIT_S - QUIET_AFTER_S
            await asyncio.wait((reading, judging), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return
            if not judging.done():
                raise GuestUnreachableError(Message.of(GuestCode.SILENT, seconds=round(SILENCE_LIMIT_S)))
            if judging.result() is Outcome.RESTARTED:
                raise GuestUnreachableError(Message.of(GuestCode.RESTARTED))
            self.end = end_from_outcome(judging.result())

    async def _ask_judge(self) -> Outcome:
        while True:
            outcome = await self._judge()
            if outcome is not None:
                return outcome
            await asyncio.sleep(ASK_EVERY_S)

    def _read_control(self, err: bytes) -> None:
        *lines, self._control = (self._control + err).split(b"\n")
        for line in lines:
            words = line.decode("ascii", "replace").split()
            if words[:2] == [self._nonce, "end"]:
                self.end = self._end_of(" ".join(words[2:]))
            elif words[:1] != [self._nonce] and line.strip() and self._logged_lines < _LOGGED_LINES:
                self._logged_lines += 1
                log.warning("supervisor error output", step=self._step.id, line=line.decode("utf-8", "replace")[:500])
        self._control = self._control[-4096:]

    def _end_of(self, words: str) -> StepEnd:
        match = _END.fullmatch(words)
        if match is None:
            raise GuestError(Message.of(GuestCode.REPLACED), detail=words[:200])
        return StepEnd(Outcome(match[1]), *(int(number) for number in match.groups()[1:]))

    async def _settle(self, stream: GuestStream) -> None:
        if self.end is not None:
            return
        try:
            async with asyncio.timeout(SILENCE_LIMIT_S):
                status = await stream.exit_status()
        except TimeoutError:
            raise GuestUnreachableError(Message.of(GuestCode.CONNECTION_STAYS)) from None
        if status in _OF_EXIT_STATUS:
            raise GuestError(Message.of(_OF_EXIT_STATUS[status]), detail=self._step.id)
        raise GuestUnreachableError(Message.of(GuestCode.STOPPED_ANSWERING), detail=f"{self._step.id}: {status}")


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run ``work`` as a task, and cancel it at the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # reported already


def _install_script(marker: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", marker):
        raise GuestError(Message.of(GuestCode.MARKER_INVALID))
    # Uses only the shell's own commands: each process is slow in a guest that has just started.
    parts = [
        "set -eu",
        f"[ ! -d {GUEST_FOLDER} ] || chmod 755 {GUEST_FOLDER}; [ ! -d {STATE_FOLDER} ] || chmod 700 {STATE_FOLDER}",
        f"umask 022; [ -d {GUEST_FOLDER} ] || mkdir -p {GUEST_FOLDER}",
        f"umask 077; [ -d {STATE_FOLDER} ] || mkdir -p {STATE_FOLDER}",
        # A hard link is made only where there is no marker yet, and is complete.
        f"if [ ! -e {MARKER_FILE} ]; then umask 222; printf '%s\\n' {marker} > {MARKER_FILE}.$$; umask 077",
        f"ln {MARKER_FILE}.$$ {MARKER_FILE} 2>/dev/null || :; rm -f {MARKER_FILE}.$$; fi",
        f'read -r found < {MARKER_FILE}; [ "$found" = {marker} ] || {{ echo "marker $found" >&2; exit {_OTHER_MARKER}; }}',
        _PUT,
    ]
    for name in ("helpers.sh", "supervisor.sh"):
        content = files("lxc_dashboard.guest").joinpath(name).read_text(encoding="utf-8")
        parts.append(f"put {STATE_FOLDER}/{name} {shlex.quote(content)}")
    return "\n".join(parts) + "\n"


# Removes the state first, so that the old marker remains until the state is gone.
_FORGET: Final = f"""
read -r found <{MARKER_FILE} && [ "$found" = "$1" ] || exit {_OTHER_MARKER}
rm -rf {STATE_FOLDER} && rm -f {MARKER_FILE}
"""


async def read_marker(door: Door) -> str:
    """Return the guest's marker. Raises ``CommandFailedError`` where there is none."""
    result = await door.run(["cat", MARKER_FILE])
    if result.exit_status != 0:
        raise CommandFailedError(Message.of(GuestCode.READING_MARKER), result.exit_status, result.error_text)
    return result.text.strip()


async def clear_marker(door: Door, marker: str) -> None:
    """Remove ``marker`` and the state beside it, which an OS template may hold from another container.

    Raises ``WrongGuestError`` where the guest carries another marker, ``CommandFailedError``.
    """
    result = await door.run(["/bin/sh", "-c", _FORGET, "sh", marker])
    if result.exit_status == _OTHER_MARKER:
        raise WrongGuestError
    if result.exit_status != 0:
        raise CommandFailedError(Message.of(GuestCode.REMOVING_MARKER), result.exit_status, result.error_text)
