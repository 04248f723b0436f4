"""The keys of ``template.conf`` and their values.

The parser guesses nothing. An invalid value is an error with file, line and key, so that a comment or a typo never makes a
privileged container.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.assignments import (
    CONTROL,
    MAX_CONF_BYTES,
    Assignments,
    read_assignments,
    swallows,
)
from lxc_dashboard.services.templates.format.secrets import find_secrets
from lxc_dashboard.services.templates.format.text import decode, is_unicode, refuse_lines
from lxc_dashboard.services.templates.model import Finding, TemplateConfig

CONF_NAME = "template.conf"
MAX_DESCRIPTION_CHARS = 8_000
MAX_APP_CHARS = 100
MAX_TAGS = 50
MAX_PATH_CHARS = 1_000
MAX_WARNINGS = 50
MAX_SHOWN_CHARS = 60
_TRUE = {"1", "yes", "true"}
_FALSE = {"0", "no", "false"}


def parse_conf(data: bytes, *, file: str = CONF_NAME, app: str = "") -> tuple[TemplateConfig, tuple[Finding, ...]]:
    """Parse the file into its configuration and the warnings about it.

    ``app`` is the fallback for a file that names no application. Raises ``TemplateError`` with ``file`` and line.
    """
    read = read_assignments(data, file)
    values: dict[str, Any] = {"app": app}
    wrong: list[tuple[int, str]] = []
    for key, rule in _KEYS.items():
        assigned = read.values.get(key)
        if assigned is None or not assigned.value:
            continue
        try:
            values[rule.field] = rule.read(assigned.value)
        except ValueError as error:
            wrong.append((assigned.line, f"{key} {error}"))
    if wrong:
        refuse_lines(file, wrong)
    if not values["app"]:
        raise TemplateError(file, 0, "TEMPLATE_APP is missing")
    return TemplateConfig(**values), (*_warnings(read, file), *_secrets(data, file))


def line_of(data: bytes, key: str) -> int:
    """The line that assigns ``key`` in a valid file; 0 where none does."""
    assigned = read_assignments(data, CONF_NAME).values.get(key)
    return assigned.line if assigned else 0


def check_config(config: TemplateConfig) -> tuple[TemplateConfig, dict[str, str]]:
    """Validate a configuration: as a file with these values would be read, and the faults by field."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for rule in _KEYS.values():
        text = _as_text(getattr(config, rule.field))
        try:
            values[rule.field] = rule.read(_writable(text)) if text else _MISSING[rule.field]
        except ValueError as error:
            wrong[rule.field] = str(error)
    if not config.app.strip():
        wrong["app"] = "is missing"
    return (config if wrong else TemplateConfig(**values)), wrong


def _secrets(data: bytes, file: str) -> tuple[Finding, ...]:
    found = find_secrets(decode(data, file, MAX_CONF_BYTES))
    return tuple(Finding(file, secret.line, secret.message) for secret in found)


def _writable(value: str) -> str:
    """The value as a file would give it back when it stands in quotes.

    Raises ``ValueError`` for a value that no file can hold.
    """
    value = value.replace("\r\n", "\n")
    control = CONTROL.search(value)
    if control:
        raise ValueError(f"must not hold the control character {control.group()!r}")
    if not is_unicode(value):
        raise ValueError("must be Unicode text")
    return value


