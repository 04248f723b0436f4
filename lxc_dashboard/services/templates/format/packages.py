"""Package lists (one package a line, with comments), their managers, and the names of packages."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.tree import check_file_name, decode, refuse_lines
from lxc_dashboard.services.templates.model import MAX_TIMEOUT_S, PACKAGE_TIMEOUT_S, Bucket, Finding, PackageEntry

SYSTEM_MANAGERS: Final = {
    PackageManager.APT: ("debian", "ubuntu", "devuan", "turnkey", "proxmox"),
    PackageManager.APK: ("alpine",),
    PackageManager.DNF: ("fedora", "almalinux", "rockylinux", "centos", "openeuler"),
}
# Known systems whose package manager no list supports.
OTHER_SYSTEMS: Final = frozenset({"arch", "archlinux", "gentoo", "nixos", "opensuse", "slackware", "void", "voidlinux"})


def unfit(os_family: str, managers: Iterable[PackageManager]) -> tuple[PackageManager, ...]:
    """The ``managers`` that belong to another system, by name.

    Empty if ``os_family`` (``debian``) is unknown.
    """
    fitting = {manager for manager, families in SYSTEM_MANAGERS.items() if os_family in families}
    foreign = SYSTEM_MANAGERS.keys() - fitting if fitting or os_family in OTHER_SYSTEMS else set()
    return tuple(sorted(foreign & set(managers)))


def is_known(os_family: str) -> bool:
    """Whether ``os_family`` is the name of a known distribution."""
    return os_family in OTHER_SYSTEMS or any(os_family in families for families in SYSTEM_MANAGERS.values())


MAX_LIST_BYTES = 256 << 10
MAX_PACKAGES = 2_000
MAX_SPEC_CHARS = 255
MAX_COMMAND_CHARS = 8_000
MAX_BUCKET_NAME_CHARS = 63
_TOO_MANY: Final = Message.of(FormatCode.TOO_MANY_PACKAGES, most=f"{MAX_PACKAGES:,}")

_COMMENT = re.compile(r"(^|\s)#.*$")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# As in bash, a comment of a custom package starts outside quotes and not after a backslash.
_CUSTOM_CODE = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<!\s)\#|[^\#])*""")
_CUSTOM_FIELD = re.compile(r"((?:\\.|[^|\\])*)\|")
# A misspelt timeout. It cannot be part of the command: a pipe into this word would hide a failure.
_OTHER_TIMEOUT = re.compile(r"\|\s*(time_?out\w{0,20})\s*[=:]\s*[^\s|]*$", re.IGNORECASE)
# Characters of a shell or of another list format, and invisible ones.
_NO_PART_OF_A_NAME = re.compile(r"[^\x21-\x7e]|[#;&|`\"'\\,]|\$(?=[({A-Za-z_])")
_OF_DISTRIBUTIONS = frozenset({PackageManager.APT, PackageManager.APK, PackageManager.DNF})
# A requirement of pip may contain blanks, and the name of a custom package is free text.
_OF_WORDS = frozenset({PackageManager.PIP, PackageManager.CUSTOM})
# Only one part may match blanks: with two, the matcher would try every way to split them.
_CUSTOM_TIMEOUT = re.compile(r"\|\s*timeout_s\s*=([^|]*)$")


