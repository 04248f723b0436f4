"""The bridge that it hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lxc_dashboard.services.creation.preflight.findings import Finding, FindingCode, error, warning

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import NetworkDevice
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.creation.preflight.question import Question

USUAL_MTU: Final = 1500


async def bridge(question: Question) -> list[Finding]:
    """There, as far as may be seen, and fit for the VLAN tag and the MTU."""
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
    """PVE tags on a bridge that is not VLAN aware by a second bridge, over the port of the first."""
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
    """What a bridge without an MTU of its own has: the lowest of its ports. None where PVE does not tell."""
    if device.type != "bridge":
        return None
    known = {each.iface: each.mtu or USUAL_MTU for each in await question.client.nodes.network(question.spec.node)}
    ports = device.bridge_ports.split()
    if not known.keys() >= set(ports):
        return None
    return min((known[port] for port in ports), default=USUAL_MTU)
