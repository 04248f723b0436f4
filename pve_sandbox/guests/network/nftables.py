"""The packet rules of the guests' router, set by netlink without the ``nft`` command.

TCP connections of the guests to other machines go to the relay's TCP port. DNS queries go to its DNS port. This
machine may connect to the guests, the guests may not connect to it.

The rules are in the router's network namespace and end with it. The machine's own rules are not touched. Standard
library only.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from pve_sandbox.guests.network.netlink import (
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    Address,
    Network,
    attribute,
    message,
    nested,
    raise_for_errors,
)

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
