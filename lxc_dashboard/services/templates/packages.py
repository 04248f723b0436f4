"""Package lists: one package a line, with comments."""

from __future__ import annotations

import re

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.model import MAX_TIMEOUT_S, PACKAGE_TIMEOUT_S, Bucket, Finding, PackageEntry
from lxc_dashboard.services.templates.package_names import package_name, without_logins
from lxc_dashboard.services.templates.text import decode, refuse_lines
from lxc_dashboard.services.templates.tree import check_file_name

MAX_LIST_BYTES = 256 << 10
MAX_PACKAGES = 2_000
MAX_SPEC_CHARS = 255
MAX_COMMAND_CHARS = 8_000
MAX_BUCKET_NAME_CHARS = 63

_COMMENT = re.compile(r"(^|\s)#.*$")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# A comment in a custom package starts where bash would start one: not inside quotes, not behind a backslash.
_CUSTOM_CODE = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<!\s)\#|[^\#])*""")
_CUSTOM_FIELD = re.compile(r"((?:\\.|[^|\\])*)\|")
# A pipe into it would do nothing but hide that the command before it failed.
_OTHER_TIMEOUT = re.compile(r"\|\s*(time_?out\w{0,20})\s*[=:]\s*[^\s|]*$", re.IGNORECASE)
# What a shell or a list of another make would understand, and what cannot be seen.
_NO_PART_OF_A_NAME = re.compile(r"[^\x21-\x7e]|[#;&|`\"'\\,]|\$(?=[({A-Za-z_])")
_OF_DISTRIBUTIONS = frozenset({PackageManager.APT, PackageManager.APK, PackageManager.DNF})
# A requirement of pip may have blanks in it, and a custom package is called as its author likes.
_OF_WORDS = frozenset({PackageManager.PIP, PackageManager.CUSTOM})
# Blanks stand in one part of it alone: in two, each way to share them out would be tried.
_CUSTOM_TIMEOUT = re.compile(r"\|\s*timeout_s\s*=([^|]*)$")


