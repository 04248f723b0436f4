"""The choices that the wizard offers on a node, as far as the user may see them, and the form's initial values."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from lxc_dashboard.errors import ApiError, ConflictError, PrivilegeError, UnreachableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import vmids
from lxc_dashboard.services.creation.form.codes import FieldCode, OfferCode
from lxc_dashboard.services.creation.form.fields import BY_NAME, FIELDS
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateSummary

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Appliance, Content, NetworkDevice, NodeStorage
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


log = structlog.get_logger(__name__)

T = TypeVar("T")

DOWNLOAD_PREFIX: Final = "download:"
# The page is empty until PVE answers this first request. A later one that fails is listed in ``Choices.missing``.
NODES_WITHIN_S: Final = 8.0
# Any one of these privileges shows a user the storage.
SEES_STORAGE: Final = frozenset({"Datastore.Audit", "Datastore.AllocateSpace"})
PLAIN_SYSTEMS: Final = ("-standard", "-default", "-base")
# Enough for a date, which has eight digits.
NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class NodeChoice:
    """A node. Memory in bytes; 0 if the user may not see it."""

    name: str
    online: bool
    memory_free: int = 0
    memory_total: int = 0


@dataclass(frozen=True, slots=True)
class StorageChoice:
    """A storage and its space, in bytes."""

    name: str
    type: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class BridgeChoice:
    """A bridge. ``vlan_aware`` is None if PVE does not say, for example for a virtual network."""

    name: str
    vlan_aware: bool | None = None


@dataclass(frozen=True, slots=True)
class OsTemplateChoice:
    """An OS template. ``value``: its volid, or ``download:<future volid>`` for one that is downloaded first.

    ``size`` in bytes; 0 if unknown.
    """

    value: str
    name: str
    storage: str
    size: int = 0

    @property
    def is_download(self) -> bool:
        return self.value.startswith(DOWNLOAD_PREFIX)


@dataclass(frozen=True, slots=True)
class ApplianceChoice:
    """An OS template that PVE can download. ``template``: the file's name; ``name``: without version and suffix."""

    template: str
    name: str
    os: str
    section: str
    headline: str


@dataclass(frozen=True, slots=True)
class Choices:
    """``missing``: lists that could not be read, with the cause. The user types those values instead.

    ``ostemplates``: those on the node's storages, then those of the section ``system`` to download.
    ``appliances``: all that PVE can download. ``hides_storages``: PVE may hide storages from this user.
    """

    node: str
    nodes: tuple[NodeChoice, ...]
    storages: tuple[StorageChoice, ...] = ()
    bridges: tuple[BridgeChoice, ...] = ()
    ostemplates: tuple[OsTemplateChoice, ...] = ()
    template_storages: tuple[StorageChoice, ...] = ()
    appliances: tuple[ApplianceChoice, ...] = ()
    pools: tuple[str, ...] = ()
    next_vmid: int | None = None
    missing: tuple[Message, ...] = ()
    hides_storages: bool = False

    def has_os_template(self, value: str) -> bool:
        """Whether a storage of the node has this OS template, or PVE can download it to the storage in ``value``."""
        volid, template = split_os_template(value)
        if not template:
            return any(offered.value == value for offered in self.ostemplates)
        fetchable = any(appliance.template == template for appliance in self.appliances)
        return fetchable and volid.partition(":")[0] in {storage.name for storage in self.template_storages}


async def choices(rt: Runtime, session: Session, node: str = "") -> Choices:
    """Read what ``node`` offers. If it is empty or offline, use the online node with the most free memory.

    ``GET /nodes``, ``/nodes/{node}/storage``, ``.../network``, ``.../storage/{s}/content``, ``.../aplinfo``,
    ``/pools``, ``/cluster/nextid``, ``/access/permissions``. Raises ``UnreachableError``, and ``ConflictError`` if no
    node is online.
    """
    client = await acting.client(rt, session)
    listed = await client.within(NODES_WITHIN_S).nodes.list()
    nodes = tuple(NodeChoice(n.node, n.online, max(0, n.maxmem - n.mem), n.maxmem) for n in listed)
    chosen = node if any(n.name == node and n.online for n in nodes) else _roomiest(nodes)
    missing: list[Message] = []
    storages, hides_storages, bridges, pools, vmid = await asyncio.gather(
        _or(client.nodes.storage(chosen), [], Message.of(OfferCode.STORAGES), missing),
        _or(_hides_storages(client), False, Message.of(OfferCode.STORAGE_RIGHTS), missing),
        _or(client.nodes.network(chosen, "any_bridge"), [], Message.of(OfferCode.BRIDGES), missing),
        _or(client.pools.list(), [], Message.of(OfferCode.POOLS), missing),
        _or(client.cluster.nextid(), None, Message.of(OfferCode.NEXT_VMID), missing),
    )
    holders = _holding(storages, "vztmpl")
    if hides_storages and not holders:
        missing.append(Message.of(OfferCode.NO_OSTEMPLATES_SEEN, node=chosen))
    present, appliances = await asyncio.gather(
        _present_on(client, chosen, holders, missing),
        _or(client.nodes.aplinfo(chosen), [], Message.of(OfferCode.APPLIANCES), missing),
    )
    return Choices(
        node=chosen,
        nodes=tuple(sorted(nodes, key=lambda n: n.name)),
        storages=_holding(storages, "rootdir"),
        bridges=tuple(sorted((_bridge(device) for device in bridges), key=lambda bridge: bridge.name)),
        ostemplates=(*present, *_fetchable(appliances, holders, present)),
        template_storages=holders,
        appliances=_offered(appliances),
        pools=tuple(sorted(pool.poolid for pool in pools)),
        next_vmid=vmid,
        missing=tuple(missing),
        hides_storages=hides_storages,
    )


