"""The fields of the container form, one row each: accepted values, the wizard's step, and PVE's parameter.

Texts about a field use its name as key: ``FIELD_LABELS`` and ``FIELD_HINTS`` for the wizard, ``FIELDS`` for the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass
from dataclasses import fields as attributes
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form import readers
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.readers import Form, WrongError, ssh_keys
from lxc_dashboard.services.creation.form.spec import (
    ContainerSpec,
    ExtraPackage,
    IpMode,
    Mount,
    PackageRef,
    PasswordMode,
)

MOUNTS_MAX: Final = 256  # mp0 to mp255
PATH_MAX_CHARS: Final = 4096
# In a property string of PVE, a comma ends the value. PVE itself refuses "." and ".." in a path.
_PATH: Final = re.compile(r"/[^,\\]*")
_STEPS_ASIDE: Final = frozenset({".", ".."})
_OF_LXC: Final = ("/dev", "/proc", "/sys")


def mounts(value: object) -> tuple[Mount, ...]:
    """Read a list of mappings with the keys of ``Mount``, or that list as JSON.

    Raises ``WrongError`` with parts such as ``0.path``.
    """
    found: list[Mount] = []
    faults: dict[str, Message] = {}
    for at, row in enumerate(_rows(value)):
        part = Form(row)
        mount = _mount(part)
        if mount.path in {other.path for other in found}:
            part.faults.setdefault("path", Message.of(FieldCode.MOUNT_PATH_TWICE))
        faults |= {f"{at}.{name}": fault for name, fault in part.faults.items()}
        found.append(mount)
    if faults:
        raise WrongError(parts=faults)
    return tuple(found)


def mounts_as_text(mounts: Sequence[Mount]) -> str:
    """Format as JSON for the form; ``mounts`` reads it back. Empty text for no mount points."""
    rows = [asdict(mount) | {"size_gib": "" if mount.is_bind else str(mount.size_gib)} for mount in mounts]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def _rows(value: object) -> Sequence[Mapping[str, object]]:
    if isinstance(value, str):
        value = _of_json(value)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise WrongError(Message.of(FieldCode.NO_MOUNTS))
    if len(value) > MOUNTS_MAX:
        raise WrongError(Message.of(FieldCode.TOO_MANY_MOUNTS, most=MOUNTS_MAX))
    rows = [asdict(row) if isinstance(row, Mount) else row for row in value]
    if not all(isinstance(row, Mapping) for row in rows):
        raise WrongError(Message.of(FieldCode.NO_MOUNTS))
    return rows


def _of_json(text: str) -> object:
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        raise WrongError(Message.of(FieldCode.NO_MOUNTS)) from None


def _mount(part: Form) -> Mount:
    is_bind = str(part.raw.get("source")).lstrip().startswith("/")
    return Mount(
        part.take("source", _source, ""),
        part.take("path", _path, ""),
        0 if is_bind else part.take("size_gib", readers.number(1, readers.DISK_MAX_GIB), 1),
        part.take("backup", _backup(is_bind), False),
        part.take("read_only", readers.flag(False), False),
    )


def _source(value: object) -> str:
    text = readers.plain(value)
    if not text.startswith("/"):
        return readers.matching(readers.STORAGE, Message.of(FieldCode.NO_MOUNT_SOURCE))(text)
    path = _clean(text)
    if path == "/":
        raise WrongError(Message.of(FieldCode.MOUNT_SOURCE_ROOT))
    if "=" in path:  # PVE reads the text before "=" as the name of an option
        raise WrongError(Message.of(FieldCode.MOUNT_SOURCE_EQUALS))
    return path


def _path(value: object) -> str:
    path = _clean(readers.plain(value))
    if path == "/":
        raise WrongError(Message.of(FieldCode.MOUNT_PATH_ROOT))
    if any(path == of_lxc or path.startswith(of_lxc + "/") for of_lxc in _OF_LXC):
        raise WrongError(Message.of(FieldCode.MOUNT_PATH_OF_SYSTEM, path=path))
    return path


def _clean(text: str) -> str:
    """Normalize a path: ``//srv/data/`` becomes ``/srv/data``. Raises ``WrongError`` for an invalid path."""
    if not _PATH.fullmatch(text) or not text.isprintable() or len(text) > PATH_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.BAD_PATH))
    steps = [step for step in text.split("/") if step]
    if _STEPS_ASIDE & set(steps):
        raise WrongError(Message.of(FieldCode.PATH_STEPS_ASIDE))
    return "/" + "/".join(steps)


