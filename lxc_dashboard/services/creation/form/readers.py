"""Readers of single fields: each turns text or JSON into a value, or raises ``WrongError``.

Public SSH keys are lines of an ``authorized_keys`` file. Like PVE, ``ssh_keys`` refuses a line that ``ssh-keygen -l``
cannot read. Every user may send keys, so it checks their size first and reads each in one pass.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import RuleError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.spec import ExtraPackage, PackageRef
from lxc_dashboard.services.templates.format.packages import checked_spec
from lxc_dashboard.services.templates.format.tree import is_unicode

T = TypeVar("T")

LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
NODE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
STORAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]")
_VOLID: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]:vztmpl/(?!\.\.?\Z)[^/,]+")
VOLID_MAX_CHARS: Final = 255  # PVE's limit
APPLIANCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
BRIDGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
_TAG: Final = re.compile(r"[a-z0-9_][a-z0-9_.+-]*")
POOL: Final = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,2}")
_PACKAGE: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@/._+:~=<>!,*\[\]^-]*")
DOMAIN_MAX_CHARS: Final = 253
PREFIX_MIN: Final = 8  # PVE's limit for IPv4 and IPv6
_EXAMPLES: Final = {4: "10.0.0.5/24", 6: "fd00::5/64"}
_PARTED: Final = re.compile(r"[,;\s]+")
_INTERFACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,20}(?:[:.][0-9]{1,5})?")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})
HOSTNAME_MAX_CHARS: Final = 64  # Linux's limit: LXC cannot start a container with a longer name
DISK_MAX_GIB: Final = 131_072
PASSWORD_MIN_CHARS: Final = 5  # PVE's limit
PASSWORD_MAX_BYTES: Final = 500  # libcrypt refuses more than 511; PVE has no limit
DESCRIPTION_MAX_CHARS: Final = 7800  # PVE takes 8,192; the dashboard adds a few lines to the notes


class WrongError(Exception):
    """A fault of one field, or faults by part (``0.path``) for a list. Never raised out of this package."""

    def __init__(self, reason: Message | None = None, parts: Mapping[str, Message] | None = None) -> None:
        super().__init__(reason, parts)
        self.reason = reason or Message()
        self.parts = parts or {}


@dataclass
class Form:
    """The input, and its faults by field."""

    raw: Mapping[str, object]
    faults: dict[str, Message] = field(default_factory=dict)

    def take(self, name: str, read: Callable[[object], T], fallback: T) -> T:
        """Read a field. If it is invalid, note the fault and return ``fallback``."""
        try:
            return read(self.raw.get(name))
        except WrongError as wrong:
            parts = {f"{name}.{part}": fault for part, fault in wrong.parts.items()}
            self.faults |= parts or {name: wrong.reason}
            return fallback


def hostname(value: object) -> str:
    """Read a hostname of RFC 1123, at most ``HOSTNAME_MAX_CHARS`` long. Returns lower case."""
    text = plain(value)
    if not text:
        raise WrongError(Message.of(FieldCode.NO_HOSTNAME))
    if len(text) > HOSTNAME_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.HOSTNAME_TOO_LONG, most=HOSTNAME_MAX_CHARS))
    if not all(LABEL.fullmatch(label) for label in text.split(".")):
        raise WrongError(Message.of(FieldCode.BAD_HOSTNAME))
    if text.rpartition(".")[2].isdecimal():
        raise WrongError(Message.of(FieldCode.HOSTNAME_IS_NUMBER))
    return text.lower()


def volid(value: object) -> str:
    """Read the volid of an OS template. Its file may have any name."""
    text = plain(value)
    if not _VOLID.fullmatch(text) or not text.isprintable():
        raise WrongError(Message.of(FieldCode.NO_OSTEMPLATE))
    if len(text) > VOLID_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.OSTEMPLATE_TOO_LONG, most=VOLID_MAX_CHARS))
    return text


def plain(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, (str, int)):
        raise WrongError(Message.of(FieldCode.NO_TEXT))
    text = str(value).strip()
    if "\0" in text or not is_unicode(text):
        raise WrongError(Message.of(FieldCode.UNTYPABLE))
    return text


def matching(pattern: re.Pattern[str], fault: Message) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = plain(value)
        if not pattern.fullmatch(text):
            raise WrongError(fault)
        return text

    return read


def optional(pattern: re.Pattern[str], fault: Message) -> Callable[[object], str]:
    read = matching(pattern, fault)
    return lambda value: read(value) if plain(value) else ""


def number(least: int, most: int, default: int | None = None) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = plain(value) if not isinstance(value, bool) else "?"
        if not text and default is not None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,12}", text):
            raise WrongError(Message.of(FieldCode.NO_NUMBER))
        if not least <= int(text) <= most:
            raise WrongError(Message.of(FieldCode.OUT_OF_RANGE, least=least, most=most))
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
            raise WrongError(Message.of(FieldCode.NO_FLAG))
        return text in _TRUE

    return read


Member = TypeVar("Member", bound=StrEnum)


def one_of(members: Sequence[Member], default: Member) -> Callable[[object], Member]:
    def read(value: object) -> Member:
        text = plain(value)
        found = next((member for member in members if member.value == text), None if text else default)
        if found is None:
            raise WrongError(Message.of(FieldCode.NOT_ONE_OF, choices=members))
        return found

    return read


def sequence(value: object) -> Sequence[object]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise WrongError(Message.of(FieldCode.NO_LIST))
    return value


def tags(value: object) -> tuple[str, ...]:
    parts = re.split(r"[;,\s]+", value) if isinstance(value, str) else sequence(value)
    tags = [plain(part).lower() for part in parts if plain(part)]
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise WrongError(Message.of(FieldCode.BAD_TAG, tag=tag))
    return tuple(dict.fromkeys(tags))


def description(value: object) -> str:
    text = plain(value)
    if len(text) > DESCRIPTION_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.TOO_LONG, most=f"{DESCRIPTION_MAX_CHARS:,}"))
    return text


def password(value: object) -> str:
    """Read a password. The reason of ``WrongError`` never contains it."""
    if not value or not isinstance(value, str):
        raise WrongError(Message.of(FieldCode.NO_PASSWORD))
    if len(value) < PASSWORD_MIN_CHARS:
        raise WrongError(Message.of(FieldCode.PASSWORD_TOO_SHORT, least=PASSWORD_MIN_CHARS))
    if len(value.encode(errors="replace")) > PASSWORD_MAX_BYTES:
        raise WrongError(Message.of(FieldCode.PASSWORD_TOO_LONG, most=PASSWORD_MAX_BYTES))
    if not value.isprintable():
        raise WrongError(Message.of(FieldCode.PASSWORD_UNPRINTABLE))
    return value


def uuid(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    text = plain(value)
    try:
        return UUID(text) if text else None
    except ValueError:
        raise WrongError(Message.of(FieldCode.NO_TEMPLATE)) from None


def each(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    return lambda value: tuple(dict.fromkeys(read(part) for part in sequence(value)))


def _manager(value: object) -> PackageManager:
    text = plain(value)
    if text not in {manager.value for manager in PackageManager}:
        raise WrongError(Message.of(FieldCode.BAD_MANAGER, manager=text))
    return PackageManager(text)


def package_ref(value: object) -> PackageRef:
    """Read a ``PackageRef``, or a mapping with its keys."""
    if isinstance(value, PackageRef):
        return value
    if not isinstance(value, Mapping):
        raise WrongError(Message.of(FieldCode.NO_PACKAGE_REFS))
    return PackageRef(plain(value.get("bucket")), _manager(value.get("manager")), plain(value.get("spec")))


def extra_package(value: object) -> ExtraPackage:
    """Read an ``ExtraPackage``, or a mapping with its keys."""
    if isinstance(value, ExtraPackage):
        value = {"manager": value.manager.value, "spec": value.spec}
    if not isinstance(value, Mapping):
        raise WrongError(Message.of(FieldCode.NO_PACKAGE))
    manager, spec = _manager(value.get("manager")), plain(value.get("spec"))
    if manager is PackageManager.CUSTOM:
        raise WrongError(Message.of(FieldCode.CUSTOM_PACKAGE))
    if not _PACKAGE.fullmatch(spec):
        raise WrongError(Message.of(FieldCode.BAD_PACKAGE, spec=spec, manager=manager.value))
    try:
        return ExtraPackage(manager, checked_spec(spec, manager))
    except RuleError as refused:
        raise WrongError(refused.reason) from None


def script_names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = [plain(name) for name in sequence(value)]
    if len(set(names)) != len(names):
        raise WrongError(Message.of(FieldCode.SCRIPT_TWICE))
    return tuple(names)


def cidr(value: object, version: int) -> str:
    text = plain(value)
    no_cidr = Message.of(FieldCode.NO_CIDR, version=version, example=_EXAMPLES[version])
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise WrongError(no_cidr) from None
    if interface.version != version or "/" not in text or "%" in text:
        raise WrongError(no_cidr)
    network = interface.network
    if network.prefixlen < PREFIX_MIN:
        raise WrongError(Message.of(FieldCode.BAD_PREFIX, least=PREFIX_MIN, most=network.max_prefixlen))
    if network.prefixlen < network.max_prefixlen - 1 and interface.ip == network.network_address:
        raise WrongError(Message.of(FieldCode.NETWORK_ADDRESS))
    if version == 4 and network.prefixlen < 31 and interface.ip == network.broadcast_address:  # noqa: PLR2004
        raise WrongError(Message.of(FieldCode.BROADCAST_ADDRESS))
    return str(interface)


def gateway(value: object, version: int) -> str:
    """Read an address. It may be outside the guest's network, as with some hosting providers."""
    text = plain(value)
    if not text:
        return ""
    try:
        gateway = ipaddress.ip_address(text)
    except ValueError:
        raise WrongError(Message.of(FieldCode.NO_GATEWAY, version=version)) from None
    if gateway.version != version or "%" in text:
        raise WrongError(Message.of(FieldCode.NO_GATEWAY, version=version))
    return str(gateway)


