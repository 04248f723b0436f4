"""Steps in the guest that outlive the connection: put there, started once, followed, stopped, removed."""

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

_STEP_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,190}")


class Outcome(StrEnum):
    """How a step ended. ``lost``: its supervisor was killed. ``stopped`` and ``restarted``: the guest was, under it."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    LOST = "lost"


# Asks others about a guest that says nothing: STOPPED, RESTARTED, or None where it runs, or where nobody knows.
Judge = Callable[[], Awaitable[Outcome | None]]


async def nobody_knows() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """``id`` names one run for good: a second start of it adopts the first. ``name`` is what the script sees as $0."""

    id: str
    name: str
    script: bytes = field(repr=False)
    timeout_s: int

    def __post_init__(self) -> None:
        if not _STEP_ID.fullmatch(self.id) or not _STEP_ID.fullmatch(self.name):
            raise GuestError("The step has a name that a guest cannot hold", detail=f"{self.id} {self.name}")


@dataclass(frozen=True, slots=True)
class StepEnd:
    """``size`` is the length of all output in bytes."""

    outcome: Outcome
    exit_status: int
    size: int

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.EXIT and self.exit_status == 0


def judged(outcome: Outcome) -> StepEnd:
    """The end of a step by what is known from elsewhere."""
    return StepEnd(outcome, 0, 0)


log = structlog.get_logger(__name__)

RECONNECT_FOR_S: Final = 120.0
RESTARTED_WAIT_S: Final = 8.0  # so long a guest that was restarted is tried, for what the step has printed until then
# What is in the guest may be replaced by the guest: that a step ends, and says no more than this, is seen to from here as well.
OVERTIME_S: Final = 300.0
OUTPUT_MAX_BYTES: Final = 4 << 30
_BACKOFF_S: Final = (0.1, 0.3, 1.0, 2.0, 4.0)


class Bound:
    """How long and how much a step may keep us, however often it is connected to. The time that its reader takes is not its own."""

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
        """Raises ``GuestError``."""
        self._left_bytes -= printed
        if self._left_s < 0:
            raise GuestError("The step goes on in the guest long after its time is over, and nothing there ends it")
        if self._left_bytes < 0:
            raise GuestError(f"The step printed more than {OUTPUT_MAX_BYTES >> 30} GiB")


class Patience:
    """How long a door that went away is tried again, from the last sign of life."""

    def __init__(self) -> None:
        self._tries = 0
        self._until = 0.0

    def renew(self) -> None:
        self._tries = 0
        self._until = 0.0

    async def wait(self, error: GuestUnreachableError, judge: Judge) -> Outcome | None:
        """Before the next try; or how the step has ended by what ``judge`` says."""
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

SILENCE_LIMIT_S: Final = 15.0  # the supervisor beats every 3 s; a stream silent for longer is a dead one
QUIET_AFTER_S: Final = 6.0  # two beats are missing: time to ask whether the guest still runs
ASK_EVERY_S: Final = 3.0
STOP_TIMEOUT_S: Final = 14.0
_WORDS_LOGGED: Final = 20
_SCRIPT: Final = f"{STATE_FOLDER}/supervisor.sh"
_OTHER_MARKER: Final = 96
_END: Final = re.compile(r"(exit|timeout|cancelled|restarted|lost)" + r" ([0-9]{1,18})" * 2)
_EXIT_MEANINGS: Final = {
    92: "the script cannot be stored in the guest: its disk is full, or read-only",
    93: "the supervisor in the guest did not start",
    94: "the script arrived damaged",
    95: "setsid is missing in this guest (package util-linux)",
    127: "the supervisor is not in the guest any more",
}
# Over what may be running nothing is written: a shell reads its script as it goes. cat says why where printf cannot.
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
    """The supervisor of one guest. All methods may be repeated at will."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def install(self, marker: str) -> None:
        """Put the marker, the supervisor and the helpers into the guest, in one entry.

        Raises ``WrongGuestError`` where the guest carries another marker already.
        """
        script = _install_script(marker)
        result = await self._door.run(["/bin/sh"], stdin=script.encode())
        if result.exit_status == _OTHER_MARKER:
            raise WrongGuestError(detail=result.error_text.strip())
        if result.exit_status != 0:
            raise CommandFailedError("Preparing the guest", result.exit_status, result.error_text)

    async def follow(self, step: Step, offset: int = 0, judge: Judge | None = None) -> AsyncGenerator[bytes | StepEnd]:
        """Start the step, or adopt it where it was started before; its output from byte ``offset``, then its end.

        A lost connection is opened again for ``RECONNECT_FOR_S``; no byte comes twice and none is left out. ``judge`` is
        asked when nothing comes, or the connection went: a guest that is stopped, or does not come back, ends the step.
        Raises ``GuestUnreachableError`` after that, ``GuestError`` for a step that goes on far beyond its time or without bound.
        """
        patience, bound, judge = Patience(), Bound(step.timeout_s), judge or nobody_knows
        while True:
            attempt = _Attempt(self._door, step, offset, bound, judge)
            try:
                async with aclosing(attempt.output()) as output:
                    async for chunk in output:
                        offset += len(chunk)
                        patience.renew()
                        yield chunk
            except GuestUnreachableError as error:
                with bound.waiting():
                    outcome = await patience.wait(error, judge)
                if outcome is not None:
                    yield judged(outcome)
                    return
                bound.check(0)
                continue
            if attempt.end is not None and offset >= attempt.end.size:
                yield attempt.end
                return
            await patience.wait(GuestUnreachableError("The output of the step ended early"), nobody_knows)

    async def stop(self, step_id: str) -> None:
        """End all processes of the step within 10 s: TERM, then KILL. A step that never started never will."""
        result = await self._door.run(["/bin/sh", _SCRIPT, "stop", step_id], timeout_s=STOP_TIMEOUT_S)
        if result.exit_status not in {0, 127}:
            raise CommandFailedError("Stopping the step", result.exit_status, result.error_text)

    async def remove(self) -> None:
        """Leave nothing of ours in the guest but the marker and the credentials."""
        result = await self._door.run(["rm", "-rf", STATE_FOLDER])
        if result.exit_status != 0:
            raise CommandFailedError("Clearing the guest", result.exit_status, result.error_text)