async def _hides_storages(client: ProxmoxClient) -> bool:
    """Whether PVE's list may leave out storages because the user may not see them all."""
    return SEES_STORAGE.isdisjoint(await client.access.permissions("/storage"))


def _roomiest(nodes: tuple[NodeChoice, ...]) -> str:
    online = [node for node in nodes if node.online]
    if not online:
        raise ConflictError(Message.of(OfferCode.NO_NODE))
    return max(online, key=lambda node: (node.memory_free, node.name)).name


def _holding(storages: list[NodeStorage], content_type: str) -> tuple[StorageChoice, ...]:
    """The usable storages for this content, most free space first."""
    usable = [s for s in storages if s.active and s.enabled and s.holds(content_type)]
    found = (StorageChoice(s.storage, s.type, s.avail, s.total) for s in usable)
    return tuple(sorted(found, key=lambda s: (-s.free, s.name)))


def _bridge(device: NetworkDevice) -> BridgeChoice:
    if device.type == "OVSBridge":
        return BridgeChoice(device.iface, True)
    aware = device.bridge_vlan_aware if device.type == "bridge" else None
    return BridgeChoice(device.iface, aware)


async def _present_on(
    client: ProxmoxClient, node: str, holders: Sequence[StorageChoice], missing: list[Message]
) -> list[OsTemplateChoice]:
    nothing: list[Content] = []
    contents = await asyncio.gather(
        *(
            _or(
                client.storage.content(node, holder.name, "vztmpl"),
                nothing,
                Message.of(OfferCode.OSTEMPLATES, storage=holder.name),
                missing,
            )
            for holder in holders
        )
    )
    return sorted((_present(volume) for volumes in contents for volume in volumes), key=lambda t: (t.name, t.storage))


def _present(volume: Content) -> OsTemplateChoice:
    storage, _, rest = volume.volid.partition(":")
    return OsTemplateChoice(volume.volid, rest.removeprefix("vztmpl/"), storage, volume.size)


def _fetchable(
    appliances: Sequence[Appliance], holders: Sequence[StorageChoice], present: Sequence[OsTemplateChoice]
) -> list[OsTemplateChoice]:
    """Choices to download the missing OS templates of the section ``system`` to the storage with most free space."""
    names = {template.name for template in present}
    missing = [a.template for a in appliances if holders and a.section == "system" and a.template not in names]
    return [OsTemplateChoice(download_value(holders[0].name, name), name, holders[0].name) for name in sorted(missing)]


def _offered(appliances: Sequence[Appliance]) -> tuple[ApplianceChoice, ...]:
    found = (ApplianceChoice(a.template, a.package or a.template, a.os, a.section, a.headline) for a in appliances)
    return tuple(sorted(found, key=lambda appliance: appliance.template))


def download_value(storage: str, template: str) -> str:
    """The value of a choice that is downloaded first."""
    return f"{DOWNLOAD_PREFIX}{storage}:vztmpl/{template}"


def matching(offered: Choices, query: str) -> list[ApplianceChoice]:
    """Search the appliances of all sections for those whose texts contain every word of ``query``."""
    words = query.lower().split()
    return [appliance for appliance in offered.appliances if all(word in _texts(appliance) for word in words)]


def _texts(appliance: ApplianceChoice) -> str:
    return f"{appliance.template} {appliance.os} {appliance.section} {appliance.headline}".lower()


async def vmid_fault(rt: Runtime, session: Session, vmid: int) -> Message | None:
    """Why a container cannot have this vmid, or None. ``GET /cluster/nextid?vmid=``."""
    client = await acting.client(rt, session)
    await vmids.forget_gone(rt, client, session.endpoint_id, vmid=vmid)
    async with rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(session.endpoint_id, vmid)
    if holder is not None:
        return Message.of(FieldCode.VMID_OURS, vmid=vmid)
    return None if await client.cluster.vmid_is_free(vmid) else Message.of(FieldCode.VMID_IN_PVE, vmid=vmid)


