"""A guest that replaced the product's supervisor. The worker ends its step in every case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog

from lxc_dashboard.errors import GuestError, GuestUnreachableError
from lxc_dashboard.guest import supervisor
from lxc_dashboard.guest.base import CommandResult
from lxc_dashboard.guest.supervisor import Outcome, Step, StepEnd, Supervisor

STEP = Step("s1", "10-web.sh", b"true", timeout_s=30)


class Stream:
    """Writes ``lines`` to stderr, then ends without an end line. ``endless``: repeats the last line."""

    def __init__(self, lines: Sequence[bytes], *, endless: bool, open_: bool) -> None:
        self._lines: Iterator[bytes] = iter(lines)
        self._endless = lines[-1] if endless else b""
        self._open = open_

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        del limit_bytes
        await asyncio.sleep(0.001)
        return b"", next(self._lines, self._endless)

    async def exit_status(self) -> int:
        if self._open:
            await asyncio.Event().wait()
        return 0


class Hostile:
    """A door into a hostile guest. ``NONCE`` in a line becomes the nonce of the call."""

    kind = "pct"

    def __init__(self, *lines: bytes, endless: bool = False, open_: bool = False) -> None:
        self._lines, self._endless, self._open = lines, endless, open_

    async def run(self, argv: Sequence[str], **_: object) -> CommandResult:
        raise AssertionError(argv)

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[Stream]:
        del stdin
        lines = [line.replace(b"NONCE", argv[3].encode()) for line in self._lines]
        yield Stream(lines, endless=self._endless, open_=self._open)


async def followed(door: Hostile) -> list[bytes | StepEnd]:
    async with asyncio.timeout(60):
        return [item async for item in Supervisor(door).follow(STEP)]


async def test_an_honest_end_is_read() -> None:
    assert await followed(Hostile(b"NONCE end exit 3 0\n")) == [StepEnd(Outcome.EXIT, 3, 0)]


@pytest.mark.parametrize(
    "end", [b"burnt 0 0 0 0", b"exit x 0 0 0", b"exit 0 0 0", b"exit -1 0 0 0", b"exit 0 0 0 " + b"9" * 1000, b""]
)
async def test_a_forged_end_fails_the_step(end: bytes) -> None:
    with pytest.raises(GuestError, match="replaced"):
        await followed(Hostile(b"NONCE end " + end + b"\n"))


async def test_a_step_whose_end_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "OVERTIME_S", -29.9)
    with pytest.raises(GuestError, match="long after its timeout"):
        await followed(Hostile(b"NONCE beat\n", endless=True))


async def test_a_step_that_prints_without_bound_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Printing(Hostile):
        @asynccontextmanager
        async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[Stream]:
            async with super().stream(argv, stdin=stdin) as stream:
                plain = stream.read

                async def read(limit_bytes: int = 65536) -> tuple[bytes, bytes]:
                    await plain(limit_bytes)
                    return b"y\n" * 500, b""

                stream.read = read  # type: ignore[method-assign]
                yield stream

    monkeypatch.setattr(supervisor, "OUTPUT_MAX_BYTES", 10_000)
    with pytest.raises(GuestError, match="printed more"):
        await followed(Printing(b"NONCE beat\n", endless=True))


async def test_what_it_says_beside_does_not_fill_the_log() -> None:
    with structlog.testing.capture_logs() as said:
        await followed(Hostile(*[b"noise\n"] * 500, b"NONCE end exit 0 0\n"))
    assert 0 < len(said) < 50


async def test_a_connection_that_ends_without_a_status_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SILENCE_LIMIT_S", 0.05)
    monkeypatch.setattr(supervisor, "RECONNECT_FOR_S", 0.1)
    with pytest.raises(GuestUnreachableError):
        await followed(Hostile(b"NONCE beat\n", open_=True))
