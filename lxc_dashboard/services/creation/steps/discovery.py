"""Parses what a guest offers: listening ports, units, and the credentials that its scripts saved."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from lxc_dashboard.db.models.base import storable_text

SCRIPT: Final = """
echo "== tcp"; cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
echo "== ss"; ss -H -t -l -n -p 2>/dev/null
echo "== units"
bounded=$(command -v timeout)  # a systemd that hangs lists no units
[ -d /run/systemd/system ] && ${bounded:+"$bounded" 10} systemctl list-units --type=service --state=running --no-legend --plain --no-pager 2>/dev/null
exit 0
"""
_LISTENING: Final = "0A"
_PROCESS: Final = re.compile(r'users:\(\("([^"]+)"')
# The guest is not trusted: these limits bound its output, and unexpected lines are skipped.
MAX_PORTS: Final = 500
MAX_UNITS: Final = 500
MAX_CREDENTIALS: Final = 100
MAX_KEYS: Final = 50
NAME_CHARS: Final = 100
VALUE_CHARS: Final = 4096
PORT_DIGITS: Final = 5
_SOCKET: Final = re.compile(r"([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}):([0-9A-Fa-f]{4})")
_SERVICE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_NETWORK_FIELDS: Final = 4
_SOCKET_FIELDS: Final = 4
_HIDDEN_UNITS: Final = ("systemd-", "getty@", "console-getty", "container-getty@", "dbus", "user@")
Service = dict[str, Any]


def parse(text: str) -> list[Service]:
    """``{"kind": "port", "port", "address", "process", "public"}`` and ``{"kind": "unit", "name", "description"}``.

    ``public``: the port is bound to more than loopback.
    """
    sections = _sections(text)
    names = _process_names(sections.get("ss", []))
    ports: dict[int, Service] = {}
    for address, port in _listening(sections.get("tcp", [])):
        public = not ipaddress.ip_address(address).is_loopback
        known = ports.get(port)
        if known is None or (public and not known["public"]):
            ports[port] = {
                "kind": "port",
                "port": port,
                "address": address,
                "process": names.get(port, ""),
                "public": public,
            }
    units = islice(_units(sections.get("units", [])), MAX_UNITS)
    return [*(ports[port] for port in sorted(ports)[:MAX_PORTS]), *units]


def parse_credentials(text: str) -> dict[str, dict[str, str]]:
    """``{service: {key: value}}`` from files of ``save_credential``. Skips names that it would not accept."""
    found: dict[str, dict[str, str]] = {}
    for service, lines in _sections(text).items():
        pairs = [(key, value) for key, _, value in (line.partition("=") for line in lines) if _KEY.fullmatch(key)]
        values = {key: storable_text(value, VALUE_CHARS) for key, value in pairs[:MAX_KEYS]}
        if values and _SERVICE.fullmatch(service) and len(found) < MAX_CREDENTIALS:
            found[service] = values
    return found


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("== "):
            lines = sections.setdefault(line.removeprefix("== "), [])
        else:
            lines.append(line)
    return sections


def _listening(lines: list[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for line in lines:
        words = line.split()
        if len(words) >= _NETWORK_FIELDS and words[3] == _LISTENING and (socket := _SOCKET.fullmatch(words[1])):
            found.append((_address(socket[1]), int(socket[2], 16)))
    return found


def _address(words: str) -> str:
    """The kernel writes addresses as 32-bit words in hex, each in the machine's own byte order."""
    raw = b"".join(bytes.fromhex(words[i : i + 8])[::-1] for i in range(0, len(words), 8))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _process_names(lines: list[str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for line in lines:
        words = line.split()
        found = _PROCESS.search(line)
        if found and len(words) >= _SOCKET_FIELDS:
            port = words[3].rpartition(":")[2]
            if port.isascii() and port.isdigit() and len(port) <= PORT_DIGITS:
                names.setdefault(int(port), storable_text(found[1], NAME_CHARS))
    return names


def _units(lines: list[str]) -> Iterator[Service]:
    for line in lines:
        words = line.split(maxsplit=4)
        if words and words[0].endswith(".service") and not words[0].startswith(_HIDDEN_UNITS):
            description = words[4] if len(words) > _NETWORK_FIELDS else ""
            yield {
                "kind": "unit",
                "name": storable_text(words[0], NAME_CHARS),
                "description": storable_text(description, NAME_CHARS),
            }
