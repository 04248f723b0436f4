"""Preflight stops what PVE refuses, and warns of what PVE accepts: the sandbox is asked for the same container."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lxc_dashboard.errors import ApiError, TaskFailedError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.sandbox.node import SandboxNode
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import preflight
from lxc_dashboard.services.creation.findings import Finding, FindingSeverity
from lxc_dashboard.services.creation.spec import ContainerSpec, pve_parameters
from lxc_dashboard.settings import Settings
from tests.integration.creation.conftest import pve_alone, spec_of
from tests.integration.endpoints import runtime_over

VMID = 7001
GIB = 1024**3


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=6) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with runtime_over(settings, sandbox) as runtime:
        yield runtime


async def found(rt: Runtime, session: Session, spec: ContainerSpec) -> list[Finding]:
    """Errors and warnings."""
    findings = await preflight.check(rt, session, spec)
    return [finding for finding in findings if finding.severity is not FindingSeverity.NOTE]


async def create(rt: Runtime, session: Session, spec: ContainerSpec) -> str:
    """Create the container at PVE, past preflight, and wait for its task. Raises what PVE says."""
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
    assert error.cause == "MTU 9000 is above the MTU of bridge vmbr0, 1500: PVE refuses to create the container"
    sandbox.api.mtus["vmbr1"] = 9000
    assert await found(rt, session, replace(spec, bridge="vmbr1")) == []
    assert await create(rt, session, replace(spec, bridge="vmbr1")) == "OK"


async def test_a_bridge_without_an_mtu_has_that_of_its_port(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    sandbox.api.mtus["eno1"] = 9000
    spec = spec_of(None, mtu=9000)
    assert await found(rt, session, spec) == []
    assert await create(rt, session, spec) == "OK"
    [error] = await found(rt, session, replace(spec, mtu=9001))
    assert (error.severity, error.field) == (FindingSeverity.ERROR, "mtu")


async def test_a_thin_storage_below_the_size_of_the_disk_warns_as_pve_accepts_it(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    sandbox.fill_storage("local-lvm", GIB // 2)
    spec = spec_of(None, disk_gib=2)
    [warning] = await found(rt, session, spec)
    assert (warning.severity, warning.field) == (FindingSeverity.WARNING, "disk_gib")
    assert warning.cause == "Storage local-lvm has 0.5 GiB free, the disk is 2 GiB"
    assert "becomes read-only" in warning.remedy
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
