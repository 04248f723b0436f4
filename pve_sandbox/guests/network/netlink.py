"""Links, addresses and routes by rtnetlink. IPv4 only.

``ip`` is not installed everywhere. ``launch.py`` uses this module: standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_NETLINK_ROUTE = 0
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_NESTED = 0x8000

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE = 16, 17, 20, 24
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 10, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTN_UNICAST = 254, 3, 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_RTNH_F_ONLINK = 4
_IFF_UP = 1
_BUFFER_BYTES = 65536

Interface = ipaddress.IPv4Interface
Network = ipaddress.IPv4Network
Address = ipaddress.IPv4Address


def attribute(kind: int, value: bytes) -> bytes:
    """Encode a netlink attribute, padded to four bytes."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def nested(kind: int, *values: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(values))


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def raise_for_errors(answer: bytes, what: str) -> int:
    """Return the number of acknowledgements in ``answer``. ``OSError`` for an error."""
    acknowledged = 0
    while len(answer) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(answer)
        if kind == NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", answer, _HEADER.size)
            if code:
                raise OSError(-code, f"{what}: {os.strerror(-code)}")
            acknowledged += 1
        answer = answer[(length + 3) & ~3 :]
    return acknowledged


def _name(text: str) -> bytes:
    return text.encode() + b"\0"


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


class RouteSocket:
    """A socket that configures the network namespace where it was opened."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        # An ordinary socket of the same namespace, to look up interface names.
        self._names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._names.close()

    def index(self, name: str) -> int:
        """Return the index of a link, 0 if there is none."""
        siocgifindex = 0x8933
        request = struct.pack("16si20x", name.encode(), 0)
        try:
            answer = fcntl.ioctl(self._names.fileno(), siocgifindex, request)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return 0
            raise
        return int(struct.unpack_from("16si", answer)[1])

    def _ask(self, kind: int, flags: int, payload: bytes, what: str) -> None:
        self._sequence += 1
        self._socket.send(message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, self._sequence, payload))
        raise_for_errors(self._socket.recv(_BUFFER_BYTES), what)

    def add_bridge(self, name: str) -> None:
        info = nested(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"bridge"))
        payload = _link() + attribute(_IFLA_IFNAME, _name(name)) + info
        self._ask(_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"bridge {name}")

    def add_veth(self, name: str, peer: str, peer_netns: int, peer_mac: bytes = b"") -> None:
        """Create a pair of links: ``name`` here, ``peer`` in the namespace of ``peer_netns``."""
        far = _link() + attribute(_IFLA_IFNAME, _name(peer)) + attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_netns))
        if peer_mac:
            far += attribute(_IFLA_ADDRESS, peer_mac)
        data = nested(_IFLA_INFO_DATA, nested(_VETH_INFO_PEER, far))
        info = nested(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"veth"), data)
        payload = _link() + attribute(_IFLA_IFNAME, _name(name)) + info
        self._ask(_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"veth {name}")

    def delete_link(self, name: str) -> None:
        """Delete a link, if there is one."""
        if index := self.index(name):
            self._ask(_DELLINK, 0, _link(index), f"delete {name}")

    def set_up(self, name: str, *, master: str = "") -> None:
        payload = _link(self.index(name), _IFF_UP, _IFF_UP)
        if master:
            payload += attribute(_IFLA_MASTER, struct.pack("=I", self.index(master)))
        self._ask(_NEWLINK, 0, payload, f"{name} up")

    def add_address(self, name: str, address: Interface, *, peer: Address | None = None) -> None:
        """Add an address. ``peer`` makes it a point-to-point link."""
        length = 32 if peer else address.network.prefixlen
        payload = struct.pack("=BBBBI", socket.AF_INET, length, 0, _SCOPE_UNIVERSE, self.index(name))
        payload += attribute(_IFA_LOCAL, address.ip.packed) + attribute(_IFA_ADDRESS, (peer or address.ip).packed)
        self._ask(_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, payload, f"{address} on {name}")

    def add_route(self, target: Network, name: str, *, via: Address | None = None) -> None:
        """Add a route. ``via`` need not be on-link. ``FileExistsError`` if the route exists."""
        scope = _SCOPE_UNIVERSE if via else _SCOPE_LINK
        payload = struct.pack(
            "=BBBBBBBBI",
            socket.AF_INET,
            target.prefixlen,
            0,
            0,
            _RT_TABLE_MAIN,
            _RTPROT_BOOT,
            scope,
            _RTN_UNICAST,
            _RTNH_F_ONLINK if via else 0,
        )
        if target.prefixlen:
            payload += attribute(_RTA_DST, target.network_address.packed)
        payload += attribute(_RTA_OIF, struct.pack("=I", self.index(name)))
        if via:
            payload += attribute(_RTA_GATEWAY, via.packed)
        self._ask(_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, payload, f"route {target}")


_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10  # nf_tables
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _NEWCHAIN, _NEWRULE = 0, 3, 6
_PREROUTING, _FORWARD = 0, 2
_PRIORITY_DNAT, _PRIORITY_FILTER = -100, 0
_META_IIFNAME, _META_OIFNAME, _META_L4PROTO = 6, 7, 16
_EQUAL, _NOT_EQUAL = 0, 1
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_ESTABLISHED_OR_RELATED = 0x2 | 0x4
_DROP, _ACCEPT = 0, 1
_NAME_BYTES = 16
_DNS_PORT = 53
_TABLE = "sandbox"
_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class RouterRules:
    """``inner`` is the guests' bridge, ``outer`` the link to the machine."""

    inner: str
    outer: str
    network: Network
    gateway: Address
    tcp_port: int
    dns_port: int