def split_os_template(value: str) -> tuple[str, str]:
    """Split a choice's value into ``ostemplate`` and ``ostemplate_download``, which may be empty."""
    if not value.startswith(DOWNLOAD_PREFIX):
        return value, ""
    volid = value.removeprefix(DOWNLOAD_PREFIX)
    return volid, volid.rpartition("/")[2]


def best_os_template(offered: tuple[OsTemplateChoice, ...], os: str, version: str) -> str:
    """The value of the best OS template for a template's OS, or empty.

    Prefers one on the node to a download, then a plain system to an appliance built on it, then the newest.
    """
    fitting = [template for template in offered if os and is_system(template.name, os, version)]
    return max(fitting, key=_fitness).value if fitting else ""


def is_system(name: str, os: str, version: str) -> bool:
    """Whether an OS template of this name contains this OS. An empty ``version`` matches every version."""
    wanted = f"{os}-{version}" if version else os
    return name == wanted or name.startswith((f"{wanted}-", f"{wanted}."))


def _fitness(offered: OsTemplateChoice) -> tuple[bool, bool, list[int]]:
    """Sort key for ``best_os_template``. Reads names such as ``debian-13-standard_13.1-2_amd64.tar.zst``."""
    system, _, _ = offered.name.partition("_")
    return not offered.is_download, system.endswith(PLAIN_SYSTEMS), [int(n) for n in NUMBER.findall(offered.name)]


async def _or(asked: Awaitable[T], fallback: T, what: Message, missing: list[Message]) -> T:
    """The answer, or ``fallback`` if PVE refuses the request or cannot answer it, for example because a storage hangs.

    Then adds ``what`` to ``missing``.
    """
    try:
        return await asked
    except (PrivilegeError, ApiError, UnreachableError) as error:
        log.info("choice not offered", what=what.code, cause=str(error))
        missing.append(Message.of(OfferCode.UNLISTED, what=what, reason=error.reason))
        return fallback


HOSTNAME_CHARS: Final = 63


def defaults(summary: TemplateSummary | None, offered: Choices) -> dict[str, str]:
    """The form's initial values: the template's, else those of the node, else the defaults in ``FIELDS``."""
    config = summary.config if summary else TemplateConfig(app="")
    form = {
        row.name: row.write(getattr(config, row.config)) if row.config else row.started for row in FIELDS if row.in_form
    }
    named = {"node": offered.node, "hostname": host_name(summary.name) if summary else ""}
    return {**form, **named, **of_node(offered, config)}


def of_node(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """The fields that depend on the node: the template's value if the node has it, else the node's first."""
    return {
        "ostemplate": _first(offered.ostemplates),
        "storage": next((storage.name for storage in offered.storages), ""),
        "bridge": next((bridge.name for bridge in offered.bridges), BY_NAME["bridge"].default),
        **granted(offered, wanted),
    }


def granted(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """The template's values that the node has, by field."""
    found = {
        "ostemplate": best_os_template(offered.ostemplates, wanted.os, wanted.version),
        "storage": next((storage.name for storage in offered.storages if storage.name == wanted.storage), ""),
        "bridge": next((bridge.name for bridge in offered.bridges if bridge.name == wanted.bridge), ""),
    }
    return {name: value for name, value in found.items() if value}


def lacking(offered: Choices, wanted: TemplateConfig) -> dict[str, str]:
    """The template's values that the node lacks, by field. Leaves out a field if PVE listed nothing for it."""
    known = {"ostemplate": offered.ostemplates, "storage": offered.storages, "bridge": offered.bridges}
    wishes = {"ostemplate": _system(wanted), "storage": wanted.storage, "bridge": wanted.bridge}
    met = granted(offered, wanted)
    return {name: wish for name, wish in wishes.items() if wish and known[name] and name not in met}


def system_missing(offered: Choices, wanted: TemplateConfig) -> str:
    """The OS that a template needs and the node lacks, for example ``debian 13``; empty if it has it."""
    return "" if "ostemplate" in granted(offered, wanted) else _system(wanted)


def _system(wanted: TemplateConfig) -> str:
    return f"{wanted.os} {wanted.version}".strip() if wanted.os else ""


def host_name(name: str) -> str:
    """Make a valid hostname of any name: at most 63 letters, digits and single hyphens, and not only digits."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:HOSTNAME_CHARS].strip("-")
    return f"ct-{found}"[:HOSTNAME_CHARS] if found.isdecimal() else found


def _first(offered: Sequence[OsTemplateChoice]) -> str:
    return min(offered, key=lambda template: template.is_download).value if offered else ""
