"""Which addresses PVE shows to be in use: by containers, by virtual machines, by nodes, by the gateways of all."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import structlog

from lxc_dashboard.errors import PrivilegeError, ProxmoxError
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.services.creation.access.guest_addresses import told_by_pve
from lxc_dashboard.services.creation.form.spec import Segment

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Interface, Resource

log = structlog.get_logger(__name__)

GUESTS_MAX: Final = 1000
AT_ONCE: Final = 16
WITHIN_S: Final = 20.0
BRIDGES: Final = frozenset({"bridge", "OVSBridge"})
# A page that looks again every few seconds asks each guest for its addresses this often.
SEEN_HOLDS_S: Final = 60.0
# Of workers, who begin many at once; each run looks again among what we have promised.
SEEN_HOLDS_FOR_WORKERS_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Held:
    """An address as PVE writes it, perhaps with a prefix. ``holder``: ``CT 101 web-01 on pve2``, ``VM 102 db on pve2`` or ``node pve1``.

    ``vmid`` 0: a node. ``is_gateway``: the holder goes by it, whoever has it. ``segment`` None: PVE does not tell it.
    """

    address: str
    holder: str
    vmid: int = 0
    running: bool = True
    is_gateway: bool = False
    segment: Segment | None = None


@dataclass(slots=True)
class _Sweep:
    """The last one, and whoever makes the next."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = -math.inf
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """``unasked``: guests whose addresses could not be learned."""

    held: tuple[Held, ...]
    unasked: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(each.address for each in self.held)


# By what keeps the connections to PVE, then by endpoint, who asks and how old it may be.
_Key = tuple[object, str, float]
_sweeps: WeakKeyDictionary[object, dict[_Key, _Sweep]] = WeakKeyDictionary()


async def seen_lately(pve: object, client: ProxmoxClient, endpoint_id: UUID, userid: str, holds_s: float) -> Seen:
    """``addresses_seen``, up to ``holds_s`` old: asked once for all who ask at once. A token may see less than its user."""
    loop = asyncio.get_running_loop()
    kept = _sweeps.setdefault(pve, {})
    who = client.auth.tokenid if isinstance(client.auth, TokenAuth) else userid
    for old in [key for key, sweep in kept.items() if not sweep.turn.locked() and loop.time() - sweep.at >= key[2]]:
        del kept[old]
    sweep = kept.setdefault((endpoint_id, who, holds_s), _Sweep())
    async with sweep.turn:
        if sweep.seen is None or loop.time() - sweep.at >= holds_s:
            begun = loop.time()
            sweep.seen = await addresses_seen(client)
            sweep.at = begun
        return sweep.seen


async def addresses_seen(client: ProxmoxClient) -> Seen:
    """Of all containers and nodes that the user may see, as configured and, where they run, as they are. Of virtual machines
    what cloud-init gives them; their agents are not asked.

    ``GET /cluster/resources``, ``/nodes/{node}/network``, ``/nodes/{node}/lxc/{vmid}/config``, ``.../interfaces``,
    ``/nodes/{node}/qemu/{vmid}/config``: ``AT_ONCE`` at once, of ``GUESTS_MAX`` guests at most, containers first, within
    ``WITHIN_S``. Raises what the first of them raises.
    """
    resources = await client.cluster.resources()
    online = [entry.node for entry in resources if entry.type == "node" and entry.status == "online"]
    machines = [entry for entry in resources if entry.type == "qemu" and not entry.template]
    guests = [*(entry for entry in resources if entry.type == "lxc"), *machines]
    reached = [guest for guest in guests if guest.node in online][:GUESTS_MAX]
    turn = asyncio.Semaphore(AT_ONCE)
    of_nodes = [asyncio.create_task(_in_turn(turn, _of_node(client, node))) for node in online]
    silent: set[int] = set()
    of_guests = [asyncio.create_task(_in_turn(turn, _of_guest(client, guest, silent))) for guest in reached]
    await _all_of([*of_nodes, *of_guests])
    told = [held for task in of_guests if (held := _result(task)) is not None]
    unasked = len(guests) - len(told) + len(silent)
    if unasked:
        log.info("not every guest told its addresses", guests=len(guests), unasked=unasked)
    nodes = [_result(task) or [] for task in of_nodes]
    return Seen(tuple(each for held in (*nodes, *told) for each in held if each.address), unasked)


