"""The stored description of a guest: ``guests/<vmid>/guest.json``."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pve_sandbox.guests.host import GuestSpec

_FILE = "guest.json"
_FIRST_HOST, _LAST_HOST = 10, 250
_MAC_PREFIX = "bc:24:11"  # PVE's own prefix


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """``address`` is the guest's address. ``fresh`` until its first start is finished.

    ``base`` is the name of the base below its layer, empty for a simulated guest.
    """

    spec: GuestSpec
    address: str
    fresh: bool = True
    base: str = ""

    @property
    def mac(self) -> str:
        digest = hashlib.sha256(f"{self.spec.vmid} {self.spec.hostname}".encode()).hexdigest()
        return ":".join((_MAC_PREFIX, digest[0:2], digest[2:4], digest[4:6]))

    def started(self) -> GuestRecord:
        """The record after the first start, without the root password, which the guest has now."""
        return replace(self, fresh=False, spec=replace(self.spec, root_password=""))

    def save(self, folder: Path) -> None:
        document: dict[str, Any] = {**asdict(self), "spec": {**asdict(self.spec)}}
        document["spec"]["environment"] = dict(self.spec.environment)
        partial = folder / f".{_FILE}"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(document), encoding="utf-8")
        partial.replace(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> GuestRecord | None:
        """``None`` if there is no guest, or its record is unreadable."""
        try:
            document = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            return cls(GuestSpec(**document["spec"]), document["address"], document["fresh"], document.get("base", ""))
        except (OSError, ValueError, TypeError, KeyError):
            return None


def choose_address(spec: GuestSpec, gateway: ipaddress.IPv4Interface, taken: set[str]) -> str:
    """Return the requested address, else a free one. A vmid gets the same one if possible."""
    network = gateway.network
    if spec.address:
        requested = ipaddress.IPv4Interface(spec.address)
        if (
            requested.ip == gateway.ip
            or requested.ip.is_loopback
            or requested.ip.is_multicast
            or requested.ip.is_unspecified
        ):
            raise ValueError(f"{requested.ip} cannot be a guest's address")
        return str(requested)
    used = {text.split("/")[0] for text in taken} | {str(gateway.ip)}
    span = _LAST_HOST - _FIRST_HOST
    for step in range(span):
        candidate = str(network[_FIRST_HOST + (spec.vmid + step) % span])
        if candidate not in used:
            return f"{candidate}/{network.prefixlen}"
    raise ValueError(f"No free address in {network}")
