"""Addresses, gateways, name servers and domains, as far as PVE's own formats take them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from lxc_dashboard.services.creation.form.readers import LABEL, WrongError, plain

DOMAIN_MAX_CHARS: Final = 253
PREFIX_MIN: Final = 8  # PVE's own, of both families
_EXAMPLES: Final = {4: "10.0.0.5/24", 6: "fd00::5/64"}
_PARTED: Final = re.compile(r"[,;\s]+")
_INTERFACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,20}(?:[:.][0-9]{1,5})?")


def cidr(value: object, version: int) -> str:
    text = plain(value)
    example = f"Enter an IPv{version} address with its prefix, such as {_EXAMPLES[version]}"
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise WrongError(example) from None
    if interface.version != version or "/" not in text or "%" in text:
        raise WrongError(example)
    network = interface.network
    if network.prefixlen < PREFIX_MIN:
        raise WrongError(f"PVE takes a prefix from /{PREFIX_MIN} to /{network.max_prefixlen}")
    if network.prefixlen < network.max_prefixlen - 1 and interface.ip == network.network_address:
        raise WrongError("This is the network's own address")
    if version == 4 and network.prefixlen < 31 and interface.ip == network.broadcast_address:  # noqa: PLR2004
        raise WrongError("This is the network's broadcast address")
    return str(interface)


def gateway(value: object, version: int, address: str) -> str:
    """Any other address than ``address``: providers have gateways outside of the guest's own network."""
    text = plain(value)
    if not text:
        return ""
    try:
        gateway = ipaddress.ip_address(text)
    except ValueError:
        raise WrongError(f"Enter an IPv{version} address without a prefix") from None
    if gateway.version != version or "%" in text:
        raise WrongError(f"Enter an IPv{version} address without a prefix")
    if address and gateway == ipaddress.ip_interface(address).ip:
        raise WrongError("The gateway is another machine than this one")
    return str(gateway)


def nameservers(value: object) -> str:
    return " ".join(_nameserver(word) for word in _PARTED.split(plain(value)) if word)


def _nameserver(word: str) -> str:
    """A link-local one may name its interface, such as ``fe80::1%eth0``; no other may."""
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        raise WrongError(f"{word!r} is no address: enter addresses, parted by a space") from None
    text, has_zone, zone = str(address).partition("%")
    if has_zone and not (text.startswith("fe80:") and _INTERFACE.fullmatch(zone)):
        raise WrongError(f"{word!r}: only after an address of fe80::/64 may an interface stand, such as fe80::1%eth0")
    return text + has_zone + zone


def domains(value: object) -> str:
    words = [word for word in _PARTED.split(plain(value)) if word]
    for word in words:
        if len(word) > DOMAIN_MAX_CHARS or not all(LABEL.fullmatch(label) for label in word.split(".")):
            raise WrongError(f"{word!r} is no domain")
    return " ".join(words)