async def _all_of(tasks: Sequence[asyncio.Task[list[Held] | None]]) -> None:
    """Until they are done or the time is up."""
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=WITHIN_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _result(task: asyncio.Task[list[Held] | None]) -> list[Held] | None:
    return None if task.cancelled() else task.result()


async def _in_turn(turn: asyncio.Semaphore, asking: Coroutine[None, None, list[Held]]) -> list[Held] | None:
    """None where PVE does not tell: the guest is gone, its node is away, the user may not look."""
    try:
        async with turn:
            return await asking
    except (ProxmoxError, PrivilegeError) as error:
        log.info("addresses not told", why=str(error))
        return None
    finally:
        asking.close()


async def _of_node(client: ProxmoxClient, node: str) -> list[Held]:
    holder = f"node {node}"
    devices = await client.nodes.network(node)
    bridges = {device.iface for device in devices if device.type in BRIDGES}
    return [
        Held(text, holder, is_gateway=text in {device.gateway, device.gateway6}, segment=segment)
        for device, segment in ((device, _segment_of_device(device.iface, bridges)) for device in devices)
        for text in (device.address, device.cidr, device.gateway, device.cidr6, device.gateway6)
    ]


def _segment_of_device(name: str, bridges: Collection[str]) -> Segment | None:
    """Of a bridge, and of a VLAN on one, such as ``vmbr0.30``."""
    if name in bridges:
        return Segment(name)
    bridge, _, vlan = name.rpartition(".")
    return Segment(bridge, int(vlan)) if bridge in bridges and vlan.isdecimal() else None


async def _of_guest(client: ProxmoxClient, guest: Resource, silent: set[int]) -> list[Held]:
    """``silent``: gets its vmid where PVE tells only what it is configured with, and that is not all."""
    if guest.type == "qemu":
        return await _of_machine(client, guest)
    return await _of_container(client, guest, silent)


async def _of_machine(client: ProxmoxClient, guest: Resource) -> list[Held]:
    holder = f"VM {guest.vmid} {guest.name} on {guest.node}"
    return [held for card in await client.qemu.cards(guest.node, guest.vmid) for held in _of_card(holder, guest, card)]


async def _of_container(client: ProxmoxClient, guest: Resource, silent: set[int]) -> list[Held]:
    holder = f"CT {guest.vmid} {guest.name} on {guest.node}"
    nets = (await client.lxc.config(guest.node, guest.vmid)).nets.values()
    configured = [held for net in nets for held in _of_card(holder, guest, net)]
    if guest.status != "running":
        return configured
    dynamic = any(net.get(key) in {"dhcp", "auto"} for net in nets for key in ("ip", "ip6"))
    segments = {net.get("name", ""): _segment(net) for net in nets}
    interfaces = await _interfaces(client, guest, silent, dynamic=dynamic)
    return configured + [
        Held(text, holder, guest.vmid, segment=segments.get(each.name))
        for each in interfaces
        for text in (each.inet, each.inet6, *(address.address for address in each.addresses))
    ]


def _of_card(holder: str, guest: Resource, card: Mapping[str, str]) -> list[Held]:
    """What a network card is configured with."""
    running, segment = guest.status == "running", _segment(card)
    return [
        Held(card.get(key, ""), holder, guest.vmid, running, is_gateway=key.startswith("gw"), segment=segment)
        for key in ("ip", "ip6", "gw", "gw6")
    ]


def _segment(card: Mapping[str, str]) -> Segment | None:
    tag = card.get("tag", "")
    return Segment(card["bridge"], int(tag) if tag.isdecimal() else None) if card.get("bridge") else None


async def _interfaces(client: ProxmoxClient, guest: Resource, silent: set[int], *, dynamic: bool) -> list[Interface]:
    """None where PVE does not tell: what the guest is configured with counts all the same."""
    try:
        told = await told_by_pve(client, guest.node, guest.vmid)
    except (ProxmoxError, PrivilegeError) as error:
        log.info("interfaces not told", vmid=guest.vmid, why=str(error))
        silent.add(guest.vmid)
        return []
    if told is None and dynamic:
        silent.add(guest.vmid)
    return told or []
