"""The validated description of a container to create: frozen and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.proxmox.schemas.lxc import property_string

NETWORK_DEVICE: Final = "eth0"


class PasswordMode(StrEnum):
    """``none``: root in the guest has no password and signs in with SSH keys."""

    GIVEN = "given"
    GENERATED = "generated"
    NONE = "none"


class IpMode(StrEnum):
    """``auto`` (SLAAC) is for IPv6 only."""

    DHCP = "dhcp"
    STATIC = "static"
    AUTO = "auto"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets of a request, which a spec does not hold. ``password`` counts only if the spec's mode is ``given``.

    A given password is never shown. It is stored encrypted until the container is created, the job is cancelled, or
    what the job left is destroyed. For the retry of a job that failed before, it is stored for 12 h. A generated
    password is stored with the container.
    """

    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class IpSettings:
    """``address`` (in CIDR form) and ``gateway`` are for ``static``; ``gateway`` may be empty there too."""

    mode: IpMode
    address: str = ""
    gateway: str = ""

    @property
    def value(self) -> str | None:
        """The value of PVE's ``ip`` or ``ip6``. None for no address."""
        if self.mode is IpMode.STATIC:
            return self.address
        return None if self.mode is IpMode.NONE else self.mode.value


@dataclass(frozen=True, slots=True)
class Segment:
    """The bridge and VLAN of a network card. Two guests conflict over an address only within one segment."""

    bridge: str
    vlan: int | None = None

    def __str__(self) -> str:
        return f"bridge {self.bridge}, VLAN {self.vlan}" if self.vlan else f"bridge {self.bridge}"


@dataclass(frozen=True, slots=True)
class PackageRef:
    """A package of the template, identified with its bucket."""

    bucket: str
    manager: PackageManager
    spec: str


@dataclass(frozen=True, slots=True)
class ExtraPackage:
    """A package that the user adds; ``spec`` in the manager's syntax. Never a custom one: those are commands."""

    manager: PackageManager
    spec: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount point ``mpN``. ``source``: a storage for a new volume of ``size_gib``, or a folder of the node to bind.

    ``path``: the path in the guest. Backups contain volumes only.
    """

    source: str
    path: str
    size_gib: int = 0
    backup: bool = False
    read_only: bool = False

    @property
    def is_bind(self) -> bool:
        return self.source.startswith("/")

    @property
    def value(self) -> str:
        """The value of PVE's ``mpN``."""
        return property_string(
            {
                "volume": self.source if self.is_bind else f"{self.source}:{self.size_gib}",
                "mp": self.path,
                "backup": True if self.backup else None,
                "ro": True if self.read_only else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume for PVE to create. ``field`` and ``size_field``: the form's fields for its storage and its size."""

    storage: str
    size_gib: int
    field: str
    size_field: str


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A requested container. Sizes in MiB and GiB. ``vmid`` None: the next free one.

    ``ostemplate``: a volid (``local:vztmpl/debian-13...tar.zst``). ``ostemplate_download``: its name in ``aplinfo``
    if it must be downloaded first. ``scripts``: the names to run, in this order; None: those of the template.
    ``pause_after_create``: wait before the first start until the user continues the job.
    """

    node: str
    ostemplate: str
    hostname: str
    storage: str
    vmid: int | None = None
    ostemplate_download: str = ""
    password_mode: PasswordMode = PasswordMode.NONE
    ssh_keys: tuple[str, ...] = ()
    cores: int = 1
    memory_mib: int = 512
    swap_mib: int = 512
    disk_gib: int = 8
    bridge: str = "vmbr0"
    vlan: int | None = None
    ipv4: IpSettings = IpSettings(IpMode.DHCP)
    ipv6: IpSettings = IpSettings(IpMode.NONE)
    nameserver: str = ""
    searchdomain: str = ""
    mtu: int | None = None
    firewall: bool = False
    unprivileged: bool = True
    nesting: bool = False
    keyctl: bool = False
    fuse: bool = False
    mounts: tuple[Mount, ...] = ()
    tags: tuple[str, ...] = ()
    pool: str = ""
    onboot: bool = False
    start_order: int | None = None
    description: str = ""
    revision_id: UUID | None = None
    packages_off: tuple[PackageRef, ...] = ()
    packages_extra: tuple[ExtraPackage, ...] = ()
    scripts: tuple[str, ...] | None = None
    pause_after_create: bool = False

    @property
    def enters_guest(self) -> bool:
        """Whether the job has work inside the guest, which needs a door."""
        return self.revision_id is not None or bool(self.packages_extra)

    @property
    def segment(self) -> Segment:
        return Segment(self.bridge, self.vlan)

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """The root disk, and the mount points except binds."""
        of_mounts = (
            Volume(mount.source, mount.size_gib, f"mounts.{at}.source", f"mounts.{at}.size_gib")
            for at, mount in enumerate(self.mounts)
            if not mount.is_bind
        )
        return (Volume(self.storage, self.disk_gib, "storage", "disk_gib"), *of_mounts)

    def to_json(self) -> dict[str, Any]:
        """JSON with the same keys; ``from_json`` reads it back."""
        values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ContainerSpec:
        """Read the JSON of this or another version. Ignores unknown keys, and uses defaults for missing ones."""
        return msgspec.convert(values, cls)
