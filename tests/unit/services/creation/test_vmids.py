"""Free vmids where there is none left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.creation import vmids


async def last() -> int:
    return vmids.VMID_MAX


async def no_guests(_kind: str) -> list[Any]:
    return []


async def reserved(_endpoint_id: object) -> frozenset[int]:
    return frozenset({vmids.VMID_MAX})


@asynccontextmanager
async def transaction() -> AsyncIterator[Any]:
    yield SimpleNamespace(creations=SimpleNamespace(reserved_vmids=reserved))


async def test_where_no_vmid_is_left_that_is_said() -> None:
    rt: Any = SimpleNamespace(db=SimpleNamespace(transaction=transaction))
    client: Any = SimpleNamespace(cluster=SimpleNamespace(nextid=last, resources=no_guests))
    with pytest.raises(ConflictError, match="no free vmid left"):
        async with vmids.offered(rt, client, uuid4()):
            pytest.fail("one was offered")
