"""What the dashboard and the list show of nodes."""

from __future__ import annotations

from lxc_dashboard.proxmox.access import Grants
from lxc_dashboard.proxmox.schemas import Resource
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.monitor.overview import as_read, needed_at_guests, nodes_of, rights_of
from lxc_dashboard.services.monitor.rows import Row


def node(name: str, status: str = "online") -> Resource:
    return Resource(type="node", node=name, status=status, cpu=0.254, maxcpu=8, mem=2**30 + 5, maxmem=2**34, uptime=100)


def test_nodes_stand_in_the_order_in_which_they_are_read() -> None:
    names = ["pve10", "pve2", "pve1", "backup", "2nd", "pve1-old"]
    assert sorted(names, key=as_read) == ["2nd", "backup", "pve1", "pve1-old", "pve2", "pve10"]
    assert [row["name"] for row in nodes_of([node("pve10"), node("pve2")], {}, [], 1000)] == ["pve2", "pve10"]


def test_a_node_that_is_up_has_its_figures_and_its_containers() -> None:
    rows = {
        101: Row(101, node="pve1", status="running"),
        102: Row(102, node="pve1", status="stopped"),
        103: Row(103, node="pve1", status="unknown"),
        104: Row(104, node="pve2", status="running"),
    }
    (found,) = nodes_of([node("pve1")], rows, [], 1000)
    assert (found["cpu"], found["maxcpu"], found["mem"], found["since"]) == (0.25, 8, 2**30, 900)
    assert (found["containers"], found["running"], found["stopped"]) == (3, 1, 1)
    assert (found["down"], found["longer"]) == (0, False)


def test_since_when_a_node_is_down_stays_from_look_to_look_and_ends_with_it() -> None:
    up = nodes_of([node("pve2")], {}, [], 1000)
    down = nodes_of([node("pve2", "offline")], {}, up, 1010)
    assert (down[0]["down"], down[0]["longer"], down[0]["cpu"], down[0]["since"]) == (1010, False, 0.0, 0)
    later = nodes_of([node("pve2", "offline")], {}, down, 1022)
    assert later[0]["down"] == 1010
    assert nodes_of([node("pve2")], {}, later, 1030)[0]["down"] == 0


def test_of_a_node_that_was_down_at_the_first_look_it_is_said_that_it_may_be_so_for_longer() -> None:
    first = nodes_of([node("pve2", "offline")], {}, [], 1000)
    again = nodes_of([node("pve2", "offline")], {}, first, 1012)
    assert [(row["down"], row["longer"]) for row in (*first, *again)] == [(1000, True)] * 2


def test_since_when_pvedaemon_is_silent_stays_until_it_is_heard_or_its_node_goes_down() -> None:
    (first,) = nodes_of([node("pve1")], {}, [], 1000, {"pve1": False})
    assert (first["silent"], first["down"]) == (1000, 0)
    (again,) = nodes_of([node("pve1")], {}, [first], 1012, {"pve1": False})
    (unasked,) = nodes_of([node("pve1")], {}, [again], 1024)
    assert [again["silent"], unasked["silent"]] == [1000, 1000]
    assert nodes_of([node("pve1")], {}, [unasked], 1036, {"pve1": True})[0]["silent"] == 0
    assert nodes_of([node("pve1", "offline")], {}, [unasked], 1036)[0]["silent"] == 0


def test_each_privilege_lists_the_fewer_guests_that_differ_from_most() -> None:
    grants = Grants({"/vms": {"VM.Console": 1}, "/vms/102": {"VM.Audit": 1, "VM.PowerMgmt": 0}})
    assert rights_of(grants, [101, 102, 103], ["VM.Console", "VM.PowerMgmt"]) == {
        "VM.Console": {"usual": True, "others": [102]},
        "VM.PowerMgmt": {"usual": False, "others": [102]},
    }


def test_the_list_learns_the_privileges_that_acts_declare() -> None:
    assert needed_at_guests() >= {"VM.Console", *(needed for power in Power for needed in power.act.needs)}
