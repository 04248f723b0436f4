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

from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.assignments import (
    CONTROL,
    MAX_CONF_BYTES,
    Assignments,
    read_assignments,
    swallows,
)
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.secrets import find_secrets
from lxc_dashboard.services.templates.format.tree import decode, is_unicode, refuse_lines
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
    """Parse the file; return its configuration and warnings.

    ``app`` is the fallback for a file that names no application. Raises ``TemplateError`` with ``file`` and line.
    """
    read = read_assignments(data, file)
    values: dict[str, Any] = {"app": app}
    wrong: list[tuple[int, Message]] = []
    for key, rule in _KEYS.items():
        assigned = read.values.get(key)
        if assigned is None or not assigned.value:
            continue
        try:
            values[rule.field] = rule.read(assigned.value)
        except RuleError as error:
            wrong.append((assigned.line, Message.of(FormatCode.OF_KEY, key=key, reason=error.reason)))
    if wrong:
        refuse_lines(file, wrong)
    if not values["app"]:
        missing = Message.of(FormatCode.MISSING)
        raise TemplateError(file, 0, Message.of(FormatCode.OF_KEY, key="TEMPLATE_APP", reason=missing))
    return TemplateConfig(**values), (*_warnings(read, file), *_secrets(data, file))


def line_of(data: bytes, key: str) -> int:
    """The line that assigns ``key`` in a valid file; 0 if there is none."""
    assigned = read_assignments(data, CONF_NAME).values.get(key)
    return assigned.line if assigned else 0


def check_config(config: TemplateConfig) -> tuple[TemplateConfig, dict[str, Message]]:
    """Validate a configuration: return it as a file with these values would be read, and the faults by field."""
    values: dict[str, Any] = {}
    wrong: dict[str, Message] = {}
    for rule in _KEYS.values():
        text = _as_text(getattr(config, rule.field))
        try:
            values[rule.field] = rule.read(_writable(text)) if text else _MISSING[rule.field]
        except RuleError as error:
            wrong[rule.field] = error.reason
    if not config.app.strip():
        wrong["app"] = Message.of(FormatCode.MISSING)
    return (config if wrong else TemplateConfig(**values)), wrong


def _secrets(data: bytes, file: str) -> tuple[Finding, ...]:
    found = find_secrets(decode(data, file, MAX_CONF_BYTES))
    return tuple(Finding(file, secret.line, secret.message) for secret in found)


def _writable(value: str) -> str:
    """The value as it is read back from a file that has it in quotes.

    Raises ``RuleError`` for a value that no file can hold.
    """
    value = value.replace("\r\n", "\n")
    control = CONTROL.search(value)
    if control:
        raise RuleError(Message.of(FormatCode.CONTROL_CHARACTER, character=repr(control.group())))
    if not is_unicode(value):
        raise RuleError(Message.of(FormatCode.NO_UNICODE))
    return value


