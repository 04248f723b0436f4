from __future__ import annotations

from msgspec import Struct, field

from lxc_dashboard.proxmox.schemas.figures import Figure
from lxc_dashboard.proxmox.schemas.text import words


class Guest(Struct, frozen=True, gc=False):
    """A line of ``GET /nodes/{node}/lxc``: live figures. ``status`` is running or stopped."""

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
    """``GET /nodes/{node}/lxc/{vmid}/status/current``. ``cpu`` is 0 in an API worker's first sample.

    ``vmid`` is 0 where the answer does not repeat it.
    """

    vmid: int = 0
    ha: HaState = HaState()


class InterfaceAddress(Struct, frozen=True):
    address: str = field(default="", name="ip-address")
    type: str = field(default="", name="ip-address-type")
    prefix: int = 0


class Interface(Struct, frozen=True):
    """``GET /nodes/{node}/lxc/{vmid}/interfaces``. ``inet`` and ``inet6`` carry the prefix length."""

    name: str
    hwaddr: str = ""
    inet: str = ""
    inet6: str = ""
    addresses: list[InterfaceAddress] = field(default_factory=list, name="ip-addresses")

    @property
    def is_loopback(self) -> bool:
        return self.name == "lo"


class Snapshot(Struct, frozen=True):
    """``GET .../snapshot``. The entry ``current`` is the guest as it is now, and is no snapshot."""

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
    """A line of ``GET .../pending``. ``pending`` is what holds after the next start, ``delete`` that it goes."""

    key: str
    value: str | None = None
    pending: str | None = None
    delete: bool = False


class RrdPoint(Struct, frozen=True, gc=False):
    """One sample of ``GET .../rrddata``. In a hole of the record only ``time`` is there."""

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
    """``POST .../termproxy``: good for 40 s; the websocket must be opened on the same host within 10 s."""

    ticket: str
    port: int
    user: str = ""
    upid: str = ""

    def __repr__(self) -> str:
        return f"TerminalTicket(port={self.port}, user={self.user!r})"