def nameservers(value: object) -> str:
    return " ".join(_nameserver(word) for word in _PARTED.split(plain(value)) if word)


def _nameserver(word: str) -> str:
    """Only a link-local address may name an interface, such as ``fe80::1%eth0``."""
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        raise WrongError(Message.of(FieldCode.BAD_NAMESERVER, word=word)) from None
    text, has_zone, zone = str(address).partition("%")
    if has_zone and not (text.startswith("fe80:") and _INTERFACE.fullmatch(zone)):
        raise WrongError(Message.of(FieldCode.NAMESERVER_ZONE, word=word))
    return text + has_zone + zone


def domains(value: object) -> str:
    words = [word for word in _PARTED.split(plain(value)) if word]
    for word in words:
        if len(word) > DOMAIN_MAX_CHARS or not all(LABEL.fullmatch(label) for label in word.split(".")):
            raise WrongError(Message.of(FieldCode.BAD_DOMAIN, word=word))
    return " ".join(words)


KEYS_MAX: Final = 100
KEY_MAX_CHARS: Final = 16 * 1024
ALL_MAX_CHARS: Final = 128 * 1024  # PVE accepts a body of at most 512 KiB
_RSA_BITS: Final = range(1024, 16_384 + 1)  # OpenSSH's limits
_FORMER: Final = "ssh-dss"
_ED25519_BYTES: Final = 32
_UNCOMPRESSED: Final = b"\x04"
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}


