"""In the place of PVE, a door and the database: each says always the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any


def always(value: object) -> Callable[..., Any]:
    """An async call that returns ``value``, or raises it."""

    async def said(*_: object, **__: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    return said


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
    return SimpleNamespace(db=database(nodes=nodes), ssh=None)