class _Attempt:
    """One entry that starts or adopts a step and reads it until it ends or the connection does."""

    def __init__(self, door: Door, step: Step, offset: int, bound: Bound, judge: Judge) -> None:
        self._door = door
        self._bound = bound
        self._judge = judge
        self._said = 0
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
                with self._bound.waiting():
                    out, err = await self._next(stream)
                self._bound.check(len(out))
                self._read_control(err)
                if out:
                    yield out
                if not (out or err):
                    break
            await self._settle(stream)

    async def _next(self, stream: GuestStream) -> tuple[bytes, bytes]:
        """What comes next; two empty ones at the end, and where the guest is known to be stopped."""
        async with _running(stream.read()) as reading:
            await asyncio.wait((reading,), timeout=QUIET_AFTER_S)
            if not reading.done():
                await self._doubt(reading)
            return reading.result() if reading.done() else (b"", b"")

    async def _doubt(self, reading: asyncio.Task[tuple[bytes, bytes]]) -> None:
        """Until something comes after all, or the guest is known to be stopped, which is the step's end."""
        async with _running(self._judged()) as judging:
            left_s = SILENCE_LIMIT_S - QUIET_AFTER_S
            await asyncio.wait((reading, judging), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return
            if not judging.done():
                raise GuestUnreachableError(f"The guest was silent for {SILENCE_LIMIT_S:.0f} s")
            if judging.result() is Outcome.RESTARTED:
                raise GuestUnreachableError("The guest was restarted")
            self.end = judged(judging.result())

    async def _judged(self) -> Outcome:
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
            elif words[:1] != [self._nonce] and line.strip() and self._said < _WORDS_LOGGED:
                self._said += 1
                log.warning("supervisor said", step=self._step.id, line=line.decode("utf-8", "replace")[:500])
        self._control = self._control[-4096:]

    def _end_of(self, words: str) -> StepEnd:
        found = _END.fullmatch(words)
        if found is None:
            raise GuestError("The supervisor in the guest was replaced: it does not speak as ours", detail=words[:200])
        return StepEnd(Outcome(found[1]), *(int(number) for number in found.groups()[1:]))

    async def _settle(self, stream: GuestStream) -> None:
        if self.end is not None:
            return
        try:
            async with asyncio.timeout(SILENCE_LIMIT_S):
                status = await stream.exit_status()
        except TimeoutError:
            raise GuestUnreachableError("The connection into the guest does not end") from None
        cause = _EXIT_MEANINGS.get(status)
        if cause is not None:
            raise GuestError(f"The step could not be started: {cause}", detail=self._step.id)
        raise GuestUnreachableError("The supervisor in the guest went silent", detail=f"{self._step.id}: {status}")


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """``work`` as a task, which is over at the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # told already, where it mattered


def _install_script(marker: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", marker):
        raise GuestError("The marker is not one")
    # With the shell's own means: in a guest that has just started, each process more is one that others wait for.
    parts = [
        "set -eu",
        f"[ ! -d {GUEST_FOLDER} ] || chmod 755 {GUEST_FOLDER}; [ ! -d {STATE_FOLDER} ] || chmod 700 {STATE_FOLDER}",
        f"umask 022; [ -d {GUEST_FOLDER} ] || mkdir -p {GUEST_FOLDER}",
        f"umask 077; [ -d {STATE_FOLDER} ] || mkdir -p {STATE_FOLDER}",
        # A hard link is made only where there is no marker yet, and whole.
        f"if [ ! -e {MARKER_FILE} ]; then umask 222; printf '%s\\n' {marker} > {MARKER_FILE}.$$; umask 077",
        f"ln {MARKER_FILE}.$$ {MARKER_FILE} 2>/dev/null || :; rm -f {MARKER_FILE}.$$; fi",
        f'read -r found < {MARKER_FILE}; [ "$found" = {marker} ] || {{ echo "marker $found" >&2; exit {_OTHER_MARKER}; }}',
        _PUT,
    ]
    for name in ("helpers.sh", "supervisor.sh"):
        content = files("lxc_dashboard.guest").joinpath(name).read_text(encoding="utf-8")
        parts.append(f"put {STATE_FOLDER}/{name} {shlex.quote(content)}")
    return "\n".join(parts) + "\n"


# The state first: as long as it is there, the former marker says so.
_FORGET: Final = f"""
read -r found <{MARKER_FILE} && [ "$found" = "$1" ] || exit {_OTHER_MARKER}
rm -rf {STATE_FOLDER} && rm -f {MARKER_FILE}
"""


async def read_marker(door: Door) -> str:
    """What the guest carries. Raises ``CommandFailedError`` where that is nothing."""
    result = await door.run(["cat", MARKER_FILE])
    if result.exit_status != 0:
        raise CommandFailedError("Reading the marker", result.exit_status, result.error_text)
    return result.text.strip()


async def clear_marker(door: Door, marker: str) -> None:
    """Take out ``marker`` and what steps have left beside it, so that none of them is taken for a new one.

    Raises ``WrongGuestError`` where the guest carries another marker, ``CommandFailedError``.
    """
    result = await door.run(["/bin/sh", "-c", _FORGET, "sh", marker])
    if result.exit_status == _OTHER_MARKER:
        raise WrongGuestError
    if result.exit_status != 0:
        raise CommandFailedError("Taking out the former marker", result.exit_status, result.error_text)
