"""Which input of an open console counts as a use of the session. A use is noted at most once a minute."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from lxc_dashboard.api import console
from lxc_dashboard.api.console import is_input
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.auth import sessions

KEY = "k"


class SomeSession:
    key = KEY


@pytest.mark.parametrize(
    "data",
    [
        *(b"a", b"\r", b"\x03", b"\x1b", b"\x1b[A", b"\x1b[1;5C", b"\x1bOP", b"\x1b[3~", b"\x1b[97;5u", "ü".encode()),
        *(b"\x1b[<0;10;5M", b"\x1b[200~pasted\x1b[201~", b"\x1b[1;1Rx", b"x\x1b[I", b"\x1bPunended", b"\x1b]"),
    ],
)
def test_what_is_typed_pasted_or_clicked_is_a_use(data: bytes) -> None:
    assert is_input(data)


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\x1b[24;80R",
            b"\x1b[?24;80R",
            b"\x1b[?1;2c",
            b"\x1b[>0;276;0c",
            b"\x1b[0n",
            b"\x1b[?2004;1$y",
            b"\x1b[?0u",
        ),
        *(
            b"\x1b[8;24;80t",
            b"\x1b[I",
            b"\x1b[O",
            b"\x1bP1$r0m\x1b\\",
            b"\x1b]10;rgb:e6/e6/e6\x07",
            b"\x1b[0n\x1b[1;1R",
        ),
        b"\x1b]11;rgb:14/17/1a\x1b\\",
    ],
)
def test_what_a_terminal_answers_by_itself_is_none(data: bytes) -> None:
    assert not is_input(data)


async def test_uses_are_noted_once_in_a_while_however_much_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    slept: list[float] = []
    goes_on, paused = asyncio.Event(), asyncio.Event()

    async def use(_runtime: object, key: str) -> None:
        noted.append(key)
        if len(noted) == 1:
            raise ServiceUnavailableError

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        paused.set()
        await goes_on.wait()

    monkeypatch.setattr(sessions, "use", use)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    typed = asyncio.Event()
    noting = asyncio.create_task(console._note_use(cast("Any", None), cast("Any", SomeSession()), typed))
    typed.set()
    async with asyncio.timeout(60):
        await paused.wait()
        typed.set()
        assert noted == [KEY]
        paused.clear()
        goes_on.set()
        await paused.wait()
    assert noted == [KEY, KEY]
    assert slept == [console.NOTE_USE_EVERY_S] * 2
    noting.cancel()