def _as_text(value: str | int | bool | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ";".join(value)
    return str(int(value)) if isinstance(value, int) else value


def _warnings(read: Assignments, file: str) -> tuple[Finding, ...]:
    found = [
        Finding(file, line, Message.of(FormatCode.KEY_REPEATED, name=name))
        for name, line in read.repeated[:MAX_WARNINGS]
        if name in _KEYS
    ]
    ignored = [
        (name, assigned.line)
        for name, assigned in read.values.items()
        if name not in _KEYS and (name not in read.used or name.startswith("TEMPLATE_"))
    ]
    found += [
        Finding(file, assigned.line, Message.of(FormatCode.KEY_SWALLOWS, name=name))
        for name, assigned in read.values.items()
        if name in _KEYS and swallows(assigned.value)
    ]
    for name, line in ignored[:MAX_WARNINGS]:
        shown, meant = name[:100], _meant(name[:100].upper())
        if meant:
            found.append(Finding(file, line, Message.of(FormatCode.KEY_MISSPELT, name=shown, meant=meant)))
        else:
            found.append(Finding(file, line, Message.of(FormatCode.KEY_UNKNOWN, name=shown)))
    return tuple(sorted(found, key=lambda finding: finding.line))


def _meant(name: str) -> str:
    """The key that ``name`` (in capitals) probably means; empty if there is none."""
    if name in _KEYS:
        return name
    key = _OTHER_NAMES.get(name.removeprefix("TEMPLATE_").removeprefix("VAR_"))
    close = [f"TEMPLATE_{key}"] if key else difflib.get_close_matches(name, _KEYS, n=1, cutoff=0.8)
    return close[0] if close else ""


@dataclass(frozen=True, slots=True)
class _Key:
    """``read`` raises ``RuleError``."""

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
    raise RuleError(Message.of(FormatCode.BAD_FLAG, value=_shown(value)))


def _number(lowest: int, highest: int, out_of_range: FormatCode) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not lowest <= int(value) <= highest:
            raise RuleError(Message.of(out_of_range, lowest=lowest, highest=highest, value=_shown(value)))
        return int(value)

    return read


def _matching(pattern: str, code: FormatCode, *, lowered: bool = False) -> Callable[[str], str]:
    def read(value: str) -> str:
        value = value.lower() if lowered else value
        if not re.fullmatch(pattern, value, re.ASCII):
            raise RuleError(Message.of(code, value=_shown(value)))
        return value

    return read


def _app(value: str) -> str:
    if "\n" in value or len(value) > MAX_APP_CHARS or not value.strip():
        raise RuleError(Message.of(FormatCode.BAD_APP, most=MAX_APP_CHARS, value=_shown(value)))
    return value.strip()


def _description(value: str) -> str:
    if len(value) > MAX_DESCRIPTION_CHARS:
        raise RuleError(Message.of(FormatCode.LONG_VALUE, most=MAX_DESCRIPTION_CHARS, length=len(value)))
    return value.strip()


def _tags(value: str) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag.strip() for tag in value.split(";") if tag.strip()))
    if len(tags) > MAX_TAGS:
        raise RuleError(Message.of(FormatCode.TOO_MANY_TAGS, most=MAX_TAGS, number=len(tags)))
    for tag in tags:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_+.\-]{0,62}", tag):
            raise RuleError(Message.of(FormatCode.BAD_TAG, value=_shown(tag)))
    return tags


def _config_path(value: str) -> str:
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if len(value) > MAX_PATH_CHARS:
        raise RuleError(Message.of(FormatCode.LONG_VALUE, most=f"{MAX_PATH_CHARS:,}", length=f"{len(value):,}"))
    if value.startswith("/") or ".." in parts or "\n" in value or "\\" in value:
        raise RuleError(Message.of(FormatCode.BAD_CONFIG_PATH, value=_shown(value)))
    return "/".join(parts)


_KEYS = {
    "TEMPLATE_APP": _Key("app", _app),
    "TEMPLATE_TAGS": _Key("tags", _tags),
    "TEMPLATE_DESCRIPTION": _Key("description", _description),
    "TEMPLATE_CONFIG_PATH": _Key("config_path", _config_path),
    "TEMPLATE_CPU": _Key("cpu", _number(1, 8192, FormatCode.BAD_CORES)),
    "TEMPLATE_RAM": _Key("ram_mib", _number(16, 16 << 20, FormatCode.BAD_MIB)),
    "TEMPLATE_DISK": _Key("disk_gib", _number(1, 128 << 10, FormatCode.BAD_GIB)),
    "TEMPLATE_SWAP": _Key("swap_mib", _number(0, 16 << 20, FormatCode.BAD_MIB)),
    "TEMPLATE_OS": _Key("os", _matching(r"[a-z][a-z0-9_\-]{0,31}", FormatCode.BAD_OS, lowered=True)),
    "TEMPLATE_VERSION": _Key("version", _matching(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,31}", FormatCode.BAD_VERSION)),
    "TEMPLATE_STORAGE": _Key("storage", _matching(r"[A-Za-z][A-Za-z0-9._\-]{0,98}[A-Za-z0-9]", FormatCode.BAD_STORAGE)),
    "TEMPLATE_BRIDGE": _Key("bridge", _matching(r"[A-Za-z][A-Za-z0-9._\-]{0,14}", FormatCode.BAD_BRIDGE)),
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
