"""The wizard and preflight with other kinds of PVE, without creating a container."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.creation import access, preflight
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.services.creation.preflight.neighbours import addresses_seen
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import pve_alone, register, spec_of
from tests.integration.creation.other_pve import OK, Answer, Change, OtherPve, refused, without, written_otherwise
from tests.integration.endpoints import sign_in
from tests.worded import cause

STORAGES = "/nodes/pve1/storage"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=6) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox)
        yield runtime


def of_version(version: str) -> Change:
    def change(answer: Answer) -> None:
        if answer.path == "/version" and answer.status == OK:
            answer.body["data"]["version"] = version

    return change


def lacking(*privileges: str) -> Change:
    """The user lacks these privileges at every path. The values of the held ones are null."""

    def change(answer: Answer) -> None:
        if answer.path == "/access/permissions" and answer.status == OK:
            for path, held in answer.body["data"].items():
                answer.body["data"][path] = dict.fromkeys(held.keys() - set(privileges))

    return change


def with_options(options: dict[str, Any]) -> Change:
    def change(answer: Answer) -> None:
        if answer.path == "/cluster/options":
            answer.body["data"] = options

    return change


def with_vnet(answer: Answer) -> None:
    """vmbr0 is a virtual network of the SDN zone ``far``."""
    if answer.path == "/nodes/pve1/network":
        answer.body["data"] = [{"iface": "vmbr0", "type": "vnet", "active": 1}]
    elif answer.path == "/cluster/sdn/vnets":
        answer.status, answer.reason = OK, "OK"
        answer.body = {"data": [{"vnet": "vmbr0", "zone": "far", "type": "vnet"}]}
    elif answer.path == "/access/permissions" and answer.status == OK:
        for path, held in answer.body["data"].items():
            answer.body["data"][path] = held if "localnetwork" not in path else {}


async def told(rt: Runtime, session: Session, **changes: Any) -> list[tuple[str, str, str]]:
    """The severity, field and cause of each finding."""
    found = await preflight.check(rt, session, replace(spec_of(None), **changes))
    return [(finding.severity.value, finding.field, cause(finding)) for finding in found]


async def test_the_wizard_offers_the_same_however_it_is_written(rt: Runtime, session: Session, other: OtherPve) -> None:
    before = await choices.choices(rt, session, "pve1")
    other.changes.append(written_otherwise)
    after = await choices.choices(rt, session, "pve1")
    assert [node.name for node in after.nodes if not node.online] == ["Pve-2"]
    assert replace(after, nodes=before.nodes, storages=before.storages) == before
    told = [(storage.name, storage.total, type(storage.free)) for storage in after.storages]  # not the value of free
    assert told == [(storage.name, storage.total, int) for storage in before.storages]
    assert before.missing == ()


async def test_storages_that_say_neither_that_they_are_active_nor_their_size_are_offered(
    rt: Runtime, session: Session, other: OtherPve
) -> None:
    other.changes.append(without(STORAGES, "active", "enabled", "total", "avail", "used"))
    assert "local-lvm" in [storage.name for storage in (await choices.choices(rt, session, "pve1")).storages]
    assert await told(rt, session) == [("warning", "storage", "Storage local-lvm does not report its free space")]


async def test_a_storage_that_hangs_takes_nothing_else_with_it(rt: Runtime, session: Session, other: OtherPve) -> None:
    other.changes.append(refused("/storage/local/content", 596, "Connection timed out"))
    found = await choices.choices(rt, session, "pve1")
    assert [cause(message) for message in found.missing] == ["OS templates on local: Node pve1 does not answer"]
    assert found.storages
    assert found.bridges
    assert found.appliances


@pytest.mark.parametrize(
    ("version", "missing"), [("9.1.4", ["bridge", "unprivileged"]), ("8.4.1", ["bridge"]), ("7.4-17", [])]
)
async def test_only_what_this_pve_asks_for_is_named_as_missing(
    rt: Runtime, sandbox: SandboxNode, other: OtherPve, version: str, missing: list[str]
) -> None:
    operator = await sign_in(rt, sandbox, "operator@pve")
    other.changes += [of_version(version), lacking("SDN.Use", "Sys.Modify")]
    assert [field for _, field, _ in await told(rt, operator, unprivileged=False)] == missing


async def test_the_os_template_is_to_be_read_by_either_right_at_its_storage(
    rt: Runtime, sandbox: SandboxNode, other: OtherPve
) -> None:
    operator = await sign_in(rt, sandbox, "operator@pve")
    other.changes.append(lacking("Datastore.AllocateSpace"))
    assert await told(rt, operator) == [
        ("error", "storage", "You lack Datastore.AllocateSpace at /storage/local-lvm"),
    ]
    other.changes.append(lacking("Datastore.Audit"))
    assert (
        "error",
        "ostemplate",
        "You lack Datastore.AllocateSpace or Datastore.Audit at /storage/local",
    ) in await told(rt, operator)


async def test_a_tag_that_is_the_administrators_needs_their_right(
    rt: Runtime, sandbox: SandboxNode, other: OtherPve
) -> None:
    operator = await sign_in(rt, sandbox, "operator@pve")
    tags = ("web", "prod")
    cause = "You lack Sys.Modify at /, which PVE requires for the tags"
    assert await told(rt, operator, tags=tags) == []
    other.changes.append(with_options({"registered-tags": ["Prod"], "allowed-tags": []}))
    assert await told(rt, operator, tags=tags) == [("error", "tags", f"{cause} prod")]
    assert await told(rt, operator, tags=tags, pool="staging") == [("warning", "tags", f"{cause} prod")]
    assert await told(rt, operator, tags=("web",)) == []
    other.changes.append(with_options({"user-tag-access": {"user-allow": "list"}, "allowed-tags": ["web"]}))
    assert await told(rt, operator, tags=(*tags, "other")) == [("error", "tags", f"{cause} prod, other")]
    assert await told(rt, await sign_in(rt, sandbox), tags=tags) == []
    other.changes.append(refused("/cluster/options", 403, "Permission check failed"))
    assert await told(rt, operator, tags=tags) == []


async def test_a_virtual_network_is_asked_for_in_its_own_zone(
    rt: Runtime, sandbox: SandboxNode, other: OtherPve
) -> None:
    operator = await sign_in(rt, sandbox, "operator@pve")
    other.changes.append(with_vnet)
    assert await told(rt, operator) == []
    other.changes.append(lacking("SDN.Use"))
    assert await told(rt, operator) == [("error", "bridge", "You lack SDN.Use at /sdn/zones/far/vmbr0")]


async def test_addresses_are_those_of_the_configurations_where_pve_tells_no_others(
    rt: Runtime, session: Session, sandbox: SandboxNode, other: OtherPve
) -> None:
    client = await acting.client(rt, session)
    before = await addresses_seen(client)
    other.changes.append(refused("/interfaces", 501, "not implemented"))
    after = await addresses_seen(client)
    static = {guest.vmid for guest in sandbox.api.cts if "ip=10." in guest.config["net0"]}
    assert static
    assert static <= {held.vmid for held in after.held}
    assert before.unasked < after.unasked <= len(sandbox.api.cts) - len(static)


async def test_a_virtual_machine_with_the_vmid_is_not_the_guest(rt: Runtime, session: Session, other: OtherPve) -> None:
    other.changes += [as_machine, refused("/status/current", 500, "Configuration file does not exist")]
    with pytest.raises(NotFoundError):
        await power.find(rt, session, 101)
    client = await acting.client(rt, session)
    assert await access.find_door(client, 101, "pve1") == (None, None)


def as_machine(answer: Answer) -> None:
    if answer.path == "/cluster/resources":
        for entry in answer.body["data"]:
            if entry.get("vmid") == 101:
                entry["type"] = "qemu"
