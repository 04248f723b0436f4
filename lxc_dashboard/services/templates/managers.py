"""Which package managers are a system's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lxc_dashboard.db.models import PackageManager

SYSTEM_MANAGERS: Final = {
    PackageManager.APT: ("debian", "ubuntu", "devuan", "turnkey", "proxmox"),
    PackageManager.APK: ("alpine",),
    PackageManager.DNF: ("fedora", "almalinux", "rockylinux", "centos", "openeuler"),
}
# Known, and with a manager that no list is for.
OTHER_SYSTEMS: Final = frozenset({"arch", "archlinux", "gentoo", "nixos", "opensuse", "slackware", "void", "voidlinux"})


def unfit(os_family: str, managers: Iterable[PackageManager]) -> tuple[PackageManager, ...]:
    """Those of ``managers``, by name, that belong to another system. None where ``os_family`` (``debian``) is not known."""
    fitting = {manager for manager, families in SYSTEM_MANAGERS.items() if os_family in families}
    foreign = SYSTEM_MANAGERS.keys() - fitting if fitting or os_family in OTHER_SYSTEMS else set()
    return tuple(sorted(foreign & set(managers)))


def is_known(os_family: str) -> bool:
    """Whether it is an OS that is called so, and not a name of anybody's."""
    return os_family in OTHER_SYSTEMS or any(os_family in families for families in SYSTEM_MANAGERS.values())
