"""PVE's parameters of a container, by the field table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lxc_dashboard.proxmox.schemas.lxc import property_string
from lxc_dashboard.services.creation.form.fields import FIELDS
from lxc_dashboard.services.creation.form.spec import NETWORK_DEVICE

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.form.spec import ContainerSpec, Mount


def in_mount_order(mounts: Sequence[Mount]) -> list[Mount]:
    """As PVE is to mount them, which goes by their numbers: a folder before what lies in it, else as they were given."""
    return sorted(mounts, key=lambda mount: sum(mount.path.startswith(f"{other.path}/") for other in mounts))


def pve_parameters(
    spec: ContainerSpec, vmid: int, password: str | None, *, description: str | None = None
) -> dict[str, str | int | bool]:
    """The body of ``POST /nodes/{node}/lxc``. ``unprivileged`` is always sent: PVE 8 and 9 differ in its default.

    A feature that is off is not sent: to name it takes more rights than most users have. With a pool, tags are set at the end:
    a user with rights only through the pool may not set them yet.
    """
    values: dict[str, Any] = {row.pve: row.of(spec) for row in FIELDS if row.pve and row.in_spec}
    values |= {
        "vmid": vmid,
        "rootfs": f"{spec.storage}:{spec.disk_gib}",
        **{f"mp{number}": mount.value for number, mount in enumerate(in_mount_order(spec.mounts))},
        "password": password or None,
        "ssh-public-keys": "\n".join(spec.ssh_keys),
        "net0.ip": spec.ipv4.value,
        "net0.ip6": spec.ipv6.value,
        "tags": "" if spec.pool else ";".join(spec.tags),
        "description": spec.description if description is None else description,
    }
    groups: dict[str, dict[str, Any]] = {name.partition(".")[0]: {} for name in values if "." in name}
    for name in sorted(name for name in values if "." in name):
        group, _, part = name.partition(".")
        groups[group][part] = values.pop(name)
    groups["net0"] = {"name": NETWORK_DEVICE, **groups["net0"], "type": "veth"}
    values |= {
        name: property_string({part: value for part, value in group.items() if value is not False and value != ""})
        for name, group in groups.items()
    }
    return {name: value for name, value in values.items() if value not in (None, "", ())}