def parse_packages(name: str, manager: PackageManager, data: bytes, file: str) -> tuple[Bucket, tuple[Finding, ...]]:
    """The bucket ``name`` and the warnings about it. Raises ``TemplateError`` with ``file`` and line."""
    packages: dict[str, PackageEntry] = {}
    names: dict[str, tuple[str, int]] = {}
    warnings: list[Finding] = []
    wrong: list[tuple[int, str]] = []
    for number, line in enumerate(decode(data, file, MAX_LIST_BYTES).split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            package = read_line(line, manager)
        except ValueError as error:
            wrong.append((number, without_logins(str(error))))
            continue
        spec = package.spec
        before, first = names.setdefault(package_name(spec, manager), (spec, number))
        said = ""
        if spec in packages:
            said = f"{spec} is listed twice: the first one counts"
        elif before != spec:
            said = f"{spec} is in line {first} already, as {before}: keep one of the two"
        warnings += [Finding(file, number, without_logins(said))] if said else []
        packages.setdefault(spec, package)
        if len(packages) > MAX_PACKAGES:
            raise TemplateError(file, number, f"holds more than {MAX_PACKAGES:,} packages")
    if wrong:
        refuse_lines(file, wrong)
    return Bucket(name, manager, tuple(packages.values())), tuple(warnings)


def read_line(line: str, manager: PackageManager) -> PackageEntry:
    """What one line of a list says, which is neither blank nor a comment. Raises ``ValueError`` with a sentence."""
    return _custom(line, manager) if manager is PackageManager.CUSTOM else _plain(line, manager)


def written(package: PackageEntry, manager: PackageManager) -> str:
    """The line that ``read_line`` reads as ``package``. Raises ``ValueError`` with a sentence where there is none."""
    for line in _candidates(package, manager):
        if read_line(line, manager) == package and line.strip() and not line.lstrip().startswith("#"):
            return line
    raise ValueError(f"{package.spec!r} cannot stand in one line of a list: what follows a # would be a comment there")


def _candidates(package: PackageEntry, manager: PackageManager) -> tuple[str, ...]:
    if manager is not PackageManager.CUSTOM:
        return (package.spec,)
    name, check = (text.replace("|", "\\|") for text in (package.spec, package.check))
    # A blank keeps a backslash at the end of a field from the | behind it.
    lines = [f"{name}{parted}{check}{parted}{package.install}" for parted in ("|", " |")]
    timed = tuple(f"{line}|timeout_s={package.timeout_s}" for line in lines)
    return (*lines, *timed) if package.timeout_s == PACKAGE_TIMEOUT_S else timed


def check_bucket_name(name: str) -> None:
    """Raises ``ValueError`` for what no list can be called."""
    check_file_name(name)
    if name.startswith(".") or len(name) > MAX_BUCKET_NAME_CHARS:
        raise ValueError(f"needs a name of at most {MAX_BUCKET_NAME_CHARS} characters, the first no dot")


def check_bucket(bucket: Bucket) -> None:
    """Raises ``ValueError``, with a sentence, for what no list can say."""
    check_bucket_name(bucket.name)
    if len(bucket.packages) > MAX_PACKAGES:
        raise ValueError(f"holds more than {MAX_PACKAGES:,} packages")
    seen: set[str] = set()
    length = 0
    for package in bucket.packages:
        length += len(written(package, bucket.manager).encode()) + 1
        if package.spec in seen:
            raise ValueError(f"{package.spec} is listed twice")
        seen.add(package.spec)
    if length > MAX_LIST_BYTES:
        raise ValueError(f"is longer than the {MAX_LIST_BYTES:,} bytes that are read")


def _plain(line: str, manager: PackageManager) -> PackageEntry:
    return PackageEntry(checked_spec(_COMMENT.sub("", line).strip(), manager))


def checked_spec(spec: str, manager: PackageManager) -> str:
    """Raises ``ValueError`` with a sentence where it is no package, or more than one."""
    if len(spec) > MAX_SPEC_CHARS or _CONTROL.search(spec):
        raise ValueError(f"a package is at most {MAX_SPEC_CHARS} characters of plain text")
    if spec.startswith("-"):
        raise ValueError(f"{spec} is an option, and only packages stand here")
    if manager is PackageManager.APT and spec.endswith("-"):
        raise ValueError(f"{spec} would remove a package: apt reads a - at the end so")
    if manager is PackageManager.APK and spec.startswith("!"):
        raise ValueError(f"{spec} would remove a package: apk reads a ! at the beginning so")
    if manager is PackageManager.PIP and re.search(r"\s-", spec):
        raise ValueError(f"{spec} holds an option, and only packages stand here")
    grouped = manager is PackageManager.DNF and spec.startswith("@")
    if not grouped and manager not in _OF_WORDS and re.search(r"\s", spec):
        raise ValueError(f"{spec!r} is more than one word: one package a line")
    _check_characters(spec, grouped or manager not in _OF_DISTRIBUTIONS)
    return spec


def _check_characters(spec: str, is_free: bool) -> None:
    """``is_free``: an address may be in it, a condition, or words."""
    if is_free:
        unseen = next((char for char in spec if not char.isprintable()), "")
    else:
        found = _NO_PART_OF_A_NAME.search(spec)
        unseen = found.group() if found else ""
    if unseen:
        hint = ": a comment starts behind a blank" if unseen == "#" else ""
        raise ValueError(f"{spec!r} holds {unseen!a}, which no package has in its name{hint}")


def _custom(line: str, manager: PackageManager) -> PackageEntry:
    r"""``name|check|install[|timeout_s=300]``. A | of ``check`` is written ``\|``; ``install`` may hold any."""
    code = _CUSTOM_CODE.match(line)
    rest = (code.group() if code else line).strip()
    fields = []
    for _ in range(2):
        field = _CUSTOM_FIELD.match(rest)
        if not field:
            raise ValueError("a custom package is name|check|install, and timeout_s=SECONDS behind another | if needed")
        fields.append(field.group(1).replace("\\|", "|").strip())
        rest = rest[field.end() :]
    timeout = _CUSTOM_TIMEOUT.search(rest)
    install = (rest[: timeout.start()] if timeout else rest).strip()
    name, check = fields
    other = None if timeout else _OTHER_TIMEOUT.search(rest)
    if other:
        raise ValueError(f"{other.group(1)} is no setting of a custom package: write timeout_s=SECONDS")
    empty = [part for part, said in (("name", name), ("check", check), ("install", install)) if not said]
    if empty:
        raise ValueError(f"a custom package needs a name, a check and an install command: {empty[0]} is empty")
    if len(line) > MAX_COMMAND_CHARS or _CONTROL.search(line):
        raise ValueError(f"a custom package is at most {MAX_COMMAND_CHARS} characters of plain text")
    seconds = parse_seconds(timeout.group(1), "timeout_s") if timeout else PACKAGE_TIMEOUT_S
    return PackageEntry(checked_spec(name, manager), check, install, seconds)


def parse_seconds(text: str, name: str = "a timeout") -> int:
    """A timeout, which is called ``name``. Raises ``ValueError`` with a sentence."""
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()) or not 1 <= int(text) <= MAX_TIMEOUT_S:
        raise ValueError(f"{name} is a whole number of seconds from 1 to {MAX_TIMEOUT_S}, not {text.strip()[:40]!r}")
    return int(text)