def ssh_keys(value: object) -> tuple[str, ...]:
    """Read keys from a text with one per line, or from a list. Skips comments and empty lines, and repeated keys."""
    lines = [line for line in _lines(value) if not line.startswith("#")]
    if len(lines) > KEYS_MAX:
        raise WrongError(Message.of(FieldCode.TOO_MANY_KEYS, most=KEYS_MAX))
    if any("PRIVATE KEY" in line for line in lines):
        raise WrongError(Message.of(FieldCode.KEY_PRIVATE))
    for number, line in enumerate(lines, 1):
        if len(line) > KEY_MAX_CHARS:
            raise WrongError(Message.of(FieldCode.KEY_TOO_LONG, number=number, most=f"{KEY_MAX_CHARS:,}"))
        if _is_former_kind(line):
            raise WrongError(Message.of(FieldCode.KEY_DSA, number=number))
        if not line.isprintable() or not _is_key(line):
            raise WrongError(Message.of(FieldCode.BAD_KEY, number=number))
    if sum(map(len, lines)) > ALL_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.KEYS_TOO_LONG, most=f"{ALL_MAX_CHARS:,}"))
    return tuple(dict.fromkeys(lines))


def _lines(value: object) -> Iterator[str]:
    parts: Sequence[object] = value.splitlines() if isinstance(value, str) else sequence(value)
    for part in parts:
        if text := plain(part).replace("\t", " "):
            yield text


