"""Scripts: their order, and the settings in their leading comments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxc_dashboard.errors import RuleError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.packages import parse_seconds
from lxc_dashboard.services.templates.format.text import decode
from lxc_dashboard.services.templates.format.tree import check_file_name
from lxc_dashboard.services.templates.model import SCRIPT_TIMEOUT_S, Finding, Script

MAX_SCRIPT_BYTES = 1 << 20
HEADER_LINES = 20
MAX_DESCRIPTION_CHARS = 500

_COMMENT = re.compile(r"\s*#+(?!!)\s*(.*)")
# What follows may be the text of a file, whose comments are no settings.
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*[\\'\"A-Za-z_]")
# More than one word after the colon is a sentence, not a setting.
_SETTING = re.compile(r"(timeout|optional)\s*:\s*(\S+)", re.IGNORECASE)
_YES = {"yes", "true", "1"}
_NO = {"no", "false", "0"}


@dataclass(slots=True)
class _Header:
    description: str = ""
    timeout_s: int = SCRIPT_TIMEOUT_S
    optional: bool = False
    warnings: list[Finding] = field(default_factory=list)


def is_script_name(name: str) -> bool:
    """Whether a file of this name is run as a script."""
    return name.endswith(".sh") and not name.startswith(".")


def check_script_name(name: str) -> None:
    """Raises ``RuleError`` for a name under which no script runs."""
    check_file_name(name)
    if not is_script_name(name):
        raise RuleError(Message.of(FormatCode.BAD_SCRIPT_NAME))


def check_description(text: str) -> str:
    """Return the description. Raises ``RuleError`` if no leading comment can hold it."""
    if len(text) > MAX_DESCRIPTION_CHARS or not text.replace("\t", " ").isprintable():
        raise RuleError(Message.of(FormatCode.BAD_DESCRIPTION, most=MAX_DESCRIPTION_CHARS))
    return text.strip()


def parse_script(name: str, position: int, data: bytes, file: str) -> tuple[Script, tuple[Finding, ...]]:
    """Parse a script, and the warnings about it. Raises ``TemplateError`` with ``file`` and line."""
    content = decode(data, file, MAX_SCRIPT_BYTES)
    warnings = []
    if b"\r\n" in data:
        warnings.append(Finding(file, 0, Message.of(FormatCode.CRLF)))
    if not content.strip():
        warnings.append(Finding(file, 0, Message.of(FormatCode.EMPTY)))
    header = _header(content, file)
    warnings += header.warnings
    script = Script(
        name=name,
        content=content,
        position=position,
        description=header.description,
        timeout_s=header.timeout_s,
        optional=header.optional,
    )
    return script, tuple(warnings)


def _header(content: str, file: str) -> _Header:
    """Read the settings in the first lines; the first comment that sets nothing is the description."""
    header = _Header()
    for number, line in enumerate(content.split("\n", HEADER_LINES)[:HEADER_LINES], start=1):
        comment = _COMMENT.fullmatch(line)
        if not comment and _HERE_DOCUMENT.search(line):
            break
        text = comment.group(1).strip() if comment else ""
        setting = _SETTING.fullmatch(text)
        if setting:
            wrong = _set(header, setting.group(1).lower(), setting.group(2))
            if wrong:
                header.warnings.append(Finding(file, number, Message.of(FormatCode.SETS_NOTHING, reason=wrong)))
        elif not header.description and re.search(r"\w", text) and not text.startswith("shellcheck "):
            header.description = text[:MAX_DESCRIPTION_CHARS]
    return header


def _set(header: _Header, key: str, value: str) -> Message | None:
    """Apply a setting; return what is wrong with it.

    An ordinary comment may look like a setting, so an invalid value is no reason to refuse the template.
    """
    if key == "timeout":
        try:
            header.timeout_s = parse_seconds(value, key)
        except RuleError as error:
            return error.reason
    elif value.lower() in _YES | _NO:
        header.optional = value.lower() in _YES
    else:
        return Message.of(FormatCode.BAD_OPTIONAL, value=repr(value[:40]))
    return None
