"""The link between this machine and the guests' router, and the guests' network."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from pathlib import Path

import structlog

from pve_sandbox.guests.namespaces.launch import UPLINK
from pve_sandbox.guests.network.netlink import RouteSocket

log = structlog.get_logger(__name__)

_POOL = [f"10.77.{third}.1/24" for third in range(256)]
_LINK_PREFIX = "lxcdb"
_FILE = "network"


def link_name(data_dir: Path) -> str:
    """The name of this machine's end, one for each data folder."""
    return _LINK_PREFIX + hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:8]


def routed_networks() -> list[ipaddress.IPv4Network]:
    """The networks that this machine reaches by a route other than its default."""
    networks = []
    for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        _, target, _, _, _, _, _, mask, *_ = line.split()
        packed = [ipaddress.IPv4Address(int(text, 16).to_bytes(4, "little")) for text in (target, mask)]
        networks.append(ipaddress.IPv4Network(f"{packed[0]}/{packed[1]}"))
    return [network for network in networks if network.prefixlen]


def choose_gateway(data_dir: Path) -> ipaddress.IPv4Interface:
    """Return the router's address in a free network, the last one if possible."""
    taken = routed_networks()
    start = int(hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest(), 16) % len(_POOL)
    remembered = data_dir / "guests" / _FILE
    wishes = [remembered.read_text(encoding="ascii").strip()] if remembered.is_file() else []
    for text in (*wishes, *_POOL[start:], *_POOL[:start]):
        gateway = ipaddress.IPv4Interface(text)
        if not any(gateway.network.overlaps(network) for network in taken):
            remembered.write_text(text, encoding="ascii")
            return gateway
    raise OSError("No free network for guests in 10.77.0.0/16")


class Uplink:
    """This machine's end of the link. The kernel removes it with the router's namespace."""

    def __init__(self, data_dir: Path, gateway: ipaddress.IPv4Interface) -> None:
        self.name = link_name(data_dir)
        third, link_local = gateway.ip.packed[2], ipaddress.IPv4Address("169.254.77.0")
        self.address = ipaddress.IPv4Interface(f"{link_local + third}/32")
        self._gateway = gateway
        self._led: set[ipaddress.IPv4Address] = set()

    def create(self, router_pid: int) -> None:
        """Create the link and route the guests' network over it. Replaces one of an earlier run."""
        with RouteSocket() as route:
            route.delete_link(self.name)
            netns = os.open(f"/proc/{router_pid}/ns/net", os.O_RDONLY)
            try:
                route.add_veth(self.name, UPLINK, netns)
            finally:
                os.close(netns)
            route.set_up(self.name)
            route.add_address(self.name, self.address, peer=self._gateway.ip)
            route.add_route(self._gateway.network, self.name, via=self._gateway.ip)

    def route_to(self, address: ipaddress.IPv4Address) -> None:
        """Route a guest's address over the link, unless a real machine could have it."""
        if address in self._gateway.network or address in self._led:
            return
        if not address.is_private or any(address in network for network in routed_networks()):
            log.info("requested address not routed", address=str(address))
            return
        with RouteSocket() as route:
            route.add_route(ipaddress.IPv4Network(address), self.name, via=self._gateway.ip)
        self._led.add(address)

    def remove(self) -> None:
        with RouteSocket() as route:
            route.delete_link(self.name)
