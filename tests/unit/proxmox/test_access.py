"""A user's privileges as ``GET /access/permissions`` lists them."""

from __future__ import annotations

import json

from lxc_dashboard.proxmox.access import Grants, _grants

# Recorded from PVE 9.2.11: a user with a role at /vms, and CT 105, which is in a pool.
RECORDED = Grants({"/vms/105": {"VM.PowerMgmt": 1, "VM.Audit": 1}, "/vms": {"VM.Audit": 1, "VM.PowerMgmt": 1}})


def test_a_guest_without_an_acl_of_its_own_has_what_propagates_from_all_guests() -> None:
    assert RECORDED.at_guest(101) == {"VM.Audit", "VM.PowerMgmt"}
    assert Grants({"/vms": {"VM.Audit": 1, "VM.Console": 0}}).at_guest(101) == {"VM.Audit"}


def test_what_stands_at_the_guest_itself_counts_alone_and_whatever_its_propagate_flag() -> None:
    grants = Grants({"/vms": {"VM.Audit": 1, "VM.Console": 1}, "/vms/105": {"VM.Audit": 0}})
    assert grants.at_guest(105) == {"VM.Audit"}
    assert Grants({"/vms/105": {"VM.Console": 0}}).at_guest(105) == {"VM.Console"}


def test_the_pools_where_a_privilege_is_held_are_named_in_order() -> None:
    grants = Grants({"/pool/b": {"VM.Allocate": 0}, "/pool/a": {"VM.Allocate": 1}, "/pool/c": {"VM.Audit": 1}})
    assert grants.below("/pool", "VM.Allocate") == ["a", "b"]
    assert Grants({"/pool": {"VM.Allocate": 1}, "/pools/a": {"VM.Allocate": 1}}).below("/pool", "VM.Allocate") == []


def test_who_holds_nothing_at_guests_holds_nothing_at_one() -> None:
    assert Grants({"/": {"Sys.Audit": 1}}).at_guest(105) == frozenset()


def test_guests_with_the_same_privileges_share_them() -> None:
    held = {"VM.Audit": 1, "VM.Console": None}
    data = {"/vms/101": held, "/vms/102": dict(reversed(held.items())), "/vms/103": {"VM.Audit": 0, "VM.Console": 1}}
    found = _grants(json.dumps({"data": data}).encode()).by_path
    assert found["/vms/101"] is found["/vms/102"]
    assert found["/vms/103"] == {"VM.Audit": False, "VM.Console": True}