def parse_packages(name: str, manager: PackageManager, data: bytes, file: str) -> tuple[Bucket, tuple[Finding, ...]]:
    """Parse a list; return the bucket ``name`` and its warnings.

    Raises ``TemplateError`` with ``file`` and line.
    """
    packages: dict[str, PackageEntry] = {}
    names: dict[str, tuple[str, int]] = {}
    warnings: list[Finding] = []
    wrong: list[tuple[int, Message]] = []
    for number, line in enumerate(decode(data, file, MAX_LIST_BYTES).split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            package = read_line(line, manager)
        except RuleError as error:
            wrong.append((number, error.reason))
            continue
        spec, shown = package.spec, without_logins(package.spec)
        before, first = names.setdefault(package_name(spec, manager), (spec, number))
        if spec in packages:
            warnings.append(Finding(file, number, Message.of(FormatCode.PACKAGE_REPEATED, spec=shown)))
        elif before != spec:
            other = without_logins(before)
            message = Message.of(FormatCode.PACKAGE_REPEATED_AS, spec=shown, line=first, before=other)
            warnings.append(Finding(file, number, message))
        packages.setdefault(spec, package)
        if len(packages) > MAX_PACKAGES:
            raise TemplateError(file, number, _TOO_MANY)
    if wrong:
        refuse_lines(file, wrong)
    return Bucket(name, manager, tuple(packages.values())), tuple(warnings)


def read_line(line: str, manager: PackageManager) -> PackageEntry:
    """Parse a line that is neither blank nor a comment. Raises ``RuleError``."""
    return _custom(line, manager) if manager is PackageManager.CUSTOM else _plain(line, manager)


def written(package: PackageEntry, manager: PackageManager) -> str:
    """The line that ``read_line`` reads as ``package``. Raises ``RuleError`` if there is none."""
    for line in _candidates(package, manager):
        if read_line(line, manager) == package and line.strip() and not line.lstrip().startswith("#"):
            return line
    raise RuleError(Message.of(FormatCode.PACKAGE_UNWRITABLE, spec=repr(without_logins(package.spec))))


def _candidates(package: PackageEntry, manager: PackageManager) -> tuple[str, ...]:
    if manager is not PackageManager.CUSTOM:
        return (package.spec,)
    name, check = (text.replace("|", "\\|") for text in (package.spec, package.check))
    # A blank separates a backslash at the end of a field from the | after it.
    lines = [f"{name}{separator}{check}{separator}{package.install}" for separator in ("|", " |")]
    timed = tuple(f"{line}|timeout_s={package.timeout_s}" for line in lines)
    return (*lines, *timed) if package.timeout_s == PACKAGE_TIMEOUT_S else timed


def check_bucket_name(name: str) -> None:
    """Raises ``RuleError`` for an invalid name of a list."""
    check_file_name(name)
    if name.startswith(".") or len(name) > MAX_BUCKET_NAME_CHARS:
        raise RuleError(Message.of(FormatCode.BAD_LIST_NAME, most=MAX_BUCKET_NAME_CHARS))


def check_bucket(bucket: Bucket) -> None:
    """Raises ``RuleError`` for a bucket that no list can hold."""
    check_bucket_name(bucket.name)
    if len(bucket.packages) > MAX_PACKAGES:
        raise RuleError(_TOO_MANY)
    seen: set[str] = set()
    length = 0
    for package in bucket.packages:
        length += len(written(package, bucket.manager).encode()) + 1
        if package.spec in seen:
            raise RuleError(Message.of(FormatCode.PACKAGE_TWICE, spec=without_logins(package.spec)))
        seen.add(package.spec)
    if length > MAX_LIST_BYTES:
        raise RuleError(Message.of(FormatCode.LONG_LIST, most=f"{MAX_LIST_BYTES:,}"))


def _plain(line: str, manager: PackageManager) -> PackageEntry:
    return PackageEntry(checked_spec(_COMMENT.sub("", line).strip(), manager))


def checked_spec(spec: str, manager: PackageManager) -> str:
    """Return ``spec``. Raises ``RuleError`` unless it is exactly one package."""
    if len(spec) > MAX_SPEC_CHARS or _CONTROL.search(spec):
        raise RuleError(Message.of(FormatCode.LONG_PACKAGE, most=MAX_SPEC_CHARS))
    shown = without_logins(spec)
    if spec.startswith("-"):
        raise RuleError(Message.of(FormatCode.PACKAGE_OPTION, spec=shown))
    if manager is PackageManager.APT and spec.endswith("-"):
        raise RuleError(Message.of(FormatCode.APT_REMOVES, spec=shown))
    if manager is PackageManager.APK and spec.startswith("!"):
        raise RuleError(Message.of(FormatCode.APK_REMOVES, spec=shown))
    if manager is PackageManager.PIP and re.search(r"\s-", spec):
        raise RuleError(Message.of(FormatCode.PACKAGE_WITH_OPTION, spec=shown))
    grouped = manager is PackageManager.DNF and spec.startswith("@")
    if not grouped and manager not in _OF_WORDS and re.search(r"\s", spec):
        raise RuleError(Message.of(FormatCode.PACKAGE_WORDS, spec=repr(shown)))
    _check_characters(spec, grouped or manager not in _OF_DISTRIBUTIONS)
    return spec


def _check_characters(spec: str, is_free: bool) -> None:
    """``is_free``: the spec may hold an address, a condition or words."""
    if is_free:
        unseen = next((char for char in spec if not char.isprintable()), "")
    else:
        found = _NO_PART_OF_A_NAME.search(spec)
        unseen = found.group() if found else ""
    if unseen == "#":
        raise RuleError(Message.of(FormatCode.PACKAGE_COMMENT, spec=repr(without_logins(spec))))
    if unseen:
        invalid = Message.of(FormatCode.PACKAGE_CHARACTER, spec=repr(without_logins(spec)), character=ascii(unseen))
        raise RuleError(invalid)


def _custom(line: str, manager: PackageManager) -> PackageEntry:
    r"""Parse ``name|check|install[|timeout_s=300]``. A | in ``check`` is written ``\|``; ``install`` may hold any."""
    code = _CUSTOM_CODE.match(line)
    rest = (code.group() if code else line).strip()
    fields = []
    for _ in range(2):
        field = _CUSTOM_FIELD.match(rest)
        if not field:
            raise RuleError(Message.of(FormatCode.CUSTOM_FIELDS))
        fields.append(field.group(1).replace("\\|", "|").strip())
        rest = rest[field.end() :]
    timeout = _CUSTOM_TIMEOUT.search(rest)
    install = (rest[: timeout.start()] if timeout else rest).strip()
    name, check = fields
    other = None if timeout else _OTHER_TIMEOUT.search(rest)
    if other:
        raise RuleError(Message.of(FormatCode.CUSTOM_SETTING, name=other.group(1)))
    empty = [part for part, value in (("name", name), ("check", check), ("install", install)) if not value]
    if empty:
        raise RuleError(Message.of(FormatCode.CUSTOM_EMPTY, part=empty[0]))
    if len(line) > MAX_COMMAND_CHARS or _CONTROL.search(line):
        raise RuleError(Message.of(FormatCode.LONG_CUSTOM, most=MAX_COMMAND_CHARS))
    seconds = parse_seconds(timeout.group(1), "timeout_s") if timeout else PACKAGE_TIMEOUT_S
    return PackageEntry(checked_spec(name, manager), check, install, seconds)


def parse_seconds(text: str, name: str = "") -> int:
    """Parse the timeout ``text``. ``name``: how messages call it. Raises ``RuleError``."""
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()) or not 1 <= int(text) <= MAX_TIMEOUT_S:
        value = repr(text.strip()[:40])
        if name:
            raise RuleError(Message.of(FormatCode.BAD_SECONDS_OF, name=name, most=MAX_TIMEOUT_S, value=value))
        raise RuleError(Message.of(FormatCode.BAD_SECONDS, most=MAX_TIMEOUT_S, value=value))
    return int(text)