def _backup(is_bind: bool) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        wanted = readers.flag(False)(value)
        if wanted and is_bind:
            raise WrongError(Message.of(FieldCode.NO_BACKUP_OF_BIND))
        return wanted

    return read


STEPS: Final = ("template", "configure", "packages", "scripts", "review")
_DEFAULTS: Final = {each.name: each.default for each in attributes(ContainerSpec) if each.default is not MISSING}


def ticked(on: bool) -> str:
    """A flag as text of the form."""
    return "on" if on else ""


def typed(value: Any) -> str:
    """A value as text of the form. ``Field.read`` reads it back."""
    if isinstance(value, bool):
        return ticked(value)
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Field:
    """``read`` parses text or JSON and raises ``WrongError``. ``write`` formats a value as text of the form.

    ``type``: the JSON type in the API. ``default``: the value of an empty field. ``start``: the form's initial value,
    if it is not ``default``. ``step``: one of ``STEPS``. ``pve``: the parameter of ``POST /nodes/{node}/lxc``, with a
    property after a dot. ``config``: the attribute of ``TemplateConfig`` with the initial value. ``needs``: another
    field and its value, without which this one does not count. ``of_one``: belongs to one container, so presets leave
    it out. ``is_long``: several lines, which a link drops first. ``in_spec``, ``in_form``, ``in_api``: where it exists.
    """

    name: str
    read: Callable[[object], Any] = readers.plain
    type: Any = str
    write: Callable[[Any], str] = typed
    default: Any = ""
    start: Any = None
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    step: str = "configure"
    pve: str = ""
    config: str = ""
    needs: tuple[str, str] | None = None
    of_one: bool = False
    is_long: bool = False
    is_secret: bool = False
    in_spec: bool = True
    in_form: bool = True
    in_api: bool = True

    @property
    def json(self) -> Any:
        """The type that the API accepts. Numbers and flags may also be text."""
        return self.type | str if self.is_number or self.is_flag else self.type

    @property
    def bounded(self) -> Any:
        """``json`` for a schema, with the bounds of a number."""
        return Annotated[int, Meta(ge=self.least, le=self.most)] | str if self.is_number else self.json

    @property
    def is_flag(self) -> bool:
        return self.type is bool

    @property
    def is_number(self) -> bool:
        return self.type is int

    @property
    def started(self) -> str:
        """The initial text in the form, before a template and a node are selected."""
        return self.write(self.default if self.start is None else self.start)

    def counts(self, values: Mapping[str, object]) -> bool:
        """Whether the field counts with these ``values`` of the other fields."""
        return self.needs is None or values.get(self.needs[0]) == self.needs[1]

    def of(self, spec: ContainerSpec) -> Any:
        """The field's value in a spec."""
        family, _, part = self.name.partition("_")
        return getattr(getattr(spec, family), part) if family in {"ipv4", "ipv6"} else getattr(spec, self.name)


def _number(name: str, least: int, most: int, **more: Any) -> Field:
    """Without a default, the field may be empty."""
    default = _DEFAULTS[name]
    whole = readers.number(least, most, default)
    read: Callable[[object], Any] = readers.maybe(whole) if default is None else whole
    return Field(name, read, int, default=default, least=least, most=most, **more)


def _flag(name: str, **more: Any) -> Field:
    return Field(name, readers.flag(_DEFAULTS[name]), bool, default=_DEFAULTS[name], **more)


def _choice(name: str, members: Sequence[StrEnum], default: StrEnum, **more: Any) -> Field:
    choices = tuple(member.value for member in members)
    read = readers.one_of(members, default)
    return Field(name, read, Literal[choices], default=default, choices=choices, **more)


