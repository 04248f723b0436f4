"""Preflight has an error for what PVE refuses and a warning for what PVE accepts. The sandbox gets the same request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fakepve.model import FakeVm

from lxc_dashboard.errors import ApiError, InvalidInputError, PreflightError, PrivilegeError, TaskFailedError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, tokens
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.auth.sign_in import Origin
from lxc_dashboard.services.creation import preflight, service
from lxc_dashboard.services.creation.form import choices, validation
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode, IpSettings, Mount
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingSeverity
from lxc_dashboard.settings import Settings
from pve_sandbox.api.access.directory import Token
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import BASIC, OSTEMPLATE, pve_alone, spec_of, store
from tests.integration.endpoints import runtime_over, sign_in
from tests.worded import cause, remedy

VMID = 7001
GIB = 1024**3
GUEST = (
    "VM.Allocate",
    "VM.Audit",
    "VM.Console",
    "VM.PowerMgmt",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Disk",
    "VM.Config.Network",
    "VM.Config.Options",
)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=6) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with runtime_over(settings, sandbox) as runtime:
        yield runtime


async def found(rt: Runtime, session: Session, spec: ContainerSpec) -> list[Finding]:
    """Preflight's errors and warnings."""
    findings = await preflight.check(rt, session, spec)
    return [finding for finding in findings if finding.severity is not FindingSeverity.NOTE]


async def create(rt: Runtime, session: Session, spec: ContainerSpec) -> str:
    """Create the container in PVE without preflight and wait for its task. Raises PVE's error."""
    client = await acting.client(rt, session)
    values = pve_parameters(spec, VMID, None, description="")
    options = {key: value for key, value in values.items() if key not in {"vmid", "ostemplate", "unprivileged"}}
    upid = await client.lxc.create(spec.node, VMID, spec.ostemplate, unprivileged=spec.unprivileged, options=options)
    return (await client.tasks.wait(upid)).exitstatus


