"""Doubles for PVE, a door and the database. Each has fixed answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType
from lxc_dashboard.settings import Timing


def always(value: object) -> Callable[..., Any]:
    """An async call that returns ``value``, or raises it."""

    async def said(*_: object, **__: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    return said


def tells(told: list[Any], *, kinds: bool = False) -> dict[str, Callable[..., None]]:
    """``tell`` and ``tell_once`` of a job. They append the words to ``told``, with the kind if ``kinds``."""

    def tell(code: str, kind: EventType = EventType.STEP, /, *, place: object = None, **params: object) -> None:
        del place
        words = text.in_words(code, params)
        told.append((kind, words) if kinds else words)

    return {"tell": tell, "tell_once": lambda _key, *said, **params: tell(*said, **params)}


class Saying:
    """An async call that returns or raises its answers in turn, the last one repeatedly. ``calls`` counts the calls."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.calls = 0

    async def __call__(self, *_: object, **__: object) -> Any:
        self.calls += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def database(**repositories: object) -> Any:
    """A runtime's database whose transactions hold these repositories."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[Any]:
        yield SimpleNamespace(**repositories)

    opened: Callable[[], AbstractAsyncContextManager[Any]] = transaction
    return SimpleNamespace(transaction=opened)


def without_doors() -> Any:
    """A runtime over one endpoint that has no SSH door."""
    endpoint = SimpleNamespace(doors={}, ssh_user="root")
    nodes = SimpleNamespace(get=always(endpoint), secrets=lambda _: SimpleNamespace(ssh_key=""))
    return SimpleNamespace(db=database(nodes=nodes), ssh=None, timing=Timing())


class Node:
    """A node's SSH door. ``commands`` were run on it; each exits with 0 and no output."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    @asynccontextmanager
    async def channel(self, _address: object, command: str) -> AsyncIterator[Any]:
        self.commands.append(command)
        yield SimpleNamespace(send=always(None), read=always((b"", b"")), exit_status=always(0))


def with_door(node: Node) -> Any:
    """A runtime over one endpoint whose nodes all use this door."""
    doors = {"*": {"host": "127.0.0.1", "host_key": "ssh-ed25519 AAAA"}}
    endpoint = SimpleNamespace(doors=doors, ssh_user="root")
    nodes = SimpleNamespace(get=always(endpoint), secrets=lambda _: SimpleNamespace(ssh_key="key"))
    return SimpleNamespace(db=database(nodes=nodes), ssh=node)
