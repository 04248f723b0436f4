"""A cluster of two nodes, one offline, without quorum, as in the recordings."""

from __future__ import annotations

from pathlib import Path

from tests.sandbox.integration.replay import RECORDED, assert_as_recorded, guest_of
from tests.sandbox.integration.replay_lab import lab, with_mixed


async def test_a_cluster_of_two(tmp_path: Path) -> None:
    async with lab(tmp_path, nodes=2) as it:
        await it.play("cluster2_nodes", "cluster2_status", "cluster2_login_clustername")
        await it.play("cluster2_proxied_lxc_list_pve2", "cluster2_proxied_create_on_pve2")
        await it.play("cluster2_proxied_node_status_pve2", "cluster2_config_wrong_node")
        await it.play("cluster2_create_vmid_taken_on_other_node", "cluster2_start_wrong_node")
        await it.play("cluster2_status_current_wrong_node", "cluster2_start_on_pve2", "cluster2_resources")
        await it.play("cluster2_nextid_taken_other_node", "cluster2_delete_200")
        assert_as_recorded(it)


async def test_a_node_that_is_gone(tmp_path: Path) -> None:
    async with lab(tmp_path, nodes=2) as it:
        it.node.node_offline("pve2")
        await it.play("proxy_other_node_unreachable")
        assert_as_recorded(it)


async def test_no_quorum(tmp_path: Path) -> None:
    async with lab(tmp_path, nodes=2) as it:
        with_mixed(it.node)
        del guest_of(it, 120).config["tags"]  # the recording removes it, and no other guest has tags
        await it.http.get("/api2/json/nodes", headers=await it.headers("root@pam", csrf=False))
        it.node.lose_quorum()
        it.node.node_offline("pve2")
        await it.play("quorum_lost_cluster_status", "quorum_lost_create_local", "quorum_lost_login")
        await it.play("quorum_lost_start_local", "quorum_lost_nodes", "quorum_lost_version", "quorum_lost_resources")
        stop = RECORDED["quorum_lost_stop_running_local_130"]["request"]["path"].replace("130", "121")
        await it.play("quorum_lost_stop_running_local_130", path=stop)
        it.node.heal()
        await it.play("quorum_back_cluster_status")
        assert_as_recorded(it)
