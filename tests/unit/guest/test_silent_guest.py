"""A silent guest: the worker asks PVE whether it runs, and only PVE's answer ends the step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from lxc_dashboard.errors import GuestUnreachableError
from lxc_dashboard.guest import supervisor
from lxc_dashboard.guest.base import CommandResult
from lxc_dashboard.guest.supervisor import Outcome, Step, StepEnd, Supervisor, end_from_outcome

STEP = Step("s1", "10-web.sh", b"true", timeout_s=600)
GONE = GuestUnreachableError("CT 101 cannot be entered: container '101' not running!")
HANGS = None
ENDED = StepEnd(Outcome.EXIT, 0, 5)
Said = bytes | Exception | None


class Stream:
    """Returns or raises each of ``said``, or hangs at ``HANGS``. Then ends as a normal step of five bytes."""

    def __init__(self, nonce: str, said: Sequence[Said]) -> None:
        self._nonce = nonce
        self._said = list(said)

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        del limit_bytes
        if not self._said:
            self._said = [b""]
            return b"", f"{self._nonce} end exit 0 5\n".encode()
        said = self._said.pop(0)
        if said is HANGS:
            await asyncio.Event().wait()
        if isinstance(said, Exception):
            raise said
        return said or b"", b""

    async def exit_status(self) -> int:
        return 0


@dataclass
class Door:
    """Each entry returns the next of ``entries``, the last one repeatedly."""

    entries: Sequence[Sequence[Said]]
    entered: int = 0
    kind: str = "pct"

    async def run(self, argv: Sequence[str], **_: object) -> CommandResult:
        raise AssertionError(argv)

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[Stream]:
        del stdin
        said = self.entries[min(self.entered, len(self.entries) - 1)]
        self.entered += 1
        yield Stream(argv[3], said)


@dataclass
class Judge:
    """Returns the next of ``verdicts``, the last one repeatedly. ``hangs``: PVE does not answer."""

    verdicts: Sequence[Outcome | None]
    hangs: bool = False
    asked: int = 0
    left: Iterator[Outcome | None] = field(init=False)

    def __post_init__(self) -> None:
        self.left = iter(self.verdicts)

    async def __call__(self) -> Outcome | None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        return next(self.left, self.verdicts[-1])


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "QUIET_AFTER_S", 0.05)
    monkeypatch.setattr(supervisor, "ASK_EVERY_S", 0.05)
    monkeypatch.setattr(supervisor, "_BACKOFF_S", (0.01,))
    monkeypatch.setattr(supervisor, "RESTARTED_WAIT_S", 0.1)


async def followed(door: Door, judge: Judge) -> list[bytes | StepEnd]:
    async with asyncio.timeout(60):
        return [item async for item in Supervisor(door).follow(STEP, 0, judge)]


async def test_one_that_hangs_and_is_stopped_ends_the_step() -> None:
    door, judge = Door([[b"one\n", HANGS]]), Judge([None, None, Outcome.STOPPED])
    assert await followed(door, judge) == [b"one\n", end_from_outcome(Outcome.STOPPED)]
    assert (door.entered, judge.asked) == (1, 3)


async def test_one_whose_door_ends_and_is_stopped_ends_the_step() -> None:
    door, judge = Door([[b"one\n", GONE]]), Judge([Outcome.STOPPED])
    assert await followed(door, judge) == [b"one\n", end_from_outcome(Outcome.STOPPED)]
    assert (door.entered, judge.asked) == (1, 1)


async def test_one_that_was_restarted_is_entered_for_the_rest() -> None:
    door, judge = Door([[b"one\n", HANGS], [b"!"]]), Judge([Outcome.RESTARTED])
    assert await followed(door, judge) == [b"one\n", b"!", ENDED]


async def test_one_that_was_restarted_and_does_not_come_back_ends_the_step() -> None:
    door, judge = Door([[b"one\n", GONE], [GONE]]), Judge([Outcome.RESTARTED])
    assert await followed(door, judge) == [b"one\n", end_from_outcome(Outcome.RESTARTED)]
    assert door.entered > 1


@pytest.mark.parametrize("judge", [Judge([None]), Judge([None], hangs=True)], ids=["runs", "no answer"])
async def test_one_that_is_slow_is_waited_for(judge: Judge) -> None:
    class Slow(Stream):
        async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
            await asyncio.sleep(0.2)
            return await super().read(limit_bytes)

    class SlowDoor(Door):
        @asynccontextmanager
        async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[Stream]:
            del stdin
            self.entered += 1
            yield Slow(argv[3], self.entries[0])

    door = SlowDoor([[b"one\n", b"!"]])
    assert await followed(door, judge) == [b"one\n", b"!", ENDED]
    assert (door.entered, judge.asked > 0) == (1, True)


async def test_one_that_hangs_and_runs_is_entered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SILENCE_LIMIT_S", 0.5)
    door = Door([[b"one\n", HANGS], [b"!"]])
    assert await followed(door, Judge([None])) == [b"one\n", b"!", ENDED]


async def test_nobody_is_asked_while_it_speaks() -> None:
    judge = Judge([Outcome.STOPPED])
    assert await followed(Door([[b"one\n", b"!"]]), judge) == [b"one\n", b"!", ENDED]
    assert judge.asked == 0
