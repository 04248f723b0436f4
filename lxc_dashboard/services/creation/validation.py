"""From what a form or an API caller sent to a ``ContainerSpec``, with each wrong field's message beside its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation import address_fields, fields, mount_fields, ssh_key_fields
from lxc_dashboard.services.creation.fields import Form
from lxc_dashboard.services.creation.spec import (
    ContainerSpec,
    ExtraPackage,
    IpMode,
    IpSettings,
    PackageRef,
    PasswordMode,
)

PASSWORD_MIN_CHARS: Final = 5  # PVE's own
PASSWORD_MAX_BYTES: Final = 500  # libcrypt refuses more than 511; PVE knows no end
_NO_TEXTS: Final[tuple[str, ...]] = ()
_NO_REFS: Final[tuple[PackageRef, ...]] = ()
_NO_EXTRAS: Final[tuple[ExtraPackage, ...]] = ()


def validate(raw: Mapping[str, object]) -> ContainerSpec:
    """Keys as in ``ContainerSpec``, but ``ipv4_mode``, ``ipv4_address``, ``ipv4_gateway`` and the same of ``ipv6``.

    Text from a form will do: ``"2"``, ``"on"``, tags and keys in one string, ``mounts`` as JSON. Raises ``InvalidInputError`` naming every
    wrong field; secrets stand elsewhere (``check_password``).
    """
    form = Form(raw)
    spec = ContainerSpec(
        node=form.take("node", fields.matching(fields.NODE, "Choose a node"), ""),
        ostemplate=form.take("ostemplate", fields.volid, ""),
        ostemplate_download=form.take(
            "ostemplate_download", fields.optional(fields.APPLIANCE, "This is no OS template"), ""
        ),
        hostname=form.take("hostname", fields.hostname, ""),
        vmid=form.take("vmid", fields.maybe(fields.number(100, 999_999_999)), None),
        storage=form.take("storage", fields.matching(fields.STORAGE, "Choose a storage for the disk"), ""),
        password_mode=form.take("password_mode", fields.one_of(PasswordMode, PasswordMode.NONE), PasswordMode.NONE),
        ssh_keys=form.take("ssh_keys", ssh_key_fields.ssh_keys, _NO_TEXTS),
        **_resources(form),
        **_network(form),
        **_options(form),
        **_template(form),
    )
    _check_together(form, spec)
    if form.faults:
        raise InvalidInputError(form.faults)
    return spec


def check_password(mode: PasswordMode, password: str | None) -> None:
    """Raises ``InvalidInputError`` for ``password``; the message never holds it."""
    if mode is not PasswordMode.GIVEN:
        return
    if not password:
        raise InvalidInputError({"password": "Enter a password, or have one made"})
    if len(password) < PASSWORD_MIN_CHARS:
        raise InvalidInputError({"password": f"PVE takes no less than {PASSWORD_MIN_CHARS} characters"})
    if len(password.encode(errors="replace")) > PASSWORD_MAX_BYTES:
        raise InvalidInputError({"password": f"At most {PASSWORD_MAX_BYTES} bytes: Linux takes no longer password"})
    if not password.isprintable():
        raise InvalidInputError({"password": "Only characters that can be typed"})


def _resources(form: Form) -> dict[str, Any]:
    return {
        "cores": form.take("cores", fields.number(1, 8192, 1), 1),
        "memory_mib": form.take("memory_mib", fields.number(16, 16_777_216, 512), 512),
        "swap_mib": form.take("swap_mib", fields.number(0, 16_777_216, 512), 512),
        "disk_gib": form.take("disk_gib", fields.number(1, fields.DISK_MAX_GIB, 8), 8),
        "mounts": mount_fields.mounts(form),
    }


def _network(form: Form) -> dict[str, Any]:
    return {
        "bridge": form.take("bridge", fields.matching(fields.BRIDGE, "Choose a bridge"), ""),
        "vlan": form.take("vlan", fields.maybe(fields.number(1, 4094)), None),
        "ipv4": _ip(form, 4, IpMode.DHCP),
        "ipv6": _ip(form, 6, IpMode.NONE),
        "nameserver": form.take("nameserver", address_fields.nameservers, ""),
        "searchdomain": form.take("searchdomain", address_fields.domains, ""),
        "mtu": form.take("mtu", fields.maybe(fields.number(576, 65_535)), None),
        "firewall": form.take("firewall", fields.flag(False), False),
    }


def _options(form: Form) -> dict[str, Any]:
    return {
        "unprivileged": form.take("unprivileged", fields.flag(True), True),
        **{name: form.take(name, fields.flag(False), False) for name in ("nesting", "keyctl", "fuse", "onboot")},
        "pause_after_create": form.take("pause_after_create", fields.flag(False), False),
        "tags": form.take("tags", fields.tags, _NO_TEXTS),
        "pool": form.take("pool", fields.optional(fields.POOL, "This is no pool's name"), ""),
        "start_order": form.take("start_order", fields.maybe(fields.number(0, 1_000_000)), None),
        "description": form.take("description", fields.description, ""),
    }


def _template(form: Form) -> dict[str, Any]:
    return {
        "revision_id": form.take("revision_id", fields.uuid, None),
        "packages_off": form.take("packages_off", fields.each(fields.package_ref), _NO_REFS),
        "packages_extra": form.take("packages_extra", fields.each(fields.extra_package), _NO_EXTRAS),
        "scripts": form.take("scripts", fields.script_names, None),
    }


def _check_together(form: Form, spec: ContainerSpec) -> None:
    if spec.revision_id is None:
        for name in ("packages_off", "scripts"):
            if getattr(spec, name):
                form.faults.setdefault(name, "There is no template to take this from")
    if spec.ostemplate_download and not spec.ostemplate.endswith(f"/{spec.ostemplate_download}"):
        form.faults.setdefault("ostemplate_download", "This is not the OS template that was chosen")


def _ip(form: Form, version: int, default: IpMode) -> IpSettings:
    prefix = f"ipv{version}"
    mode = form.take(f"{prefix}_mode", fields.one_of(IpMode, default), default)
    if version == 4 and mode is IpMode.AUTO:  # noqa: PLR2004 - IPv4 and IPv6 are their own names
        form.faults[f"{prefix}_mode"] = "IPv4 has no such mode: DHCP, static or none"
    if mode is not IpMode.STATIC:
        return IpSettings(mode)
    address = form.take(f"{prefix}_address", lambda value: address_fields.cidr(value, version), "")
    gateway = form.take(f"{prefix}_gateway", lambda value: address_fields.gateway(value, version, address), "")
    return IpSettings(mode, address, gateway)
