"""From what a form or an API caller sent to a ``ContainerSpec``, with each wrong field's message beside its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form import address_readers, mounts, readers, ssh_keys
from lxc_dashboard.services.creation.form.readers import Form
from lxc_dashboard.services.creation.form.spec import (
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
        node=form.take("node", readers.matching(readers.NODE, "Choose a node"), ""),
        ostemplate=form.take("ostemplate", readers.volid, ""),
        ostemplate_download=form.take(
            "ostemplate_download", readers.optional(readers.APPLIANCE, "This is no OS template"), ""
        ),
        hostname=form.take("hostname", readers.hostname, ""),
        vmid=form.take("vmid", readers.maybe(readers.number(100, 999_999_999)), None),
        storage=form.take("storage", readers.matching(readers.STORAGE, "Choose a storage for the disk"), ""),
        password_mode=form.take("password_mode", readers.one_of(PasswordMode, PasswordMode.NONE), PasswordMode.NONE),
        ssh_keys=form.take("ssh_keys", ssh_keys.ssh_keys, _NO_TEXTS),
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
        "cores": form.take("cores", readers.number(1, 8192, 1), 1),
        "memory_mib": form.take("memory_mib", readers.number(16, 16_777_216, 512), 512),
        "swap_mib": form.take("swap_mib", readers.number(0, 16_777_216, 512), 512),
        "disk_gib": form.take("disk_gib", readers.number(1, readers.DISK_MAX_GIB, 8), 8),
        "mounts": mounts.mounts(form),
    }


def _network(form: Form) -> dict[str, Any]:
    return {
        "bridge": form.take("bridge", readers.matching(readers.BRIDGE, "Choose a bridge"), ""),
        "vlan": form.take("vlan", readers.maybe(readers.number(1, 4094)), None),
        "ipv4": _ip(form, 4, IpMode.DHCP),
        "ipv6": _ip(form, 6, IpMode.NONE),
        "nameserver": form.take("nameserver", address_readers.nameservers, ""),
        "searchdomain": form.take("searchdomain", address_readers.domains, ""),
        "mtu": form.take("mtu", readers.maybe(readers.number(576, 65_535)), None),
        "firewall": form.take("firewall", readers.flag(False), False),
    }


def _options(form: Form) -> dict[str, Any]:
    return {
        "unprivileged": form.take("unprivileged", readers.flag(True), True),
        **{name: form.take(name, readers.flag(False), False) for name in ("nesting", "keyctl", "fuse", "onboot")},
        "pause_after_create": form.take("pause_after_create", readers.flag(False), False),
        "tags": form.take("tags", readers.tags, _NO_TEXTS),
        "pool": form.take("pool", readers.optional(readers.POOL, "This is no pool's name"), ""),
        "start_order": form.take("start_order", readers.maybe(readers.number(0, 1_000_000)), None),
        "description": form.take("description", readers.description, ""),
    }


def _template(form: Form) -> dict[str, Any]:
    return {
        "revision_id": form.take("revision_id", readers.uuid, None),
        "packages_off": form.take("packages_off", readers.each(readers.package_ref), _NO_REFS),
        "packages_extra": form.take("packages_extra", readers.each(readers.extra_package), _NO_EXTRAS),
        "scripts": form.take("scripts", readers.script_names, None),
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
    mode = form.take(f"{prefix}_mode", readers.one_of(IpMode, default), default)
    if version == 4 and mode is IpMode.AUTO:  # noqa: PLR2004 - IPv4 and IPv6 are their own names
        form.faults[f"{prefix}_mode"] = "IPv4 has no such mode: DHCP, static or none"
    if mode is not IpMode.STATIC:
        return IpSettings(mode)
    address = form.take(f"{prefix}_address", lambda value: address_readers.cidr(value, version), "")
    gateway = form.take(f"{prefix}_gateway", lambda value: address_readers.gateway(value, version, address), "")
    return IpSettings(mode, address, gateway)
