"""Which OS template the wizard selects for a template's OS."""

from __future__ import annotations

import pytest

from lxc_dashboard.proxmox.schemas import NetworkDevice
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.services.creation.form.choices import (
    DOWNLOAD_PREFIX,
    BridgeChoice,
    OsTemplateChoice,
    best_os_template,
)

OLD = "debian-13-standard_13.9-1_amd64.tar.zst"
NEW = "debian-13-standard_13.10-1_amd64.tar.zst"
APPLIANCE = "debian-13-turnkey-wordpress_19.0-1_amd64.tar.gz"
OTHER = "debian-12-standard_12.12-1_amd64.tar.zst"


def best(*names: str, downloads: tuple[str, ...] = ()) -> str:
    there = [OsTemplateChoice(f"local:vztmpl/{name}", name, "local") for name in names]
    fetched = [OsTemplateChoice(f"{DOWNLOAD_PREFIX}local:vztmpl/{name}", name, "local") for name in downloads]
    return best_os_template((*there, *fetched), "debian", "13").rpartition("/")[2]


def test_the_newest_by_its_numbers() -> None:
    assert best(OLD, NEW, OTHER) == NEW
    assert best(NEW, OLD, OTHER) == NEW


def test_a_plain_system_before_an_appliance() -> None:
    assert best(APPLIANCE, OLD) == OLD
    assert best(APPLIANCE) == APPLIANCE


def test_one_that_is_there_before_a_newer_one_to_be_fetched() -> None:
    assert best(OLD, downloads=(NEW,)) == OLD
    assert best(OTHER, downloads=(OLD, NEW)) == NEW


def test_none_of_another_version() -> None:
    assert best(OTHER) == ""


@pytest.mark.parametrize(
    ("kind", "aware", "offered"),
    [("OVSBridge", False, True), ("bridge", True, True), ("bridge", False, False), ("vnet", False, None)],
)
def test_a_bridge_is_offered_with_whether_it_carries_tags(kind: str, aware: bool, offered: bool | None) -> None:
    device = NetworkDevice("vmbr0", kind, bridge_vlan_aware=aware)
    assert choices._bridge(device) == BridgeChoice("vmbr0", offered)
