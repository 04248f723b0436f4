"""Free vmids: the lowest without a row, confirmed by PVE if possible. An error if none is left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.creation import vmids
from lxc_dashboard.services.creation.vmids import FreeVmids
from tests.unit.services.creation.doubles import always, database


def transaction(*held: int) -> Any:
    jobs = SimpleNamespace(reserved_vmids=always(frozenset(held)), lock_endpoint=always(None))
    return SimpleNamespace(jobs=jobs)


async def test_where_no_vmid_is_left_that_is_said() -> None:
    rt: Any = SimpleNamespace(db=database(**vars(transaction(vmids.VMID_MAX))))
    client: Any = SimpleNamespace(cluster=SimpleNamespace(nextid=always(vmids.VMID_MAX), resources=always([])))
    free = await vmids.look(rt, client, uuid4())
    with pytest.raises(ConflictError, match="no free vmid left"):
        await free.choose(transaction(vmids.VMID_MAX))


async def test_confirmed_vmids_come_first_and_the_next_ones_where_others_took_them() -> None:
    free = FreeVmids(uuid4(), 101, frozenset({102}), confirmed=(101, 104))
    assert await free.choose(transaction(), 2) == [101, 104]
    assert await free.choose(transaction(101, 104), 2) == [103, 105]


async def test_vmids_that_pve_calls_taken_are_not_confirmed() -> None:
    rt: Any = SimpleNamespace(db=database(**vars(transaction(103))))

    async def is_free(vmid: int) -> bool:
        return vmid != 102

    cluster = SimpleNamespace(nextid=always(101), resources=always([]), vmid_is_free=is_free)
    free = await vmids.look(rt, SimpleNamespace(cluster=cluster), uuid4(), 3)  # type: ignore[arg-type]  # a double
    assert free.confirmed == (101, 104, 105)
