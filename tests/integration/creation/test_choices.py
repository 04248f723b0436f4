"""The wizard offers what the signed-in user sees on the node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lxc_dashboard.db.models import Container
from lxc_dashboard.errors import ConflictError, UnreachableError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.client import GET_DEADLINE_S
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.services.creation.form.choices import BridgeChoice
from lxc_dashboard.services.creation.form.codes import FieldCode, OfferCode
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import pve_alone
from tests.integration.endpoints import runtime_over, sign_in

GIB = 1024**3


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=3) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with runtime_over(settings, sandbox) as runtime:
        yield runtime


async def test_everything_the_node_has_is_offered(rt: Runtime, session: Session) -> None:
    found = await choices.choices(rt, session, "pve2")
    assert found.node == "pve2"
    assert [(node.name, node.online) for node in found.nodes] == [("pve1", True), ("pve2", True), ("pve3", True)]
    assert all(0 < node.memory_free <= node.memory_total for node in found.nodes)
    assert [storage.name for storage in found.storages] == ["local-lvm"]
    assert found.storages[0].free > GIB
    assert found.bridges == (BridgeChoice("vmbr0", False), BridgeChoice("vmbr1", True))
    assert [storage.name for storage in found.template_storages] == ["local"]
    assert {appliance.section for appliance in found.appliances} == {"system", "mail", "turnkeylinux"}
    assert found.pools == ("platform", "production", "staging")
    assert found.next_vmid == 100
    assert found.missing == ()


async def test_os_templates_that_are_there_are_told_from_those_to_fetch(rt: Runtime, session: Session) -> None:
    found = (await choices.choices(rt, session, "pve1")).ostemplates
    there = [template for template in found if not template.is_download]
    assert "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst" in [template.value for template in there]
    assert not {template.name for template in there} & {template.name for template in found if template.is_download}
    for template in found:
        volid, download = choices.split_os_template(template.value)
        assert volid == f"local:vztmpl/{template.name}"
        assert download == (template.name if template.is_download else "")


async def test_without_a_node_the_roomiest_that_answers_is_taken(
    rt: Runtime, session: Session, sandbox: SandboxNode
) -> None:
    found = await choices.choices(rt, session)
    roomiest = max(found.nodes, key=lambda node: (node.memory_free, node.name))
    assert found.node == roomiest.name
    sandbox.node_offline(roomiest.name)
    again = await choices.choices(rt, session, roomiest.name)
    assert again.node != roomiest.name
    assert [node.name for node in again.nodes if not node.online] == [roomiest.name]
    for node in again.nodes:
        sandbox.node_offline(node.name)
    with pytest.raises((ConflictError, UnreachableError)):
        await choices.choices(rt, session)


async def test_a_silent_pve_is_told_soon_not_after_the_time_of_an_ordinary_question(
    rt: Runtime, session: Session, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choices.NODES_WITHIN_S < GET_DEADLINE_S / 2
    monkeypatch.setattr(choices, "NODES_WITHIN_S", 0.3)
    sandbox.mute()
    try:
        async with asyncio.timeout(GET_DEADLINE_S / 2):
            with pytest.raises(UnreachableError):
                await choices.choices(rt, session)
    finally:
        sandbox.mute(False)


async def test_one_who_may_see_nothing_is_told_what_could_not_be_read(rt: Runtime, sandbox: SandboxNode) -> None:
    sandbox.api.directory.acl[:] = [entry for entry in sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    sandbox.api.directory.changed()
    found = await choices.choices(rt, await sign_in(rt, sandbox, "viewer@pve"))
    assert (found.storages, found.ostemplates, found.pools) == ((), (), ())
    assert {message.code for message in found.missing} <= {OfferCode.UNLISTED, OfferCode.NO_OSTEMPLATES_SEEN}


async def test_a_vmid_is_free_or_its_holder_is_named(rt: Runtime, session: Session) -> None:
    assert await choices.vmid_fault(rt, session, 4321) is None
    assert await choices.vmid_fault(rt, session, 101) == Message.of(FieldCode.VMID_IN_PVE, vmid=101)
    async with rt.db.transaction() as tx:
        reserved = Container(endpoint_id=session.endpoint_id, vmid=4321, node="pve1", hostname="soon")
        await tx.containers.reserve(reserved)
    assert await choices.vmid_fault(rt, session, 4321) == Message.of(FieldCode.VMID_OURS, vmid=4321)


@pytest.mark.parametrize(
    ("os", "version", "name"),
    [
        ("debian", "13", "debian-13-standard_13.1-2_amd64.tar.zst"),
        ("debian", "12", "debian-12-standard_12.12-1_amd64.tar.zst"),
        ("ubuntu", "24.04", "ubuntu-24.04-standard_24.04-2_amd64.tar.zst"),
        ("alpine", "3.22", "alpine-3.22-default_20250617_amd64.tar.xz"),
        ("debian", "1", ""),
        ("deb", "", ""),
        ("", "", ""),
    ],
)
async def test_the_os_that_a_template_asks_for_is_found_by_its_name(
    rt: Runtime, session: Session, os: str, version: str, name: str
) -> None:
    offered = (await choices.choices(rt, session)).ostemplates
    found = choices.best_os_template(offered, os, version)
    assert found.rpartition("/")[2] == name


TURNKEY = "debian-12-turnkey-wordpress_18.2-1_amd64.tar.gz"


async def test_every_section_is_searched_by_every_word(rt: Runtime, session: Session) -> None:
    found = await choices.choices(rt, session, "pve1")
    assert [each.template for each in choices.matching(found, "WordPress debian-12")] == [TURNKEY]
    assert [each.section for each in choices.matching(found, "mail")] == ["mail"]
    assert choices.matching(found, "wordpress alpine") == []
    assert len(choices.matching(found, " ")) == len(found.appliances)
    assert found.has_os_template(choices.download_value("local", TURNKEY))
    assert not found.has_os_template(choices.download_value("local-lvm", TURNKEY))
    assert not found.has_os_template(f"local:vztmpl/{TURNKEY}")
    assert TURNKEY not in [template.name for template in found.ostemplates]
