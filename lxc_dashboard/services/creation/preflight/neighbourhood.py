"""Checks of the network: the bridge, and static addresses and gateways against those that PVE shows."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lxc_dashboard.services.creation.form import addresses as known
from lxc_dashboard.services.creation.form.spec import NETWORK_DEVICE
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingCode, error, warning
from lxc_dashboard.services.creation.preflight.neighbours import (
    SEEN_HOLDS_FOR_WORKERS_S,
    SEEN_HOLDS_S,
    Held,
    Seen,
    seen_lately,
)

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import NetworkDevice
    from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpSettings, Segment
    from lxc_dashboard.services.creation.preflight.findings import Question


USUAL_MTU: Final = 1500


async def bridge(question: Question) -> list[Finding]:
    """Check that the bridge exists, as far as the user may see, and fits the VLAN tag and the MTU."""
    spec = question.spec
    bridges = {device.iface: device for device in await question.client.nodes.network(spec.node, "any_bridge")}
    if (device := bridges.get(spec.bridge)) is not None:
        return [*_active(spec, device), *_vlan(spec, device), *await _mtu(question, device)]
    if not bridges:
        return [warning("bridge", FindingCode.BRIDGES_UNSEEN, node=spec.node, bridge=spec.bridge)]
    return [error("bridge", FindingCode.BRIDGE_UNSEEN, bridge=spec.bridge, node=spec.node, bridges=sorted(bridges))]


def _active(spec: ContainerSpec, device: NetworkDevice) -> Iterator[Finding]:
    if not device.active:
        yield warning("bridge", FindingCode.BRIDGE_DOWN, bridge=device.iface, node=spec.node)


def _vlan(spec: ContainerSpec, device: NetworkDevice) -> Iterator[Finding]:
    """For a tag on a bridge that is not VLAN aware, PVE adds a second bridge on the port of the first."""
    if spec.vlan is None or device.type != "bridge" or device.bridge_vlan_aware:
        return
    if device.bridge_ports.split():
        yield warning("vlan", FindingCode.VLAN_BESIDE, bridge=device.iface, vlan=spec.vlan)
    else:
        yield error("vlan", FindingCode.VLAN_IMPOSSIBLE, bridge=device.iface)


async def _mtu(question: Question, device: NetworkDevice) -> list[Finding]:
    """PVE refuses to create a container whose MTU is above the bridge's."""
    wanted = question.spec.mtu
    if wanted is None:
        return []
    of_bridge = device.mtu or await _mtu_of_ports(question, device)
    if of_bridge is None and wanted > USUAL_MTU:
        return [warning("mtu", FindingCode.MTU_UNKNOWN, bridge=device.iface, mtu=wanted)]
    if of_bridge is None or wanted <= of_bridge:
        return []
    return [error("mtu", FindingCode.MTU_ABOVE_BRIDGE, mtu=wanted, bridge=device.iface, most=of_bridge)]


async def _mtu_of_ports(question: Question, device: NetworkDevice) -> int | None:
    """The MTU of a bridge without its own setting: the lowest of its ports. None if PVE does not tell."""
    if device.type != "bridge":
        return None
    known = {each.iface: each.mtu or USUAL_MTU for each in await question.client.nodes.network(question.spec.node)}
    ports = device.bridge_ports.split()
    if not known.keys() >= set(ports):
        return None
    return min((known[port] for port in ports), default=USUAL_MTU)


Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


async def addresses(question: Question) -> list[Finding]:
    """Check that each static address is free and in the bridge's network, and that other guests use its gateway."""
    static = [(f"ipv{version}", ip) for version, ip in ((4, question.spec.ipv4), (6, question.spec.ipv6)) if ip.address]
    if not static:
        return []
    async with question.rt.db.transaction() as tx:
        ours = await known.faults(tx, question.endpoint_id, [question.spec], own=question.not_in_the_way)
    seen = await _look(question)
    devices = await question.client.nodes.network(question.spec.node, "any_bridge")
    own = {question.vmid, question.leaving.vmid if question.leaving else None}
    own |= await _deleted(question, seen, {_plain(ip) for _, ip in static})
    held = [each for each in seen.held if each.vmid not in own]
    found = [error(field, FindingCode.ADDRESS_OURS, reason=cause) for field, cause in ours.items()]
    for family, ip in static:
        found += [] if f"{family}_address" in ours else _taken(family, ip, held, question.spec.segment)
        found += [*_off_bridge(question, family, ip, devices), *_gateway(family, ip, held)]
        if seen.unasked:
            found.append(warning(f"{family}_address", FindingCode.ADDRESSES_UNASKED, address=str(_plain(ip))))
    return found


