"""Free vmids where there is none left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.creation import vmids
from tests.unit.services.creation.doubles import always, database


async def test_where_no_vmid_is_left_that_is_said() -> None:
    reserved = always(frozenset({vmids.VMID_MAX}))
    rt: Any = SimpleNamespace(db=database(jobs=SimpleNamespace(reserved_vmids=reserved)))
    client: Any = SimpleNamespace(cluster=SimpleNamespace(nextid=always(vmids.VMID_MAX), resources=always([])))
    with pytest.raises(ConflictError, match="no free vmid left"):
        async with vmids.offered(rt, client, uuid4()):
            pytest.fail("one was offered")
