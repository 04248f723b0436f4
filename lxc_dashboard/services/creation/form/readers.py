"""Readers of single fields: each takes what a form or a caller sent, and gives its value or says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import UUID

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.form.spec import ExtraPackage, IpMode, PackageRef, PasswordMode
from lxc_dashboard.services.templates.format.packages import checked_spec
from lxc_dashboard.services.templates.format.text import is_unicode

T = TypeVar("T")

LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
NODE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
STORAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]")
_VOLID: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]:vztmpl/(?!\.\.?\Z)[^/,]+")
VOLID_MAX_CHARS: Final = 255  # PVE's own
APPLIANCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
BRIDGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
_TAG: Final = re.compile(r"[a-z0-9_][a-z0-9_.+-]*")
POOL: Final = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,2}")
_PACKAGE: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@/._+:~=<>!,*\[\]^-]*")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})
HOSTNAME_MAX_CHARS: Final = 64  # of Linux: LXC could not start a container of a longer name
DISK_MAX_GIB: Final = 131_072
DESCRIPTION_MAX_CHARS: Final = 7800  # PVE takes 8,192, and the notes get a few lines more at the end


class WrongError(Exception):
    """What is wrong with one field; never leaves ``validation``."""


@dataclass
class Form:
    """What was sent, and what is wrong with it by field."""

    raw: Mapping[str, object]
    faults: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, read: Callable[[object], T], fallback: T) -> T:
        """The field as ``read`` gives it. A fault is noted, and ``fallback`` stands in until the end."""
        try:
            return read(self.raw.get(name))
        except WrongError as wrong:
            self.faults[name] = str(wrong)
            return fallback


def hostname(value: object) -> str:
    """RFC 1123: letters, digits and hyphens, labels of 63; in all what Linux takes."""
    text = plain(value)
    if not text:
        raise WrongError("Enter a hostname")
    if len(text) > HOSTNAME_MAX_CHARS:
        raise WrongError(f"At most {HOSTNAME_MAX_CHARS} characters, domain included: Linux takes no longer name")
    if not all(LABEL.fullmatch(label) for label in text.split(".")):
        raise WrongError("Letters, digits and hyphens; each part begins and ends with a letter or digit, 63 at most")
    if text.rpartition(".")[2].isdecimal():
        raise WrongError("The last part cannot be a number alone")
    return text.lower()


def volid(value: object) -> str:
    """An OS template as PVE lists it: its file may have any name."""
    text = plain(value)
    if not _VOLID.fullmatch(text) or not text.isprintable():
        raise WrongError("Choose an OS template")
    if len(text) > VOLID_MAX_CHARS:
        raise WrongError(f"PVE takes {VOLID_MAX_CHARS} characters at most: give the file a shorter name")
    return text


def plain(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, (str, int)):
        raise WrongError("Enter text")
    text = str(value).strip()
    if "\0" in text or not is_unicode(text):
        raise WrongError("Only characters that can be typed")
    return text


def matching(pattern: re.Pattern[str], message: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = plain(value)
        if not pattern.fullmatch(text):
            raise WrongError(message)
        return text

    return read


def optional(pattern: re.Pattern[str], message: str) -> Callable[[object], str]:
    read = matching(pattern, message)
    return lambda value: read(value) if plain(value) else ""


def number(least: int, most: int, default: int | None = None) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = plain(value) if not isinstance(value, bool) else "?"
        if not text and default is not None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,12}", text):
            raise WrongError("Enter a whole number")
        if not least <= int(text) <= most:
            raise WrongError(f"From {least} to {most}")
        return int(text)

    return read


def maybe(read: Callable[[object], int]) -> Callable[[object], int | None]:
    return lambda value: None if value is None or value == "" else read(value)


def flag(default: bool) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        text = plain(value).lower()
        if text not in _TRUE | _FALSE:
            raise WrongError("Either on or off")
        return text in _TRUE

    return read


Member = TypeVar("Member", PasswordMode, IpMode)


def one_of(kind: type[Member], default: Member) -> Callable[[object], Member]:
    def read(value: object) -> Member:
        text = plain(value)
        if not text:
            return default
        if text not in {member.value for member in kind}:
            raise WrongError(f"One of {', '.join(member.value for member in kind)}")
        return kind(text)

    return read


def sequence(value: object) -> Sequence[object]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise WrongError("Enter a list")
    return value


def tags(value: object) -> tuple[str, ...]:
    parts = re.split(r"[;,\s]+", value) if isinstance(value, str) else sequence(value)
    tags = [plain(part).lower() for part in parts if plain(part)]
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise WrongError(f"{tag!r} is no tag: letters, digits, and _ . + - after the first")
    return tuple(dict.fromkeys(tags))


def description(value: object) -> str:
    text = plain(value)
    if len(text) > DESCRIPTION_MAX_CHARS:
        raise WrongError(f"At most {DESCRIPTION_MAX_CHARS:,} characters")
    return text


def uuid(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    text = plain(value)
    try:
        return UUID(text) if text else None
    except ValueError:
        raise WrongError("Choose a template") from None


def each(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    return lambda value: tuple(dict.fromkeys(read(part) for part in sequence(value)))


def _manager(value: object) -> PackageManager:
    text = plain(value)
    if text not in {manager.value for manager in PackageManager}:
        raise WrongError(f"{text!r} is no package manager")
    return PackageManager(text)


def package_ref(value: object) -> PackageRef:
    """A ``PackageRef``, or a mapping with its keys."""
    if isinstance(value, PackageRef):
        return value
    if not isinstance(value, Mapping):
        raise WrongError("Choose packages of the template")
    return PackageRef(plain(value.get("bucket")), _manager(value.get("manager")), plain(value.get("spec")))


def extra_package(value: object) -> ExtraPackage:
    """An ``ExtraPackage``, or a mapping with its keys."""
    if isinstance(value, ExtraPackage):
        value = {"manager": value.manager.value, "spec": value.spec}
    if not isinstance(value, Mapping):
        raise WrongError("Enter a manager and a package")
    manager, spec = _manager(value.get("manager")), plain(value.get("spec"))
    if manager is PackageManager.CUSTOM:
        raise WrongError("A package with commands of its own can only come from a template")
    if not _PACKAGE.fullmatch(spec):
        raise WrongError(f"{spec!r} is no package of {manager.value}")
    try:
        return ExtraPackage(manager, checked_spec(spec, manager))
    except ValueError as refused:
        raise WrongError(str(refused)) from None


def script_names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = [plain(name) for name in sequence(value)]
    if len(set(names)) != len(names):
        raise WrongError("Each script runs once")
    return tuple(names)