# An address may have a password before its @, which must not reach a note, a log or the audit.
_LOGIN = re.compile(r"://[^/\s@]*@")
_APT = re.compile(r"[=/]")
_APK = re.compile(r"[<>=~@]")
# A version of RPM begins with a digit and has a dot or a star. So java-17-openjdk is a name.
_DNF = re.compile(r"(.+?)-(?:\d+:)?\d[^-\s]*[.*][^-\s]*(?:-[\d*][^-\s]*)?")
_NPM = re.compile(r"((?:@[^/@\s]+/)?[^@/:\s#]+)(?:@.*)?", re.DOTALL)
_PIP = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?=[\s\[(@<>=!~;,]|$)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


def without_logins(text: str) -> str:
    """``text`` without the credentials of its addresses, safe to show and to log."""
    return _LOGIN.sub("://…@", text)


def package_name(spec: str, manager: PackageManager) -> str:
    """The package without its version: ``nginx`` of ``nginx=1.26.3-3``.

    It includes an architecture (``libc6:i386``) and a marker of pip (``; python_version < '3.9'``).
    """
    return _NAMES[manager](spec)


def _apt_name(spec: str) -> str:
    return _APT.split(spec, maxsplit=1)[0]


def _apk_name(spec: str) -> str:
    return _APK.split(spec, maxsplit=1)[0]


def _dnf_name(spec: str) -> str:
    if spec.startswith("@"):
        return " ".join(spec.casefold().split())
    if "/" in spec:
        return spec
    versioned = _DNF.fullmatch(spec)
    return versioned.group(1) if versioned else re.split(r"[<>=]", spec, maxsplit=1)[0]


def _npm_name(spec: str) -> str:
    named = _NPM.fullmatch(spec)
    return named.group(1) if named else spec.partition("#")[0]


def _pip_name(spec: str) -> str:
    named = _PIP.match(spec) or _EGG.search(spec)
    if named is None:
        return spec.partition("#")[0]
    name = re.sub(r"[-_.]+", "-", named.group(1)).lower()
    marker = "".join(spec.partition(";")[2].split())
    return f"{name} ; {marker}" if marker else name


def _custom_name(spec: str) -> str:
    return spec


_NAMES: Final[dict[PackageManager, Callable[[str], str]]] = {
    PackageManager.APT: _apt_name,
    PackageManager.APK: _apk_name,
    PackageManager.DNF: _dnf_name,
    PackageManager.NPM: _npm_name,
    PackageManager.PIP: _pip_name,
    PackageManager.CUSTOM: _custom_name,
}


MAX_FAULTS: Final = 50
# A list with CRLF line ends becomes shorter when it is stored.
MAX_TYPED_CHARS: Final = 2 * MAX_LIST_BYTES

_BOM: Final = codecs.BOM_UTF8.decode()


@dataclass(frozen=True, slots=True)
class Fault:
    """An error in a line, numbered from 1. ``line`` 0: an error of the whole list."""

    line: int
    message: Message

    @property
    def reason(self) -> Message:
        """The message with its line."""
        return Message.of(FormatCode.LINE, line=self.line, reason=self.message) if self.line else self.message


@dataclass(frozen=True, slots=True)
class Listing:
    """A parsed list. ``text`` is stored: LF line ends, no byte order mark. ``packages`` are valid only without ``faults``."""

    text: str
    packages: tuple[PackageEntry, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_listing(name: str, manager: PackageManager, text: str) -> Listing:
    """Parse a list that a user typed or pasted, and find all of its faults.

    A package may appear only once, with any version, because the parser cannot know which of two lines counts.
    """
    kept = _unix(text.replace(_BOM, "")) if len(text) <= MAX_TYPED_CHARS else text
    data = kept.encode("utf-8", "surrogatepass")
    file = f"{name}.{manager.value}"
    if len(data) > MAX_LIST_BYTES:
        return Listing("", faults=(Fault(0, Message.of(FormatCode.LONG_TYPED_LIST, most=MAX_LIST_BYTES >> 10)),))
    faults = _faults(manager, kept, file)
    if not faults:
        try:
            return Listing(kept, parse_packages(name, manager, data, file)[0].packages)
        except TemplateError as error:
            faults = [Fault(error.line, error.why)]
    return Listing(kept, faults=tuple(faults[:MAX_FAULTS]))


def _unix(text: str) -> str:
    """``text`` with LF line ends. Not with a regular expression, which takes quadratic time for a text of CRs."""
    *lines, last = text.split("\n")
    return "\n".join([*(line.rstrip("\r") for line in lines), last])


def _faults(manager: PackageManager, text: str, file: str) -> list[Fault]:
    """Find at most ``MAX_FAULTS``, since the list is checked whenever the user pauses typing."""
    found: list[Fault] = []
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if len(found) >= MAX_FAULTS:
            break
        if len(seen) > MAX_PACKAGES:
            return [*found, Fault(number - 1, _TOO_MANY)]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            bucket, _ = parse_packages("", manager, line.encode("utf-8", "surrogatepass"), file)
        except TemplateError as error:
            found.append(Fault(number, error.why))
            continue
        for package in bucket.packages:
            name = package_name(package.spec, manager)
            first, spec = seen.setdefault(name, (number, package.spec))
            if first != number:
                found.append(Fault(number, _twice(name, package.spec, spec, first)))
    return found


def _twice(name: str, spec: str, before: str, line: int) -> Message:
    name, spec, before = map(without_logins, (name, spec, before))
    if spec == before:
        return Message.of(FormatCode.PACKAGE_ALSO_IN, spec=spec, line=line)
    return Message.of(FormatCode.PACKAGE_ALSO_IN_AS, name=name, line=line, before=before)
