"""The addresses in use according to PVE: of containers, virtual machines, nodes, and their gateways."""

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
from lxc_dashboard.services.creation.access import told_by_pve
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
# A page that checks every few seconds reads the addresses of all guests only this often.
SEEN_HOLDS_S: Final = 60.0
# For workers, which start many jobs at once. Each job also checks the addresses promised to other jobs.
SEEN_HOLDS_FOR_WORKERS_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Held:
    """An address in use, perhaps with a prefix.

    ``holder``: for example ``CT 101 web-01 on pve2``, ``VM 102 db on pve2`` or ``node pve1``. ``vmid`` is 0 for a node.
    ``is_gateway``: the holder uses it as its gateway. ``segment`` is None if PVE does not tell it.
    """

    address: str
    holder: str
    vmid: int = 0
    running: bool = True
    is_gateway: bool = False
    segment: Segment | None = None


@dataclass(slots=True)
class _Sweep:
    """The last result of ``addresses_seen``, and the lock for the next one."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = -math.inf
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Addresses in use. ``unasked``: the number of guests whose addresses are unknown."""

    held: tuple[Held, ...]
    unasked: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(each.address for each in self.held)


# Sweeps by the object that holds the connections to PVE, then by endpoint, user or token, and maximum age.
_Key = tuple[object, str, float]
_sweeps: WeakKeyDictionary[object, dict[_Key, _Sweep]] = WeakKeyDictionary()


async def seen_lately(pve: object, client: ProxmoxClient, endpoint_id: UUID, userid: str, holds_s: float) -> Seen:
    """``addresses_seen``, at most ``holds_s`` old. Concurrent callers share one sweep.

    A token has its own sweep, because it may see less than its user.
    """
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
    """Read the addresses of all guests and nodes that the user may see.

    For containers, those configured and, if running, those of the interfaces. For virtual machines, those of
    cloud-init, without asking the guest agent. Reads at most ``GUESTS_MAX`` guests, containers first, ``AT_ONCE`` at a
    time, within ``WITHIN_S``.

    ``GET /cluster/resources``, ``/nodes/{node}/network``, ``/nodes/{node}/lxc/{vmid}/config``, ``.../interfaces``,
    ``/nodes/{node}/qemu/{vmid}/config``. Raises only if the first of these fails.
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
    """Wait until all tasks end, at most ``WITHIN_S``. Then cancel the rest."""
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
    """Run one request in turn. None if it fails, for example because the node is down or the guest is gone."""
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
    """The segment of a bridge, or of a VLAN on one, such as ``vmbr0.30``. None for another device."""
    if name in bridges:
        return Segment(name)
    bridge, _, vlan = name.rpartition(".")
    return Segment(bridge, int(vlan)) if bridge in bridges and vlan.isdecimal() else None


async def _of_guest(client: ProxmoxClient, guest: Resource, silent: set[int]) -> list[Held]:
    """Adds the vmid to ``silent`` if only the configuration is known and it may not contain all addresses."""
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
    """The configured addresses and gateways of a network card."""
    running, segment = guest.status == "running", _segment(card)
    return [
        Held(card.get(key, ""), holder, guest.vmid, running, is_gateway=key.startswith("gw"), segment=segment)
        for key in ("ip", "ip6", "gw", "gw6")
    ]


def _segment(card: Mapping[str, str]) -> Segment | None:
    tag = card.get("tag", "")
    return Segment(card["bridge"], int(tag) if tag.isdecimal() else None) if card.get("bridge") else None


async def _interfaces(client: ProxmoxClient, guest: Resource, silent: set[int], *, dynamic: bool) -> list[Interface]:
    """The guest's interfaces. Empty if PVE does not tell: its configured addresses still count."""
    try:
        told = await told_by_pve(client, guest.node, guest.vmid)
    except (ProxmoxError, PrivilegeError) as error:
        log.info("interfaces not told", vmid=guest.vmid, why=str(error))
        silent.add(guest.vmid)
        return []
    if told is None and dynamic:
        silent.add(guest.vmid)
    return told or []
