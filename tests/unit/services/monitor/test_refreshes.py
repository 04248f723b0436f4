"""When PVE measured the listed values, inferred from the uptimes of guests."""

from __future__ import annotations

import pytest

from lxc_dashboard.proxmox.schemas import Guest, Resource
from lxc_dashboard.services.monitor.poller import PUBLISHED_WITHIN_S, Refreshes


def listed(vmid: int, node: str, uptime: int) -> Resource:
    return Resource("lxc", node=node, vmid=vmid, uptime=uptime)


def test_nothing_is_known_before_a_guest_was_seen_live() -> None:
    refreshes = Refreshes()
    refreshes.see_listed([listed(101, "pve1", 500)], 1_000_000.0)
    assert refreshes.next(10.0) is None
    assert not refreshes.is_due(2_000_000.0, 10.0)


def test_the_uptime_in_the_list_tells_when_the_node_measured() -> None:
    refreshes = Refreshes()
    refreshes.see_live([Guest(101, uptime=1000), Guest(102, uptime=50), Guest(103)], 1_000_000.0)
    refreshes.see_listed([listed(101, "pve1", 1003), listed(102, "pve1", 53), listed(103, "pve1", 0)], 1_000_007.0)
    assert refreshes.measured == {"pve1": 1_000_003.0}
    assert refreshes.next(10.0) == 1_000_013.0 + PUBLISHED_WITHIN_S
    assert not refreshes.is_due(1_000_014.0, 10.0)
    assert refreshes.is_due(1_000_015.0, 10.0)


@pytest.mark.parametrize("uptime", [2, 5])
def test_a_guest_that_was_started_again_tells_nothing(uptime: int) -> None:
    refreshes = Refreshes()
    refreshes.see_live([Guest(101, uptime=90_000)], 1_000_000.0)
    refreshes.see_listed([listed(101, "pve1", uptime)], 1_000_010.0)
    assert refreshes.measured == {}