def _as_text(value: str | int | bool | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ";".join(value)
    return str(int(value)) if isinstance(value, int) else value


def _warnings(read: Assignments, file: str) -> tuple[Finding, ...]:
    found = [
        Finding(file, line, f"{name} is assigned again: the last one counts")
        for name, line in read.repeated[:MAX_WARNINGS]
        if name in _KEYS
    ]
    ignored = [
        (name, assigned.line)
        for name, assigned in read.values.items()
        if name not in _KEYS and (name not in read.used or name.startswith("TEMPLATE_"))
    ]
    found += [
        Finding(file, assigned.line, f"{name} holds another assignment: is its quote closed where it should be?")
        for name, assigned in read.values.items()
        if name in _KEYS and swallows(assigned.value)
    ]
    for name, line in ignored[:MAX_WARNINGS]:
        meant = _meant(name[:100].upper())
        hint = f": is {meant} meant?" if meant else ""
        found.append(Finding(file, line, f"{name[:100]} is no key of a template and is ignored{hint}"))
    return tuple(sorted(found, key=lambda finding: finding.line))


def _meant(name: str) -> str:
    """The key that ``name`` (in capitals) probably stands for; empty where there is none."""
    if name in _KEYS:
        return name
    key = _OTHER_NAMES.get(name.removeprefix("TEMPLATE_").removeprefix("VAR_"))
    close = [f"TEMPLATE_{key}"] if key else difflib.get_close_matches(name, _KEYS, n=1, cutoff=0.8)
    return close[0] if close else ""


@dataclass(frozen=True, slots=True)
class _Key:
    """``read`` raises ``ValueError`` with the text that follows the key's name in the error."""

    field: str
    read: Callable[[str], Any]


def _shown(value: str) -> str:
    return repr(value if len(value) <= MAX_SHOWN_CHARS else value[:MAX_SHOWN_CHARS] + "...")


def _flag(value: str) -> bool:
    lowered = value.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(f"must be 0 or 1 (or no, yes, false, true), not {_shown(value)}")


def _number(lowest: int, highest: int, unit: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"must be a whole number of {unit} from {lowest} to {highest}, not {_shown(value)}")
        return int(value)

    return read


def _matching(pattern: str, what: str, *, lowered: bool = False) -> Callable[[str], str]:
    def read(value: str) -> str:
        value = value.lower() if lowered else value
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {what}, not {_shown(value)}")
        return value

    return read


def _app(value: str) -> str:
    if "\n" in value or len(value) > MAX_APP_CHARS or not value.strip():
        raise ValueError(f"must be one line of at most {MAX_APP_CHARS} characters, not {_shown(value)}")
    return value.strip()


def _description(value: str) -> str:
    if len(value) > MAX_DESCRIPTION_CHARS:
        raise ValueError(f"must be at most {MAX_DESCRIPTION_CHARS} characters long, not {len(value)}")
    return value.strip()


def _tags(value: str) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag.strip() for tag in value.split(";") if tag.strip()))
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must hold at most {MAX_TAGS} tags, not {len(tags)}")
    for tag in tags:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_+.\-]{0,62}", tag):
            raise ValueError(f"must hold tags of letters, digits and _ + . -, separated by ;, not {_shown(tag)}")
    return tags


def _config_path(value: str) -> str:
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if len(value) > MAX_PATH_CHARS:
        raise ValueError(f"must be at most {MAX_PATH_CHARS:,} characters long, not {len(value):,}")
    if value.startswith("/") or ".." in parts or "\n" in value or "\\" in value:
        raise ValueError(f"must be a path below the root of the templates, not {_shown(value)}")
    return "/".join(parts)


_KEYS = {
    "TEMPLATE_APP": _Key("app", _app),
    "TEMPLATE_TAGS": _Key("tags", _tags),
    "TEMPLATE_DESCRIPTION": _Key("description", _description),
    "TEMPLATE_CONFIG_PATH": _Key("config_path", _config_path),
    "TEMPLATE_CPU": _Key("cpu", _number(1, 8192, "cores")),
    "TEMPLATE_RAM": _Key("ram_mib", _number(16, 16 << 20, "MiB")),
    "TEMPLATE_DISK": _Key("disk_gib", _number(1, 128 << 10, "GiB")),
    "TEMPLATE_SWAP": _Key("swap_mib", _number(0, 16 << 20, "MiB")),
    "TEMPLATE_OS": _Key(
        "os", _matching(r"[a-z][a-z0-9_\-]{0,31}", "the name of a distribution such as debian", lowered=True)
    ),
    "TEMPLATE_VERSION": _Key("version", _matching(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,31}", "a version such as 13")),
    "TEMPLATE_STORAGE": _Key("storage", _matching(r"[A-Za-z][A-Za-z0-9._\-]{0,98}[A-Za-z0-9]", "a storage's name")),
    "TEMPLATE_BRIDGE": _Key("bridge", _matching(r"[A-Za-z][A-Za-z0-9._\-]{0,14}", "a bridge's name such as vmbr0")),
    "TEMPLATE_UNPRIVILEGED": _Key("unprivileged", _flag),
    "TEMPLATE_NESTING": _Key("nesting", _flag),
    "TEMPLATE_KEYCTL": _Key("keyctl", _flag),
    "TEMPLATE_FUSE": _Key("fuse", _flag),
    "TEMPLATE_NETWORK": _Key("network", _flag),
}
# The names that other tools use.
_OTHER_NAMES = {
    **{key.removeprefix("TEMPLATE_"): key.removeprefix("TEMPLATE_") for key in _KEYS},
    **dict.fromkeys(("CORE", "CORES", "CPUS"), "CPU"),
    **dict.fromkeys(("MEM", "MEMORY"), "RAM"),
    **dict.fromkeys(("HDD", "ROOTFS", "DISK_SIZE"), "DISK"),
    **dict.fromkeys(("NAME", "TITLE"), "APP"),
    "DISTRO": "OS",
    "BRG": "BRIDGE",
}
_MISSING = {known.name: known.default for known in fields(TemplateConfig)} | {"app": ""}
