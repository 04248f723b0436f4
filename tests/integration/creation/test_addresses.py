"""The next free addresses of a range, without those that PVE shows or that a job has reserved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidInputError, PreflightError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import request
from lxc_dashboard.services.creation.form.addresses import next_free, parse_range
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from lxc_dashboard.services.creation.preflight.findings import Finding
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import pve_alone, register, spec_of


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=12) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox)
        yield runtime


def static(address: str, gateway: str = "") -> IpSettings:
    return IpSettings(IpMode.STATIC, address, gateway)


async def test_what_containers_have_in_pve_is_left_out(rt: Runtime, session: Session, sandbox: SandboxNode) -> None:
    stopped, running, dynamic = (guest for guest in sandbox.api.cts[:3])
    stopped.config["net0"] = (
        "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=10.9.0.10/24,gw=10.9.0.1,ip6=fd09::10/64,type=veth"
    )
    running.config["net1"] = "name=eth1,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=10.9.0.12/24,type=veth"
    dynamic.config["net0"] = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=dhcp,type=veth"

    found = await next_free(rt, session, parse_range("10.9.0.1-20/24"), 3, gateway="10.9.0.2")
    assert found.addresses == ("10.9.0.3/24", "10.9.0.4/24", "10.9.0.5/24")
    assert found.unasked == 0
    assert (await next_free(rt, session, parse_range("10.9.0.10-20/24"), 2)).addresses == (
        "10.9.0.11/24",
        "10.9.0.13/24",
    )
    assert (await next_free(rt, session, parse_range("fd09::10-20/64"))).addresses == ("fd09::11/64",)


async def test_an_address_that_a_guest_got_by_dhcp_is_left_out(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    guest = next(ct for ct in sandbox.api.cts if ct.status == "running" and "ip=dhcp" in ct.config["net0"])
    client = await acting.client(rt, session)
    has = next(each.inet for each in await client.lxc.interfaces(guest.node, guest.vmid) if each.name == "eth0")
    address, _, prefix = has.partition("/")
    with pytest.raises(InvalidInputError, match="all taken"):
        await next_free(rt, session, parse_range(f"{address}-{address}/{prefix}"))


async def test_what_a_container_is_configured_with_counts_where_pve_does_not_tell_its_interfaces(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    running = next(guest for guest in sandbox.api.cts if guest.status == "running")
    running.config["net0"] = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=10.9.0.1/24,type=veth"
    sandbox.fail("GET", f"/{running.vmid}/interfaces", 500, "unable to get the namespace")
    found = await next_free(rt, session, parse_range("10.9.0.1-20/24"))
    assert found.addresses == ("10.9.0.2/24",)
    assert found.unasked == 1


async def test_what_was_promised_to_a_run_that_has_not_begun_is_left_out(rt: Runtime, session: Session) -> None:
    spec = spec_of(None, ipv4=static("10.9.0.3/24", "10.9.0.1"), ipv6=static("fd09::2/64"))
    await request.request(rt, session, spec)
    assert (await next_free(rt, session, parse_range("10.9.0.3-20/24"))).addresses == ("10.9.0.4/24",)
    assert (await next_free(rt, session, parse_range("fd09::1-9/64"), 2)).addresses == ("fd09::1/64", "fd09::3/64")


@pytest.mark.parametrize(("field", "address"), [("ipv4_address", "10.9.0.3"), ("ipv6_address", "fd09::2")])
async def test_two_runs_are_never_promised_one_address(rt: Runtime, session: Session, field: str, address: str) -> None:
    family = field.partition("_")[0]
    given: dict[str, Any] = {family: static(f"{address}/64" if family == "ipv6" else f"{address}/24")}
    specs = [spec_of(None, **given) for _ in range(2)]
    asked = await asyncio.gather(*(request.request(rt, session, spec) for spec in specs), return_exceptions=True)
    refused = [answer for answer in asked if isinstance(answer, (InvalidInputError, PreflightError))]
    assert len(refused) == 1
    assert address in str(refused[0])
    with pytest.raises(PreflightError) as known:
        await request.request(rt, session, spec_of(None, **given))
    (finding,) = known.value.findings
    assert isinstance(finding, Finding)
    assert (finding.field, address in text.in_words_of(finding.message)) == (field, True)


async def test_a_range_that_is_too_small_is_refused_beside_its_field(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    sandbox.api.cts[0].config["net0"] = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=10.9.0.1/24,type=veth"
    with pytest.raises(InvalidInputError) as refused:
        await next_free(rt, session, parse_range("10.9.0.1-10.9.0.4/24"), 5, field="ipv4_range")
    assert refused.value.fields == {"ipv4_range": "3 of its addresses are free, 5 are needed"}


async def test_containers_that_cannot_be_asked_are_counted(rt: Runtime, session: Session, sandbox: SandboxNode) -> None:
    sandbox.node_offline("pve2")
    away = [guest for guest in sandbox.api.cts if guest.node == "pve2"]
    found = await next_free(rt, session, parse_range("10.9.0.1-9/24"))
    assert found.unasked == len(away) > 0
