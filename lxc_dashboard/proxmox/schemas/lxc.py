from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct, field

from lxc_dashboard.proxmox.schemas.values import Figure, words

_NUMBERED = re.compile(r"^(?P<kind>[a-z]+)(?P<index>\d+)$")
_TRUE = frozenset({"1", "true", "yes", "on"})


def split_property_string(text: str, default_key: str = "volume") -> dict[str, str]:
    """Split PVE's property string ``local:8,size=8G`` into ``{"volume": "local:8", "size": "8G"}``."""
    parts = (part.partition("=") for part in text.split(",") if part)
    return {key if equals else default_key: value if equals else key for key, equals, value in parts}


def property_string(values: Mapping[str, str | int | bool | None]) -> str:
    """Join a property string: booleans as 1 and 0, None left out. The key ``volume`` is written without its name."""
    parts = []
    for key, value in values.items():
        if value is not None:
            text = str(int(value)) if isinstance(value, bool) else str(value)
            parts.append(text if key == "volume" else f"{key}={text}")
    return ",".join(parts)


@dataclass(frozen=True, slots=True)
class LxcConfig:
    """``GET /nodes/{node}/lxc/{vmid}/config``. ``values`` holds every key as text in PVE's notation.

    During a create there are only ``lock`` and ``digest``.
    """

    values: Mapping[str, str]

    @classmethod
    def of(cls, found: Mapping[str, object]) -> LxcConfig:
        return cls({key: _text(value) for key, value in found.items() if value is not None})

    def text(self, key: str) -> str:
        return self.values.get(key, "")

    def number(self, key: str) -> int | None:
        value = self.values.get(key, "")
        return int(float(value)) if re.fullmatch(r"-?\d+(\.\d+)?", value) else None

    def flag(self, key: str) -> bool:
        return self.text(key).lower() in _TRUE

    @property
    def is_bare(self) -> bool:
        """Return whether there is no container yet: during a create, and after a create that was killed."""
        return self.values.keys() <= {"lock", "digest"}

    @property
    def digest(self) -> str:
        return self.text("digest")

    @property
    def hostname(self) -> str:
        return self.text("hostname")

    @property
    def description(self) -> str:
        return self.text("description")

    @property
    def lock(self) -> str:
        return self.text("lock")

    @property
    def ostype(self) -> str:
        return self.text("ostype")

    @property
    def tags(self) -> tuple[str, ...]:
        return words(self.text("tags"))

    @property
    def cores(self) -> int | None:
        return self.number("cores")

    @property
    def memory_mib(self) -> int | None:
        return self.number("memory")

    @property
    def swap_mib(self) -> int | None:
        return self.number("swap")

    @property
    def unprivileged(self) -> bool:
        return self.flag("unprivileged")

    @property
    def features(self) -> dict[str, str]:
        return split_property_string(self.text("features"))

    @property
    def rootfs(self) -> dict[str, str]:
        return split_property_string(self.text("rootfs"))

    @property
    def nets(self) -> dict[int, dict[str, str]]:
        """Return ``{0: {"name": "eth0", "bridge": "vmbr0", "ip": "dhcp", ...}}``."""
        return self._numbered("net")

    @property
    def mount_points(self) -> dict[int, dict[str, str]]:
        return self._numbered("mp")

    def _numbered(self, kind: str) -> dict[int, dict[str, str]]:
        found = ((_NUMBERED.match(key), value) for key, value in self.values.items())
        return {int(m["index"]): split_property_string(value) for m, value in found if m and m["kind"] == kind}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else str(value)


class Guest(Struct, frozen=True, gc=False):
    """An entry of ``GET /nodes/{node}/lxc``, with current figures. ``status`` is running or stopped."""

    vmid: int
    status: str = ""
    name: str = ""
    tags: str = ""
    lock: str = ""
    template: bool = False
    cpu: Figure = 0.0
    cpus: Figure = 0.0
    mem: int = 0
    maxmem: int = 0
    swap: int = 0
    maxswap: int = 0
    disk: int = 0
    maxdisk: int = 0
    diskread: int = 0
    diskwrite: int = 0
    netin: int = 0
    netout: int = 0
    uptime: int = 0
    pid: int | None = None
    pressurecpusome: Figure | None = None
    pressurecpufull: Figure | None = None
    pressurememorysome: Figure | None = None
    pressurememoryfull: Figure | None = None
    pressureiosome: Figure | None = None
    pressureiofull: Figure | None = None

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def tag_list(self) -> tuple[str, ...]:
        return words(self.tags)


class HaState(Struct, frozen=True):
    managed: bool = False
    state: str = ""


class GuestStatus(Guest, frozen=True):
    """``GET /nodes/{node}/lxc/{vmid}/status/current``. ``cpu`` is 0 in the first sample of an API process.

    ``vmid`` is 0 where the answer does not repeat it.
    """

    vmid: int = 0
    ha: HaState = HaState()


class InterfaceAddress(Struct, frozen=True):
    address: str = field(default="", name="ip-address")
    type: str = field(default="", name="ip-address-type")
    prefix: int = 0


class Interface(Struct, frozen=True):
    """``GET /nodes/{node}/lxc/{vmid}/interfaces``. ``inet`` and ``inet6`` include the prefix length."""

    name: str
    hwaddr: str = ""
    inet: str = ""
    inet6: str = ""
    addresses: list[InterfaceAddress] = field(default_factory=list, name="ip-addresses")

    @property
    def is_loopback(self) -> bool:
        return self.name == "lo"


class Snapshot(Struct, frozen=True):
    """``GET .../snapshot``. The entry ``current`` is the guest's present state, not a snapshot."""

    name: str
    description: str = ""
    snaptime: int = 0
    parent: str = ""
    running: bool = False
    digest: str = ""

    @property
    def is_current(self) -> bool:
        return self.name == "current"


class PendingValue(Struct, frozen=True):
    """An entry of ``GET .../pending``. The next start applies ``pending``, or deletes the key if ``delete`` is set."""

    key: str
    value: str | None = None
    pending: str | None = None
    delete: bool = False


class RrdPoint(Struct, frozen=True, gc=False):
    """A sample of ``GET .../rrddata``. A gap in the record has only ``time``."""

    time: int
    cpu: Figure | None = None
    maxcpu: Figure | None = None
    mem: Figure | None = None
    maxmem: Figure | None = None
    disk: Figure | None = None
    maxdisk: Figure | None = None
    diskread: Figure | None = None
    diskwrite: Figure | None = None
    netin: Figure | None = None
    netout: Figure | None = None
    pressurecpusome: Figure | None = None
    pressurememorysome: Figure | None = None
    pressureiosome: Figure | None = None


class TerminalTicket(Struct, frozen=True):
    """``POST .../termproxy``: valid for 40 s. Open the websocket on the same host within 10 s."""

    ticket: str
    port: int
    user: str = ""
    upid: str = ""

    def __repr__(self) -> str:
        return f"TerminalTicket(port={self.port}, user={self.user!r})"
