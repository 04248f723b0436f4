"""The order of nodes on the dashboard."""

from __future__ import annotations

from lxc_dashboard.services.monitor.overview import as_read


def test_nodes_stand_in_the_order_in_which_they_are_read() -> None:
    names = ["pve10", "pve2", "pve1", "backup", "2nd", "pve1-old"]
    assert sorted(names, key=as_read) == ["2nd", "backup", "pve1", "pve1-old", "pve2", "pve10"]