async def _look(question: Question) -> Seen:
    """Read the addresses in use. Workers need newer data: a job may start hours after its request."""
    holds_s = SEEN_HOLDS_S if question.own is None else SEEN_HOLDS_FOR_WORKERS_S
    return await seen_lately(question.rt.pve, question.client, question.endpoint_id, question.userid, holds_s)


async def _deleted(question: Question, seen: Seen, wanted: set[Address]) -> set[int]:
    """The vmids of guests that held a wanted address in ``seen`` and no longer exist."""
    holders = {each.vmid for each in seen.held if each.vmid and _address(each.address) in wanted}
    return {vmid for vmid in holders if await question.client.cluster.has_no_guest(vmid)}


def _taken(family: str, ip: IpSettings, held: Sequence[Held], own: Segment) -> Iterator[Finding]:
    """An address in use in another segment only warns, because both guests can work."""
    mine, field = _plain(ip), f"{family}_address"
    for each in held:
        if _address(each.address) != mine:
            continue
        address, holder = str(mine), each.holder
        if each.segment not in {None, own}:
            elsewhere = (
                FindingCode.ADDRESS_OF_GATEWAY_ELSEWHERE if each.is_gateway else FindingCode.ADDRESS_TAKEN_ELSEWHERE
            )
            yield warning(field, elsewhere, address=address, holder=holder, segment=str(each.segment), own=str(own))
        elif each.running or each.is_gateway:
            code = FindingCode.ADDRESS_OF_GATEWAY if each.is_gateway else FindingCode.ADDRESS_TAKEN
            yield error(field, code, address=address, holder=holder)
        else:
            yield warning(field, FindingCode.ADDRESS_OF_STOPPED, address=address, holder=holder)


def _off_bridge(question: Question, family: str, ip: IpSettings, devices: Sequence[NetworkDevice]) -> Iterator[Finding]:
    """Warn if the bridge's own address is in another network. Does not apply with a VLAN tag."""
    bridge = next((device for device in devices if device.iface == question.spec.bridge), None)
    cidr = (bridge.cidr if family == "ipv4" else bridge.cidr6) if bridge else ""
    network = _network(cidr)
    if network is not None and question.spec.vlan is None and _plain(ip) not in network:
        field, at = f"{family}_address", str(network)
        yield warning(
            field, FindingCode.ADDRESS_OFF_BRIDGE, address=ip.address, network=at, bridge=question.spec.bridge
        )


def _gateway(family: str, ip: IpSettings, held: Sequence[Held]) -> Iterator[Finding]:
    field, network = f"{family}_gateway", ipaddress.ip_interface(ip.address).network
    if not ip.gateway:
        yield warning(field, FindingCode.GATEWAY_NONE, network=str(network))
        return
    wanted = ipaddress.ip_address(ip.gateway)
    gateways = {address for each in held if each.is_gateway and (address := _address(each.address))}
    if wanted in gateways:
        return
    if wanted not in network and not wanted.is_link_local:
        device = NETWORK_DEVICE
        yield warning(field, FindingCode.GATEWAY_OUTSIDE, gateway=ip.gateway, network=str(network), device=device)
        return
    usual = {address for address in gateways if address in network}
    holder = next((each.holder for each in held if each.vmid and _address(each.address) == wanted), "")
    if holder:
        yield warning(field, FindingCode.GATEWAY_OF_GUEST, gateway=str(wanted), holder=holder)
    elif usual:
        others = sorted(str(address) for address in usual)
        yield warning(
            field,
            FindingCode.GATEWAY_UNUSUAL,
            network=str(network),
            gateways=others,
            gateway=str(wanted),
        )


def _plain(ip: IpSettings) -> Address:
    return ipaddress.ip_interface(ip.address).ip


def _address(text: str) -> Address | None:
    """Parse an address, with or without prefix. None for other text, such as ``dhcp``."""
    try:
        return ipaddress.ip_address(text.partition("/")[0].partition("%")[0])
    except ValueError:
        return None


def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_interface(cidr).network if cidr else None
    except ValueError:
        return None