def _addresses(version: int, modes: Sequence[IpMode], default: IpMode) -> tuple[Field, ...]:
    family, suffix = f"ipv{version}", "6" if version == 6 else ""  # noqa: PLR2004 - the family's own number
    static = (f"{family}_mode", IpMode.STATIC.value)
    address, gateway = partial(readers.cidr, version=version), partial(readers.gateway, version=version)
    return (
        _choice(f"{family}_mode", modes, default, pve=f"net0.ip{suffix}"),
        Field(f"{family}_address", address, needs=static, of_one=True, pve=f"net0.ip{suffix}"),
        Field(f"{family}_range", needs=static, in_spec=False, in_api=False),
        Field(f"{family}_gateway", gateway, needs=static, pve=f"net0.gw{suffix}"),
    )


# In the order of the summary.
FIELDS: Final[tuple[Field, ...]] = (
    Field("template", step="template", in_spec=False, in_form=False),
    Field("revision_id", readers.uuid, default=None, step="template", in_form=False, in_api=False),
    Field("node", readers.matching(readers.NODE, Message.of(FieldCode.NO_NODE))),
    Field("ostemplate", readers.volid, pve="ostemplate"),
    Field(
        "ostemplate_download", readers.optional(readers.APPLIANCE, Message.of(FieldCode.BAD_OSTEMPLATE)), in_form=False
    ),
    Field("hostname", readers.hostname, of_one=True, pve="hostname"),
    Field("hostname_pattern", of_one=True, in_spec=False, in_api=False),
    _number("vmid", 100, 999_999_999, of_one=True, pve="vmid"),
    _number("cores", 1, 8192, config="cpu", pve="cores"),
    _number("memory_mib", 16, 16 << 20, config="ram_mib", pve="memory"),
    _number("swap_mib", 0, 16 << 20, config="swap_mib", pve="swap"),
    _number("disk_gib", 1, readers.DISK_MAX_GIB, config="disk_gib", pve="rootfs"),
    Field("storage", readers.matching(readers.STORAGE, Message.of(FieldCode.NO_STORAGE)), pve="rootfs"),
    Field("mounts", mounts, list[Mount], write=mounts_as_text, default=(), pve="mp0"),
    _choice("password_mode", tuple(PasswordMode), PasswordMode.NONE, start=PasswordMode.GENERATED),
    Field(
        "password",
        readers.password,
        needs=("password_mode", PasswordMode.GIVEN.value),
        pve="password",
        is_secret=True,
        in_spec=False,
        in_form=False,
    ),
    Field("ssh_keys", ssh_keys, list[str] | str, write="\n".join, default=(), pve="ssh-public-keys", is_long=True),
    Field(
        "bridge",
        readers.matching(readers.BRIDGE, Message.of(FieldCode.NO_BRIDGE)),
        default=_DEFAULTS["bridge"],
        pve="net0.bridge",
    ),
    _number("vlan", 1, 4094, pve="net0.tag"),
    *_addresses(4, (IpMode.DHCP, IpMode.STATIC, IpMode.NONE), IpMode.DHCP),
    *_addresses(6, tuple(IpMode), IpMode.NONE),
    Field("nameserver", readers.nameservers, pve="nameserver"),
    Field("searchdomain", readers.domains, pve="searchdomain"),
    _number("mtu", 576, 65_535, pve="net0.mtu"),
    _flag("firewall", pve="net0.firewall"),
    _flag("unprivileged", config="unprivileged", pve="unprivileged"),
    *(_flag(name, config=name, pve=f"features.{name}") for name in ("nesting", "keyctl", "fuse")),
    Field("tags", readers.tags, list[str] | str, default=(), config="tags", pve="tags"),
    Field("pool", readers.optional(readers.POOL, Message.of(FieldCode.BAD_POOL)), pve="pool"),
    _flag("onboot", pve="onboot"),
    _flag("pause_after_create"),
    _number("start_order", 0, 1_000_000, pve="startup.order"),
    Field("description", readers.description, pve="description", is_long=True),
    Field(
        "packages_off", readers.each(readers.package_ref), list[PackageRef], default=(), step="packages", in_form=False
    ),
    Field(
        "packages_extra",
        readers.each(readers.extra_package),
        list[ExtraPackage],
        default=(),
        step="packages",
        in_form=False,
    ),
    Field("scripts", readers.script_names, list[str], default=None, step="scripts", in_form=False),
)
BY_NAME: Final[Mapping[str, Field]] = {row.name: row for row in FIELDS}