def _is_key(line: str) -> bool:
    """Whether the line begins with a key, or with options and then a key."""
    return _begins_with_key(line) or _begins_with_key(line[_options_end(line) + 1 :])


def _is_former_kind(line: str) -> bool:
    return any(text.partition(" ")[0] == _FORMER for text in (line, line[_options_end(line) + 1 :]))


def _begins_with_key(text: str) -> bool:
    kind, _, rest = text.partition(" ")
    if kind not in _READERS:
        return False
    encoded = rest.lstrip(" ").partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
        parts = _parts(blob)
        return base64.b64encode(blob).decode() == encoded and parts[0] == kind.encode() and _READERS[kind](parts[1:])
    except (binascii.Error, ValueError, IndexError):
        return False


def _options_end(line: str) -> int:
    """The index of the first space outside quotes, or the line's length."""
    is_quoted = False
    for at, char in enumerate(line):
        if char == " " and not is_quoted:
            return at
        if char == '"' and line[at - 1 : at] != "\\":
            is_quoted = not is_quoted
    return len(line)


def _parts(blob: bytes) -> list[bytes]:
    """Split a key into its fields. Each follows its length in four bytes. Raises ``ValueError`` for a cut key."""
    parts, at = [], 0
    while at < len(blob):
        start = at + 4
        at = start + int.from_bytes(blob[at:start])
        if start > len(blob) or at > len(blob):
            raise ValueError(at)
        parts.append(blob[start:at])
    return parts


def _is_rsa(parts: list[bytes]) -> bool:
    exponent, modulus = map(_positive, parts)
    return exponent > 0 and modulus.bit_length() in _RSA_BITS


def _positive(part: bytes) -> int:
    number = int.from_bytes(part, signed=True)
    if number < 0:
        raise ValueError(number)
    return number


def _is_ed25519(parts: list[bytes]) -> bool:
    (point,) = parts
    return len(point) == _ED25519_BYTES


def _is_sk_ed25519(parts: list[bytes]) -> bool:
    point, application = parts
    return len(point) == _ED25519_BYTES and bool(application)


def _is_sk_ecdsa(parts: list[bytes]) -> bool:
    curve, point, application = parts
    return bool(application) and _on_curve("nistp256")([curve, point])


def _on_curve(name: str) -> Callable[[list[bytes]], bool]:
    def is_key(parts: list[bytes]) -> bool:
        curve, point = parts
        if curve != name.encode() or point[:1] != _UNCOMPRESSED:
            return False
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[name], point)  # raises for a point not on the curve
        return True

    return is_key


_READERS: Final[Mapping[str, Callable[[list[bytes]], bool]]] = {
    "ssh-rsa": _is_rsa,
    "ssh-ed25519": _is_ed25519,
    **{f"ecdsa-sha2-{name}": _on_curve(name) for name in _CURVES},
    "sk-ssh-ed25519@openssh.com": _is_sk_ed25519,
    "sk-ecdsa-sha2-nistp256@openssh.com": _is_sk_ecdsa,
}
