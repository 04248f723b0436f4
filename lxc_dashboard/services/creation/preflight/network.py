"""The bridge that it hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lxc_dashboard.services.creation.findings import Finding, error, warning

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
        return [warning("bridge", f"No bridge of {spec.node} may be seen: {spec.bridge} could not be checked")]
    return [
        error(
            "bridge", f"No bridge {spec.bridge} is seen on {spec.node}", f"Choose one of {', '.join(sorted(bridges))}"
        )
    ]


def _active(spec: ContainerSpec, device: NetworkDevice) -> Iterator[Finding]:
    if not device.active:
        cause = f"{device.iface} of {spec.node} is not up: the container cannot start on it"
        yield warning("bridge", cause, "Apply the node's network configuration in PVE, or choose another bridge")


def _vlan(spec: ContainerSpec, device: NetworkDevice) -> Iterator[Finding]:
    """PVE tags on a bridge that is not VLAN aware by a second bridge, over the port of the first."""
    if spec.vlan is None or device.type != "bridge" or device.bridge_vlan_aware:
        return
    if device.bridge_ports.split():
        cause = f"{device.iface} is not VLAN aware: PVE makes a bridge {device.iface}v{spec.vlan} beside it"
        yield warning("vlan", cause, "It works; a VLAN aware bridge is the simpler one")
    else:
        cause = f"{device.iface} is not VLAN aware and has no port: it can carry no tag"
        yield error("vlan", cause, "Leave the tag out, or choose a VLAN aware bridge")


async def _mtu(question: Question, device: NetworkDevice) -> list[Finding]:
    """PVE refuses to create a container whose MTU is above the bridge's."""
    wanted = question.spec.mtu
    if wanted is None:
        return []
    of_bridge = device.mtu or await _mtu_of_ports(question, device)
    if of_bridge is None and wanted > USUAL_MTU:
        cause = f"The MTU of {device.iface} is not known, and PVE refuses {wanted} if it is above that"
        return [warning("mtu", cause, "Leave it empty for the bridge's own")]
    if of_bridge is None or wanted <= of_bridge:
        return []
    cause = f"MTU {wanted} is above the MTU of bridge {device.iface}, {of_bridge}: PVE refuses to create the container"
    return [error("mtu", cause, f"Leave it empty for the bridge's own, or enter {of_bridge} at most")]


async def _mtu_of_ports(question: Question, device: NetworkDevice) -> int | None:
    """What a bridge without an MTU of its own has: the lowest of its ports. None where PVE does not tell."""
    if device.type != "bridge":
        return None
    known = {each.iface: each.mtu or USUAL_MTU for each in await question.client.nodes.network(question.spec.node)}
    ports = device.bridge_ports.split()
    if not known.keys() >= set(ports):
        return None
    return min((known[port] for port in ports), default=USUAL_MTU)
