"""Preflight's findings about addresses, gateways, VLANs, pools and free space in a cluster with other guests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakepve.model import FakeVm

from lxc_dashboard.db.models import Container
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import preflight
from lxc_dashboard.services.creation.form import validation
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings, Mount
from lxc_dashboard.services.creation.preflight.findings import Finding
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import BASIC, OSTEMPLATE, pve_alone, spec_of, store
from tests.integration.endpoints import runtime_over, sign_in
from tests.worded import cause, said

GATEWAY = "10.66.0.1"
FREE = IpSettings(IpMode.STATIC, "10.66.200.7/16", GATEWAY)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=6) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with runtime_over(settings, sandbox) as runtime:
        yield runtime


async def told(rt: Runtime, session: Session, **changes: Any) -> list[tuple[str, str, str]]:
    """The severity, field and cause of each finding."""
    found = await preflight.check(rt, session, replace(spec_of(None), **changes))
    return [(finding.severity.value, finding.field, cause(finding)) for finding in found]


def static_guest(sandbox: SandboxNode) -> Any:
    return next(guest for guest in sandbox.api.cts if "ip=10." in guest.config["net0"])


def address_of(guest: Any) -> str:
    parts = dict(part.split("=", 1) for part in guest.config["net0"].split(","))
    return str(parts["ip"])


async def test_an_address_that_a_container_of_pve_has_is_named_with_its_holder(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    guest = static_guest(sandbox)
    wanted = replace(FREE, address=address_of(guest))
    plain, holder = wanted.address.partition("/")[0], f"CT {guest.vmid} {guest.config['hostname']} on {guest.node}"
    found = await told(rt, session, ipv4=wanted)
    assert found == [("error", "ipv4_address", f"{plain} is the address of {holder}")]


async def machine(sandbox: SandboxNode, **config: str) -> Any:
    """Add a running virtual machine."""
    made = FakeVm(300, "db", node="pve2", status="running", config=config)
    sandbox.api.vms.append(made)
    await sandbox.api.take_statistics()
    return made


async def test_what_cloud_init_gives_a_virtual_machine_is_taken(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    made = await machine(
        sandbox,
        ipconfig0=f"ip=10.66.200.9/16,gw={GATEWAY},ip6=fd66::9/64,gw6=fd66::1",
        ipconfig1="ip=dhcp",
        name="db",
        net0="virtio,bridge=vmbr0",
    )
    taken = replace(FREE, address="10.66.200.9/16")
    six = IpSettings(IpMode.STATIC, "fd66::9/64", "fd66::1")
    assert await told(rt, session, ipv4=taken, ipv6=six) == [
        ("error", "ipv4_address", "10.66.200.9 is the address of VM 300 db on pve2"),
        ("error", "ipv6_address", "fd66::9 is the address of VM 300 db on pve2"),
    ]
    assert await told(rt, session, ipv4=FREE) == []
    made.template = True
    await sandbox.api.take_statistics()
    other = await sign_in(rt, sandbox, "operator@pve")  # the first session has the addresses cached for a minute
    assert await told(rt, other, ipv4=taken) == []


async def test_the_agent_of_a_virtual_machine_is_not_asked(rt: Runtime, session: Session, sandbox: SandboxNode) -> None:
    made = await machine(sandbox, agent="1", net0="virtio,bridge=vmbr0")
    made.agent_hangs = True
    assert await told(rt, session, ipv4=FREE) == []
    assert made.agent_requests == []


async def test_one_that_does_not_run_only_warns(rt: Runtime, session: Session, sandbox: SandboxNode) -> None:
    guest = static_guest(sandbox)
    guest.status = "stopped"
    await sandbox.api.take_statistics()
    [(severity, field, cause)] = await told(rt, session, ipv4=replace(FREE, address=address_of(guest)))
    assert (severity, field, cause.endswith(", which does not run")) == ("warning", "ipv4_address", True)


async def test_an_address_of_a_node_and_of_a_container_of_ours_are_errors(rt: Runtime, session: Session) -> None:
    of_node = await told(rt, session, ipv4=IpSettings(IpMode.STATIC, "10.67.0.1/16", "10.67.0.2"), bridge="vmbr1")
    assert ("error", "ipv4_address", "10.67.0.1 is the address of node pve1") in of_node
    async with rt.db.transaction() as tx:
        ours = Container(endpoint_id=session.endpoint_id, vmid=4321, node="pve1", hostname="ours")
        ours.address = "10.66.200.7"
        await tx.containers.reserve(ours)
    found = await told(rt, session, ipv4=FREE)
    assert found == [("error", "ipv4_address", "10.66.200.7 is the address of CT 4321 ours")]


async def test_a_free_address_with_the_usual_gateway_is_no_finding(rt: Runtime, session: Session) -> None:
    assert await told(rt, session, ipv4=FREE) == []


@pytest.mark.parametrize(
    ("ip", "field", "part"),
    [
        (replace(FREE, gateway=""), "ipv4_gateway", "Without a gateway it reaches nothing but 10.66.0.0/16"),
        (
            replace(FREE, gateway="10.66.200.1"),
            "ipv4_gateway",
            f"Other guests in 10.66.0.0/16 have the gateway {GATEWAY}, and none has",
        ),
        (
            replace(FREE, gateway="10.9.0.1"),
            "ipv4_gateway",
            "10.9.0.1 is not in 10.66.0.0/16: the container gets a route",
        ),
        (replace(FREE, address="10.9.0.5/24", gateway="10.9.0.1"), "ipv4_address", "is not in 10.66.0.0/16"),
    ],
)
async def test_what_is_not_likely_of_an_address_warns(
    rt: Runtime, session: Session, ip: IpSettings, field: str, part: str
) -> None:
    [(severity, named, cause)] = await told(rt, session, ipv4=ip)
    assert (severity, named, part in cause) == ("warning", field, True), cause


async def test_a_gateway_outside_of_the_network_is_sound_where_others_go_by_it(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    static_guest(sandbox).config["net0"] += ",ip6=fd66::5/128,gw6=fd01::1"
    assert await told(rt, session, ipv6=IpSettings(IpMode.STATIC, "fd66::7/128", "fd01::1")) == []
    assert await told(rt, session, ipv6=IpSettings(IpMode.STATIC, "fd66::7/128", "fe80::1")) == []


async def test_a_gateway_that_is_a_container_by_which_nobody_goes_warns(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    guest = static_guest(sandbox)
    gateway = address_of(guest).partition("/")[0]
    [(severity, field, cause)] = await told(rt, session, ipv4=replace(FREE, gateway=gateway))
    assert (severity, field) == ("warning", "ipv4_gateway")
    assert f"{gateway} is the address of CT {guest.vmid}" in cause


async def test_a_tag_needs_a_bridge_that_can_carry_it(rt: Runtime, session: Session, sandbox: SandboxNode) -> None:
    assert await told(rt, session, bridge="vmbr1", vlan=30) == []
    [(severity, field, cause)] = await told(rt, session, bridge="vmbr0", vlan=30)
    assert (severity, field, "vmbr0v30" in cause) == ("warning", "vlan", True)
    sandbox.api.vlan_aware = ()
    [(severity, field, cause)] = await told(rt, session, bridge="vmbr1", vlan=30)
    assert (severity, field, "no port" in cause) == ("error", "vlan", True)


async def test_a_bridge_that_is_not_up_warns(rt: Runtime, session: Session, sandbox: SandboxNode) -> None:
    sandbox.api.down = ("vmbr1",)
    [(severity, field, cause)] = await told(rt, session, bridge="vmbr1")
    assert (severity, field, "vmbr1 of pve1 is not up" in cause) == ("warning", "bridge", True)
    assert await told(rt, session, bridge="vmbr0") == []


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        ({"cores": 900}, "cores", "cores in all"),
        ({"memory_mib": 63_000}, "memory_mib", "MiB free, 63000 MiB are asked for"),
        ({"memory_mib": 9_000_000}, "memory_mib", "MiB in all"),
    ],
)
async def test_more_than_there_is_warns(
    rt: Runtime, session: Session, changes: dict[str, Any], field: str, part: str
) -> None:
    [(severity, named, cause)] = await told(rt, session, **changes)
    assert (severity, named, part in cause) == ("warning", field, True), cause


async def test_a_pool_that_is_not_there_is_an_error_for_one_who_would_see_it(rt: Runtime, session: Session) -> None:
    assert await told(rt, session, pool="nowhere") == [("error", "pool", "There is no pool nowhere")]


async def test_a_pool_that_is_seen_is_no_finding(rt: Runtime, session: Session) -> None:
    assert await told(rt, session, pool="staging") == []


async def test_a_download_needs_room_and_a_storage_that_takes_it(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    name = "fedora-42-default_20250428_amd64.tar.xz"
    wanted = {"ostemplate": f"local:vztmpl/{name}", "ostemplate_download": name}
    assert await told(rt, session, **wanted) == []
    sandbox.fill_storage("local")
    [(severity, field, cause)] = await told(rt, session, **wanted)
    assert (severity, field, "0 MiB free" in cause) == ("error", "ostemplate_download", True)


async def test_a_disk_that_may_not_hold_the_os_template_warns(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    sandbox.api.storages["local"]["volumes"][OSTEMPLATE.partition(":")[2]]["size"] = 700 * 1024**2
    [(severity, field, cause)] = await told(rt, session, disk_gib=1)
    assert (severity, field, "700 MiB packed" in cause) == ("warning", "disk_gib", True)
    assert await told(rt, session, disk_gib=3, mounts=(Mount("local-lvm", "/srv", 1),)) == []


async def test_one_who_sees_little_is_told_what_could_not_be_seen(rt: Runtime, sandbox: SandboxNode) -> None:
    sandbox.api.directory.acl[:] = [entry for entry in sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    sandbox.api.directory.changed()
    found = await preflight.check(rt, await sign_in(rt, sandbox, "viewer@pve"), replace(spec_of(None), pool="staging"))
    assert any("You see no pool staging" in said(finding) for finding in found)
    assert any(
        "staging" in said(finding) or "lack" in said(finding) for finding in found if isinstance(finding, Finding)
    )


async def test_an_os_that_the_template_is_not_made_for_is_told_and_never_taken_unasked(
    rt: Runtime, session: Session
) -> None:
    config = replace(BASIC.config, os="ubuntu", version="99.04", storage="tank")
    revision_id = await store(rt, replace(BASIC, config=config, files=(), buckets=()))
    found = await told(rt, session, revision_id=revision_id)
    name = OSTEMPLATE.rpartition("/")[2]
    cause = f"The template is made for ubuntu 99.04, and {name} is another system"
    assert ("warning", "ostemplate", cause) in found
    assert ("note", "", "The template names storage tank, and local-lvm is used") in found
    async with rt.db.transaction() as tx:
        template, _ = await tx.templates.revision(revision_id)
    asked = {"hostname": "web", "template": str(template.id), "node": "pve1"}
    with pytest.raises(InvalidInputError) as refused:
        await validation.completed(rt, session, asked)
    assert refused.value.fields == {
        "ostemplate": f"{template.name} is made for ubuntu 99.04, which pve1 has not: name another"
    }
    spec, _ = await validation.completed(rt, session, {**asked, "ostemplate": OSTEMPLATE})
    assert spec.ostemplate == OSTEMPLATE
