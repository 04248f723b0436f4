from __future__ import annotations

from msgspec import Struct, field

from lxc_dashboard.proxmox.schemas.values import Figure, words


class Version(Struct, frozen=True):
    """``release`` is 9.1 for ``version`` 9.1.4."""

    version: str
    release: str = ""
    repoid: str = ""

    @property
    def major(self) -> int:
        """Return the major version, 0 where the version is unreadable."""
        head = self.version.partition(".")[0]
        return int(head) if head.isdecimal() else 0


class Node(Struct, frozen=True, gc=False):
    """An entry of ``GET /nodes``. ``status`` is online, offline or unknown. Figures need Sys.Audit."""

    node: str
    status: str = "unknown"
    cpu: Figure = 0.0
    maxcpu: int = 0
    mem: int = 0
    maxmem: int = 0
    disk: int = 0
    maxdisk: int = 0
    uptime: int = 0
    ssl_fingerprint: str = ""
    level: str = ""

    @property
    def online(self) -> bool:
        return self.status == "online"


class Space(Struct, frozen=True):
    """Memory, swap or a file system, in bytes. ``avail`` (rootfs) and ``available`` (memory) exclude reserves."""

    total: int = 0
    used: int = 0
    free: int = 0
    avail: int | None = None
    available: int | None = None


class CpuInfo(Struct, frozen=True):
    cpus: int = 0
    cores: int = 0
    sockets: int = 0
    model: str = ""
    mhz: Figure = 0.0


class NodeStatus(Struct, frozen=True):
    """``GET /nodes/{node}/status``."""

    cpu: Figure = 0.0
    wait: Figure = 0.0
    uptime: int = 0
    loadavg: list[Figure] = field(default_factory=list)
    memory: Space = Space()
    swap: Space = Space()
    rootfs: Space = Space()
    cpuinfo: CpuInfo = CpuInfo()
    pveversion: str = ""
    kversion: str = ""


class NetworkDevice(Struct, frozen=True):
    """An entry of ``GET /nodes/{node}/network``. ``type`` is bridge, OVSBridge, vlan, bond, eth, ..."""

    iface: str
    type: str = ""
    active: bool = False
    autostart: bool = False
    cidr: str = ""
    address: str = ""
    gateway: str = ""
    cidr6: str = ""
    gateway6: str = ""
    bridge_ports: str = ""
    bridge_vlan_aware: bool = False
    mtu: int | None = None
    comments: str = ""


class NodeStorage(Struct, frozen=True):
    """An entry of ``GET /nodes/{node}/storage``. ``total`` is 0 where the storage reports no size."""

    storage: str
    type: str = ""
    content: str = ""
    enabled: bool = True
    active: bool = True
    shared: bool = False
    total: int = 0
    used: int = 0
    avail: int = 0
    used_fraction: Figure = 0.0

    def holds(self, content_type: str) -> bool:
        """Return whether the storage holds ``content_type``: rootdir, vztmpl, backup, ..."""
        return content_type in words(self.content)


class StorageStatus(Struct, frozen=True):
    """``GET /nodes/{node}/storage/{storage}/status``."""

    type: str = ""
    content: str = ""
    enabled: bool = True
    active: bool = False
    shared: bool = False
    total: int = 0
    used: int = 0
    avail: int = 0


class Content(Struct, frozen=True):
    """A volume of ``GET /nodes/{node}/storage/{storage}/content``."""

    volid: str
    content: str = ""
    format: str = ""
    size: int = 0
    used: int = 0
    ctime: int = 0
    vmid: int = 0
    subtype: str = ""
    notes: str = ""
    protected: bool = False


class Appliance(Struct, frozen=True):
    """An OS template of ``GET /nodes/{node}/aplinfo``. ``template`` is the name of the file."""

    template: str
    package: str = ""
    os: str = ""
    version: str = ""
    type: str = ""
    section: str = ""
    headline: str = ""
    description: str = ""
    architecture: str = ""
    location: str = ""
    source: str = ""
