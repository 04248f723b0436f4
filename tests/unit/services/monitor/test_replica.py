"""What a page starts with: a snapshot, and the patches published before it entered the room."""

from __future__ import annotations

import gzip
import json
from typing import Any
from uuid import uuid4

from lxc_dashboard.services.monitor.replica import PATCHES_REPEATED, Patch, Replica
from lxc_dashboard.services.monitor.rows import rows_of


def patch(v: int) -> Patch:
    return {"v": v, "prev": v - 1, "rows": {str(100 + v): {"status": "running"}}, "gone": [], "meta": {"at": v}}


def replica_at(v: int) -> Replica:
    replica = Replica("feed", uuid4())
    for number in range(1, v + 1):
        replica.merge(patch(number))
    return replica


def statuses(columns: dict[str, list[Any]]) -> dict[int, str]:
    return {vmid: row["status"] for vmid, row in rows_of(columns).items()}


def test_the_patches_after_a_version_are_repeated_in_order() -> None:
    assert [found["v"] for found in replica_at(5).since(3)] == [4, 5]


def test_nothing_is_repeated_to_a_page_that_has_the_newest_version() -> None:
    assert replica_at(5).since(5) == []


def test_nothing_is_repeated_where_the_next_patch_is_no_longer_kept() -> None:
    replica = replica_at(PATCHES_REPEATED + 3)
    assert replica.since(2) == []
    assert [found["v"] for found in replica.since(3)] == list(range(4, PATCHES_REPEATED + 4))


def test_a_snapshot_has_the_rows_and_the_newest_version_though_its_rows_are_compressed_once() -> None:
    replica = replica_at(2)
    replica.snapshot()
    listed = replica.listed
    replica.merge({"v": 3, "prev": 2, "rows": {}, "gone": [], "meta": {"at": 99}})
    told = json.loads(gzip.decompress(replica.snapshot()))
    assert replica.listed is listed
    assert (told["v"], told["meta"]) == (3, {"at": 99})
    assert statuses(told["columns"]) == {101: "running", 102: "running"}
    replica.merge({"v": 4, "prev": 3, "rows": {"101": {"status": "stopped"}}, "gone": [102], "meta": {}})
    told = json.loads(gzip.decompress(replica.snapshot()))
    assert statuses(told["columns"]) == {101: "stopped"}
