"""The findings of preflight, by PVE's answers about nodes, storages and guests. PVE is a double."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.proxmox.schemas import NodeStorage, Resource
from lxc_dashboard.services.creation.access import Way, WayKind
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode, IpSettings, Mount
from lxc_dashboard.services.creation.preflight import checks, neighbourhood, volumes
from lxc_dashboard.services.creation.preflight.findings import Finding, Question
from lxc_dashboard.services.creation.preflight.neighbours import Held
from lxc_dashboard.services.creation.preflight.volumes import GIB
from tests.unit.services.creation.doubles import always
from tests.unit.services.creation.wish import SPEC
from tests.worded import cause

DISK_GIB = SPEC.disk_gib


def question(spec: ContainerSpec = SPEC, **client: Any) -> Question:
    """A question to a PVE that answers with ``client``. The container is entered by its own SSH server."""
    nobody: Any = None
    pve: Any = SimpleNamespace(**client)
    return Question(nobody, pve, uuid4(), "root@pam", spec, 101, Way(WayKind.SSH, "pve1"), None)


def told(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.severity.value, finding.field, cause(finding)) for finding in findings]


async def test_a_name_that_another_guest_has_warns() -> None:
    guests = [Resource("lxc", node="pve1", vmid=101, name="web"), Resource("qemu", node="pve2", vmid=102, name="web")]
    found = await checks.names(question(cluster=SimpleNamespace(resources=always(guests))))
    assert told(found) == [("warning", "hostname", "web is the name of 102 on pve2 too")]


async def test_an_os_template_of_which_no_ssh_server_is_known_warns() -> None:
    spec = replace(SPEC, ostemplate="local:vztmpl/my-own.tar.zst", revision_id=uuid4())
    found = await checks.way_in(question(spec))
    assert [finding.severity.value for finding in found] == ["note", "warning"]
    assert cause(found[1]).startswith("It is not known whether my-own.tar.zst has an SSH server")


def test_a_script_that_the_template_has_no_more_is_an_error() -> None:
    found = checks.scripts(question(replace(SPEC, scripts=("10-a.sh",))))
    assert told(found) == [("error", "scripts", "The template has no script 10-a.sh")]


@pytest.mark.parametrize(
    ("held", "severity", "expected"),
    [
        (Held("10.0.0.5/24", "CT 102 db on pve1", is_gateway=True), "error", "is the gateway of CT 102 db on pve1"),
        (Held("10.0.0.5/24", "CT 102 db on pve1"), "error", "is the address of CT 102 db on pve1"),
        (Held("10.0.0.5/24", "CT 102 db on pve1", running=False), "warning", "CT 102 db on pve1, which does not run"),
    ],
)
def test_an_address_that_somebody_has_is_named_with_its_holder(held: Held, severity: str, expected: str) -> None:
    mine = IpSettings(IpMode.STATIC, "10.0.0.5/24")
    [found] = neighbourhood._taken(
        "ipv4", mine, [Held("10.0.0.6/24", "node pve1"), Held("dhcp", "CT 103"), held], SPEC.segment
    )
    assert (found.severity.value, found.field) == (severity, "ipv4_address")
    assert expected in cause(found)


@pytest.mark.parametrize(
    ("changes", "severity", "expected"),
    [
        ({"active": False}, "error", "is not active on pve1"),
        ({"content": "iso"}, "error", "holds no container disks"),
        ({"type": "lvm"}, "error", "GiB free, the disk is"),
        ({"type": "lvmthin"}, "warning", "GiB free, the disk is"),
        ({"avail": 0}, "error", "0.0 GiB free"),
        ({"total": 0}, "warning", "does not report its free space"),
    ],
)
def test_a_storage_that_may_not_do_is_told(changes: dict[str, Any], severity: str, expected: str) -> None:
    size = {"total": 2 * GIB * DISK_GIB, "avail": GIB * (DISK_GIB - 1)}
    storage = NodeStorage(**{"storage": "local-lvm", "type": "dir", "content": "rootdir", **size, **changes})
    [found] = volumes._of_storage("pve1", {"local-lvm": storage}, SPEC.volumes, 1)
    assert (found.severity.value, found.field) in {(severity, "storage"), (severity, "disk_gib")}
    assert expected in cause(found)


def test_what_several_containers_ask_of_a_storage_is_told_for_all_of_them() -> None:
    storage = NodeStorage("local-lvm", "lvmthin", "rootdir", total=GIB * DISK_GIB * 9, avail=GIB * DISK_GIB)
    [found] = volumes._of_storage("pve1", {"local-lvm": storage}, SPEC.volumes, 3)
    assert f"what 3 containers ask of it is {3 * DISK_GIB} GiB" in cause(found)


@pytest.mark.parametrize(
    ("offered", "storages", "cause"),
    [
        ([], [], "PVE offers no OS template new.tar.zst"),
        ([SimpleNamespace(template="new.tar.zst")], [], "Storage local takes no OS templates on pve1"),
    ],
)
async def test_a_download_that_cannot_be_is_an_error(offered: list[Any], storages: list[Any], cause: str) -> None:
    spec = replace(SPEC, ostemplate_download="new.tar.zst")
    nodes = SimpleNamespace(aplinfo=always(offered), storage=always(storages))
    found = await volumes.os_template(question(spec, nodes=nodes, storage=SimpleNamespace(content=always([]))))
    assert told(found) == [("error", "ostemplate_download", cause)]


async def test_mount_points_that_find_no_room_are_named_together() -> None:
    spec = replace(SPEC, mounts=(Mount("tank", "/srv", 8), Mount("tank", "/data", 4)))
    seen = [
        NodeStorage(name, "lvm", content="rootdir", active=True, enabled=True, avail=room * GIB, total=99 * GIB)
        for name, room in ((SPEC.storage, 50), ("tank", 10))
    ]
    [found] = await volumes.storage(question(spec, nodes=SimpleNamespace(storage=always(seen))))
    assert cause(found) == "Storage tank has 10.0 GiB free, the mount points are 12 GiB"