def _be32(value: int) -> bytes:
    return struct.pack(">i" if value < 0 else ">I", value)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _expression(name: str, *data: bytes) -> bytes:
    return nested(1, attribute(1, _text(name)), nested(2, *data))


def _compare(value: bytes, operation: int = _EQUAL) -> bytes:
    return _expression("cmp", attribute(1, _be32(1)), attribute(2, _be32(operation)), nested(3, attribute(1, value)))


def _mask(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        attribute(1, _be32(1)),
        attribute(2, _be32(1)),
        attribute(3, _be32(len(mask))),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, bytes(len(mask)))),
    )


def _meta(key: int, value: bytes) -> bytes:
    return _expression("meta", attribute(1, _be32(1)), attribute(2, _be32(key))) + _compare(value)


def _interface(key: int, name: str) -> bytes:
    return _meta(key, name.encode().ljust(_NAME_BYTES, b"\0"))


def _payload(base: int, offset: int, length: int) -> bytes:
    return _expression(
        "payload",
        attribute(1, _be32(1)),
        attribute(2, _be32(base)),
        attribute(3, _be32(offset)),
        attribute(4, _be32(length)),
    )


def _to(network: Network) -> bytes:
    """Match packets whose destination is in ``network``."""
    return _payload(_NETWORK_HEADER, 16, 4) + _mask(network.netmask.packed) + _compare(network.network_address.packed)


def _to_port(protocol: int, port: int) -> bytes:
    return (
        _meta(_META_L4PROTO, bytes([protocol])) + _payload(_TRANSPORT_HEADER, 2, 2) + _compare(struct.pack(">H", port))
    )


def _verdict(code: int) -> bytes:
    return _expression("immediate", attribute(1, _be32(0)), nested(2, nested(2, attribute(1, _be32(code)))))


def _redirect(port: int) -> bytes:
    load = _expression("immediate", attribute(1, _be32(1)), nested(2, attribute(1, struct.pack(">H", port))))
    return load + _expression("redir", attribute(1, _be32(1)))


def _chain(name: str, kind: str, hook: int, priority: int) -> bytes:
    place = nested(4, attribute(1, _be32(hook)), attribute(2, _be32(priority)))
    return attribute(1, _text(_TABLE)) + attribute(3, _text(name)) + place + attribute(7, _text(kind))


def _rule(chain: str, *expressions: bytes) -> bytes:
    return attribute(1, _text(_TABLE)) + attribute(2, _text(chain)) + nested(4, *expressions)


def _statements(rules: RouterRules) -> list[tuple[int, int, bytes]]:
    """Return (message kind, flags, payload) in the kernel's order."""
    inner = _interface(_META_IIFNAME, rules.inner)
    gateway = Network(f"{rules.gateway}/32")
    new = (
        _expression("ct", attribute(1, _be32(1)), attribute(2, _be32(0)))
        + _mask(struct.pack("=I", _ESTABLISHED_OR_RELATED))
        + _compare(bytes(4))
    )
    relay = _redirect(rules.tcp_port)
    return [
        (_NEWTABLE, NLM_F_CREATE, attribute(1, _text(_TABLE))),
        (_NEWCHAIN, NLM_F_CREATE, _chain("out", "nat", _PREROUTING, _PRIORITY_DNAT)),
        (_NEWCHAIN, NLM_F_CREATE, _chain("guard", "filter", _FORWARD, _PRIORITY_FILTER)),
        (
            _NEWRULE,
            NLM_F_CREATE | NLM_F_APPEND,
            _rule("out", inner, _to_port(17, _DNS_PORT), _redirect(rules.dns_port)),
        ),
        (_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, _rule("out", inner, _to(gateway), _to_port(6, _DNS_PORT), relay)),
        (_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, _rule("out", inner, _to(rules.network), _verdict(_ACCEPT))),
        (_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, _rule("out", inner, _meta(_META_L4PROTO, b"\x06"), relay)),
        (
            _NEWRULE,
            NLM_F_CREATE | NLM_F_APPEND,
            _rule("guard", inner, _interface(_META_OIFNAME, rules.outer), new, _verdict(_DROP)),
        ),
    ]


def apply(rules: RouterRules) -> None:
    """Set ``rules`` in the current network namespace. ``OSError`` if nf_tables is missing or limited."""
    batch = struct.pack(">BBH", socket.AF_UNSPEC, 0, _SUBSYSTEM)
    own = struct.pack(">BBH", socket.AF_INET, 0, 0)
    packets = [message(_BATCH_BEGIN, NLM_F_REQUEST, 0, batch)]
    statements = _statements(rules)
    for sequence, (kind, flags, payload) in enumerate(statements, 1):
        packets.append(message(_SUBSYSTEM << 8 | kind, NLM_F_REQUEST | NLM_F_ACK | flags, sequence, own + payload))
    packets.append(message(_BATCH_END, NLM_F_REQUEST, len(statements) + 1, batch))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.send(b"".join(packets))
        acknowledged = 0
        while acknowledged < len(statements):
            acknowledged += raise_for_errors(kernel.recv(1 << 16), "nf_tables")
