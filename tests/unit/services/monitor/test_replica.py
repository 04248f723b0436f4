"""Which patches a page is sent again that enters the room after it read the snapshot."""

from __future__ import annotations

from uuid import uuid4

from lxc_dashboard.services.monitor.replica import PATCHES_REPEATED, Patch, Replica


def patch(v: int) -> Patch:
    return {"v": v, "prev": v - 1, "rows": {str(100 + v): {"status": "running"}}, "gone": [], "meta": {"at": v}}


def replica_at(v: int) -> Replica:
    replica = Replica("feed", uuid4())
    for number in range(1, v + 1):
        replica.merge(patch(number))
    return replica


def test_the_patches_after_a_version_are_repeated_in_order() -> None:
    assert [found["v"] for found in replica_at(5).since(3)] == [4, 5]


def test_nothing_is_repeated_to_a_page_that_has_the_newest_version() -> None:
    assert replica_at(5).since(5) == []


def test_nothing_is_repeated_where_the_next_patch_is_no_longer_kept() -> None:
    replica = replica_at(PATCHES_REPEATED + 3)
    assert replica.since(2) == []
    assert [found["v"] for found in replica.since(3)] == list(range(4, PATCHES_REPEATED + 4))
