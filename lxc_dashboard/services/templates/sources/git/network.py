"""Resolves hosts and connects to allowed addresses only. The package's docstring has the reasons."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from lxc_dashboard.errors import SourceError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.sources.git.codes import GitCode

CONNECT_TIMEOUT_S: Final = 10.0

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata services of clouds: in carrier-grade NAT, at a public address, in IPv6.
_REFUSED: Final = tuple(map(ipaddress.ip_network, ("100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128")))
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_refused(address: str) -> bool:
    """Whether the address is this machine, its link, multicast or a cloud's metadata service."""
    found = _plain(ipaddress.ip_address(address.partition("%")[0]))
    special = (found.is_loopback, found.is_link_local, found.is_unspecified, found.is_multicast, found.is_reserved)
    return any(special) or any(found.version == network.version and found in network for network in _REFUSED)


def resolve(host: str, port: int, *, allow_local: bool) -> tuple[str, ...]:
    """Look up and check all addresses of ``host``. Blocks. Raises ``SourceError``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceError(Message.of(GitCode.HOST_UNKNOWN, host=host), detail=str(error)) from error
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    refused = [address for address in addresses if is_refused(address)]
    if refused and not allow_local:
        raise SourceError(Message.of(GitCode.HOST_REFUSED, host=host, address=refused[0]))
    return addresses


def dial(host: str, port: int, *, allow_local: bool) -> socket.socket:
    """Connect to a checked address of ``host``. Raises ``SourceError``."""
    fault = ""
    for address in resolve(host, port, allow_local=allow_local):
        try:
            return socket.create_connection((address, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            fault = error.strerror or str(error)
    raise SourceError(Message.of(GitCode.HOST_UNREACHED_BECAUSE, host=host, port=port, cause=fault))


def _plain(address: IpAddress) -> IpAddress:
    """The IPv4 address inside an IPv6 address, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