async def test_an_mtu_above_that_of_the_bridge_is_an_error_as_pve_refuses_it(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    spec = spec_of(None, mtu=9000)
    with pytest.raises(ApiError, match="MTU size '9000' is bigger than bridge MTU '1500'"):
        await create(rt, session, spec)
    [error] = await found(rt, session, spec)
    assert (error.severity, error.field) == (FindingSeverity.ERROR, "mtu")
    assert cause(error) == "MTU 9000 is above the MTU of bridge vmbr0, 1500: PVE refuses to create the container"
    sandbox.api.mtus["vmbr1"] = 9000
    assert await found(rt, session, replace(spec, bridge="vmbr1")) == []
    assert await create(rt, session, replace(spec, bridge="vmbr1")) == "OK"


async def test_a_bridge_without_an_mtu_has_that_of_its_port(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    sandbox.api.mtus["eno1"] = 9000
    spec = spec_of(None, mtu=9000)
    assert await found(rt, session, spec) == []
    [error] = await found(rt, session, replace(spec, mtu=9001))
    assert (error.severity, error.field) == (FindingSeverity.ERROR, "mtu")
    assert await create(rt, session, spec) == "OK"


async def test_a_thin_storage_below_the_size_of_the_disk_warns_as_pve_accepts_it(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    sandbox.fill_storage("local-lvm", GIB // 2)
    spec = spec_of(None, disk_gib=2)
    [warning] = await found(rt, session, spec)
    assert (warning.severity, warning.field) == (FindingSeverity.WARNING, "disk_gib")
    assert cause(warning) == "Storage local-lvm has 0.5 GiB free, the disk is 2 GiB"
    assert "becomes read-only" in remedy(warning)
    assert await create(rt, session, spec) == "OK"


@pytest.mark.parametrize(("type_", "free_bytes"), [("lvm", GIB), ("lvmthin", 0)])
async def test_a_storage_on_which_pve_can_make_no_disk_is_an_error(
    rt: Runtime, session: Session, sandbox: SandboxNode, type_: str, free_bytes: int
) -> None:
    sandbox.api.storages["local-lvm"]["type"] = type_
    sandbox.fill_storage("local-lvm", free_bytes)
    spec = spec_of(None, disk_gib=2)
    [error] = await found(rt, session, spec)
    assert (error.severity, error.field) == (FindingSeverity.ERROR, "disk_gib")
    with pytest.raises(TaskFailedError, match="insufficient free space"):
        await create(rt, session, spec)


def static_guest(sandbox: SandboxNode) -> tuple[Any, IpSettings]:
    """A container of the sandbox on vmbr0, and its address."""
    guest = next(guest for guest in sandbox.api.cts if "ip=10." in guest.config["net0"])
    parts = dict(part.split("=", 1) for part in guest.config["net0"].split(","))
    return guest, IpSettings(IpMode.STATIC, parts["ip"], parts["gw"])


async def of_address(rt: Runtime, session: Session, spec: ContainerSpec) -> list[tuple[str, str]]:
    """The severity and cause of each finding about a used IPv4 address."""
    findings = await found(rt, session, spec)
    told = [(each.severity.value, cause(each)) for each in findings if each.field == "ipv4_address"]
    return [(severity, cause) for severity, cause in told if "is the address of" in cause]


@pytest.mark.parametrize("elsewhere", [{"bridge": "vmbr1"}, {"bridge": "vmbr0", "vlan": 30}])
async def test_an_address_in_use_on_another_bridge_or_vlan_warns_as_pve_accepts_it(
    rt: Runtime, session: Session, sandbox: SandboxNode, elsewhere: dict[str, Any]
) -> None:
    guest, taken = static_guest(sandbox)
    spec = spec_of(None, ipv4=taken, **elsewhere)
    address = taken.address.partition("/")[0]
    holder = f"{address} is the address of CT {guest.vmid} {guest.config['hostname']} on {guest.node}"
    assert set(await of_address(rt, session, spec)) == {("warning", f"{holder} on bridge vmbr0")}
    assert await of_address(rt, session, replace(spec, bridge="vmbr0", vlan=None)) == [("error", holder)]
    assert await create(rt, session, spec) == "OK"


async def test_the_vlan_of_the_one_who_has_the_address_is_told(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    guest, taken = static_guest(sandbox)
    guest.config["net0"] += ",tag=30"
    [(severity, cause)] = await of_address(rt, session, spec_of(None, ipv4=taken))
    assert (severity, cause.endswith(" on bridge vmbr0, VLAN 30")) == ("warning", True)
    [(severity, _)] = await of_address(rt, session, spec_of(None, ipv4=taken, vlan=30))
    assert severity == "error"


async def test_the_address_of_a_node_on_another_bridge_warns(rt: Runtime, session: Session) -> None:
    of_node = IpSettings(IpMode.STATIC, "10.67.0.1/16", "10.67.0.2")
    told = await of_address(rt, session, spec_of(None, ipv4=of_node, bridge="vmbr0"))
    assert ("warning", "10.67.0.1 is the address of node pve1 on bridge vmbr1") in told
    assert {severity for severity, _ in told} == {"warning"}


async def test_an_address_that_a_virtual_machine_has_on_another_bridge_warns(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    config = {"ipconfig1": "ip=10.66.200.9/16", "name": "db", "net0": "virtio,bridge=vmbr0"}
    config["net1"] = "virtio=BC:24:11:00:00:01,bridge=vmbr1,tag=7"
    sandbox.api.vms.append(FakeVm(300, "db", node="pve2", status="running", config=config))
    await sandbox.api.take_statistics()
    spec = spec_of(None, ipv4=IpSettings(IpMode.STATIC, "10.66.200.9/16", "10.66.0.1"))
    cause = "10.66.200.9 is the address of VM 300 db on pve2"
    assert await of_address(rt, session, spec) == [("warning", f"{cause} on bridge vmbr1, VLAN 7")]


async def test_an_address_that_a_job_of_ours_promised_on_one_bridge_is_free_on_another(
    rt: Runtime, session: Session
) -> None:
    spec = spec_of(None, ipv4=IpSettings(IpMode.STATIC, "10.66.200.7/16", "10.66.0.1"))
    await service.request(rt, session, spec)
    with pytest.raises(PreflightError, match=r"10\.66\.200\.7 is the address of CT"):
        await service.request(rt, session, replace(spec, hostname="second"))
    assert await of_address(rt, session, replace(spec, hostname="second", bridge="vmbr1")) == []
    await service.request(rt, session, replace(spec, hostname="second", bridge="vmbr1"))


async def with_rights(rt: Runtime, sandbox: SandboxNode, **paths: tuple[str, ...]) -> Session:
    """A session of a user with these privileges and ``SDN.Use``."""
    directory = sandbox.api.directory
    directory.acl[:] = [entry for entry in directory.acl if entry.ugid != "viewer@pve"]
    sandbox.api.grant("viewer@pve", "/sdn", "SDN.Use")
    for path, privileges in paths.items():
        sandbox.api.grant("viewer@pve", path, *privileges)
    return await sign_in(rt, sandbox, "viewer@pve")


async def test_a_storage_of_os_templates_that_the_user_does_not_see_is_told_with_the_privilege(
    rt: Runtime, sandbox: SandboxNode
) -> None:
    made_for = replace(BASIC, config=replace(BASIC.config, os="debian", version="13"))
    revision_id = await store(rt, made_for)
    async with rt.db.transaction() as tx:
        template, _ = await tx.templates.revision(revision_id)
    asked = {"hostname": "web", "template": str(template.id), "node": "pve1"}
    disks = ("Datastore.AllocateSpace", "Datastore.Audit")
    session = await with_rights(rt, sandbox, **{"/vms": GUEST, "/storage/local-lvm": disks})
    with pytest.raises(InvalidInputError) as refused:
        await validation.completed(rt, session, asked)
    assert refused.value.fields["ostemplate"] == (
        f"{template.name} is made for debian 13, which no storage that you see on pve1 has. Name another OS template, "
        "or have Datastore.Audit granted to you at the storage that has it (/storage/NAME)"
    )
    offered = await choices.choices(rt, session, "pve1")
    assert [line for line in map(cause, offered.missing) if "Datastore.Audit" in line] == [
        "OS templates: you see no storage on pve1 that holds any. You need Datastore.Audit at one that does (/storage/NAME)"
    ]
    sandbox.api.grant("viewer@pve", "/storage/local", "Datastore.Audit")
    spec, _ = await validation.completed(rt, session, asked)
    assert spec.ostemplate == OSTEMPLATE


async def test_a_storage_for_disks_that_the_user_does_not_see_is_not_told_as_missing(
    rt: Runtime, sandbox: SandboxNode
) -> None:
    session = await with_rights(rt, sandbox, **{"/vms": GUEST, "/storage/local": ("Datastore.Audit",)})
    findings = await found(rt, session, spec_of(None))
    assert [cause(finding) for finding in findings if "local-lvm" in cause(finding)] == [
        "You lack Datastore.AllocateSpace at /storage/local-lvm"
    ]


async def test_a_user_with_rights_through_a_pool_who_chose_none_is_told_to_choose_it(
    rt: Runtime, sandbox: SandboxNode
) -> None:
    disks = ("Datastore.AllocateSpace", "Datastore.Audit")
    paths = {"/pool/staging": GUEST, "/storage": disks, "/nodes": ("Sys.Audit",)}
    session = await with_rights(rt, sandbox, **paths)
    spec = spec_of(None, vmid=VMID)
    with pytest.raises(PrivilegeError):
        await create(rt, session, spec)
    [lack] = [finding for finding in await found(rt, session, spec) if finding.severity is FindingSeverity.ERROR]
    assert lack.field == "pool"
    assert cause(lack).startswith("You lack VM.Allocate, ")
    assert cause(lack).endswith(f" at /vms/{VMID}, and hold VM.Allocate only at /pool/staging")
    assert remedy(lack) == "Choose the pool staging"
    sandbox.api.grant("viewer@pve", "/pool/platform", "VM.Allocate")
    [lack] = [finding for finding in await found(rt, session, spec) if finding.field == "pool"]
    assert remedy(lack) == "Choose one of the pools platform, staging"
    chosen = replace(spec, pool="staging")
    assert [finding for finding in await found(rt, session, chosen) if finding.severity is FindingSeverity.ERROR] == []
    assert await create(rt, session, chosen) == "OK"


async def test_a_token_of_root_is_told_that_pve_needs_a_ticket_for_what_only_root_may(
    rt: Runtime, sandbox: SandboxNode
) -> None:
    secret = str(uuid4())
    sandbox.api.directory.users["root@pam"].tokens["ci"] = Token(secret, privsep=0)
    sandbox.api.directory.changed()
    session = await tokens.session_of(rt, f"PVEAPIToken=root@pam!ci={secret}", "", Origin("192.0.2.9"))
    spec = spec_of(None, keyctl=True, mounts=(Mount("/tank/media", "/media"),))
    with pytest.raises(PrivilegeError):
        await create(rt, session, replace(spec, mounts=()))
    findings = {finding.field: finding for finding in await found(rt, session, spec)}
    assert cause(findings["keyctl"]) == (
        "Only root@pam may switch on keyctl for unprivileged containers, and PVE refuses API tokens for it"
    )
    assert remedy(findings["keyctl"]) == ("Switch it off, or sign in as root@pam with the password and create it then")
    assert remedy(findings["mounts.0.source"]) == (
        "Choose a volume of a storage, or sign in as root@pam with the password and create it then"
    )
    assert "mounts.0.source" not in {each.field for each in await found(rt, await sign_in(rt, sandbox), spec)}
