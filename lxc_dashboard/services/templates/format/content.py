"""Reads ``container-configs``: scripts with their order, description and timeout, packages, files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.assignments import MAX_CONF_BYTES
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import line_of
from lxc_dashboard.services.templates.format.files import read_files
from lxc_dashboard.services.templates.format.packages import (
    MAX_BUCKET_NAME_CHARS,
    MAX_LIST_BYTES,
    parse_packages,
    parse_seconds,
)
from lxc_dashboard.services.templates.format.tree import Entry, Faults, Tree, check_file_name, decode
from lxc_dashboard.services.templates.model import (
    SCRIPT_TIMEOUT_S,
    Bucket,
    Finding,
    Origin,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
)

MAX_SCRIPT_BYTES = 1 << 20
HEADER_LINES = 20
MAX_DESCRIPTION_CHARS = 500

_COMMENT = re.compile(r"\s*#+(?!!)\s*(.*)")
# The lines after it may be the text of a file, whose comments are no settings.
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
    """Raises ``RuleError`` for an invalid script name."""
    check_file_name(name)
    if not is_script_name(name):
        raise RuleError(Message.of(FormatCode.BAD_SCRIPT_NAME))


def check_description(text: str) -> str:
    """Return the description. Raises ``RuleError`` if no leading comment can hold it."""
    if len(text) > MAX_DESCRIPTION_CHARS or not text.replace("\t", " ").isprintable():
        raise RuleError(Message.of(FormatCode.BAD_DESCRIPTION, most=MAX_DESCRIPTION_CHARS))
    return text.strip()


def parse_script(name: str, position: int, data: bytes, file: str) -> tuple[Script, tuple[Finding, ...]]:
    """Parse a script; return it and its warnings. Raises ``TemplateError`` with ``file`` and line."""
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
    """Apply a setting; return a warning if its value is invalid.

    It is no error, because an ordinary comment may look like a setting.
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


CONFIGS_NAME = "container-configs"
CONFIG_PATH = "TEMPLATE_CONFIG_PATH"
MAX_SCRIPTS = 200
MAX_BUCKETS = 100

_PARTS = ("scripts", "packages", "files")
_NOTES = (".md", ".txt")


def read_content(tree: Tree, name: str, config: TemplateConfig, conf: Entry) -> TemplateContent:
    """Read the template ``name`` with the configuration ``config`` of the file ``conf``.

    Raises ``TemplateError``, and ``OSError`` for an unreadable file.
    """
    warnings: list[Finding] = []
    configs = _configs(tree, config, conf, warnings)
    parts = {entry.name: entry for entry in tree.entries(configs)} if configs else {}
    for part, entry in parts.items():
        if part not in _PARTS:
            _leave_out(entry, warnings)
        elif not entry.is_dir:
            raise TemplateError(entry.shown, 0, Message.of(FormatCode.NO_FOLDER))
    faults = Faults()
    scripts = _scripts(tree, parts["scripts"], warnings, faults) if "scripts" in parts else ()
    buckets = _buckets(tree, parts["packages"], warnings, faults) if "packages" in parts else ()
    files, findings = read_files(tree, parts["files"], faults) if "files" in parts else ((), ())
    faults.refuse()
    origin = Origin(conf.shown, configs.shown if configs else "")
    return TemplateContent(name, config, scripts, files, buckets, (*warnings, *findings), origin)


def config_paths(location: str, config: TemplateConfig) -> tuple[str, ...]:
    """The paths of ``container-configs`` to try, relative to the root: the configured one, then one beside the conf."""
    beside = str(PurePosixPath(location, CONFIGS_NAME))
    return tuple(dict.fromkeys(path for path in (config.config_path, beside) if path))


def _configs(tree: Tree, config: TemplateConfig, conf: Entry, warnings: list[Finding]) -> Entry | None:
    path, *fallback = config_paths(str(PurePosixPath(conf.shown).parent), config)
    entry = tree.below(path)
    if entry and entry.is_dir and entry.name != CONFIGS_NAME:
        entry = tree.below(f"{path}/{CONFIGS_NAME}") or entry
    if not entry and fallback:
        entry = tree.below(fallback[0])
        if entry:
            message = Message.of(FormatCode.CONFIG_PATH_REPLACED, key=CONFIG_PATH, path=path, fallback=fallback[0])
            warnings.append(Finding(conf.shown, _line(tree, conf), message))
    if entry and not entry.is_dir:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.NO_FOLDER))
    if not entry and config.config_path:
        gone = Message.of(FormatCode.CONFIG_PATH_GONE, key=CONFIG_PATH, path=path)
        raise TemplateError(conf.shown, _line(tree, conf), gone)
    if not entry:
        warnings.append(Finding(conf.shown, 0, Message.of(FormatCode.NO_CONFIGS, folder=CONFIGS_NAME)))
    return entry


def _line(tree: Tree, conf: Entry) -> int:
    return line_of(tree.read(conf, MAX_CONF_BYTES)[0], CONFIG_PATH)


def _scripts(tree: Tree, folder: Entry, warnings: list[Finding], faults: Faults) -> tuple[Script, ...]:
    found = []
    for entry in tree.entries(folder):
        if entry.is_dir or not is_script_name(entry.name):
            _leave_out(entry, warnings)
        else:
            found.append(entry)
    if len(found) > MAX_SCRIPTS:
        raise TemplateError(folder.shown, 0, Message.of(FormatCode.TOO_MANY_SCRIPTS, most=MAX_SCRIPTS))
    scripts = []
    for position, entry in enumerate(sorted(found, key=lambda script: script_order(script.name))):
        with faults.collect():
            script, findings = parse_script(entry.name, position, tree.read(entry, MAX_SCRIPT_BYTES)[0], entry.shown)
            scripts.append(script)
            warnings.extend(findings)
    return tuple(scripts)


def _buckets(tree: Tree, folder: Entry, warnings: list[Finding], faults: Faults) -> tuple[Bucket, ...]:
    buckets = []
    for entry in tree.entries(folder):
        suffix = entry.name.rpartition(".")[2]
        if entry.is_dir or entry.name.startswith(".") or suffix not in set(PackageManager):
            _leave_out(entry, warnings)
            continue
        with faults.collect():
            bucket, findings = _bucket(tree, entry, PackageManager(suffix))
            buckets.append(bucket)
            warnings.extend(findings)
    if len(buckets) > MAX_BUCKETS:
        raise TemplateError(folder.shown, 0, Message.of(FormatCode.TOO_MANY_LISTS, most=MAX_BUCKETS))
    return tuple(sorted(buckets, key=lambda bucket: (bucket.name, bucket.manager)))


def _bucket(tree: Tree, entry: Entry, manager: PackageManager) -> tuple[Bucket, tuple[Finding, ...]]:
    name = entry.name.rpartition(".")[0]
    if not name:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.LIST_UNNAMED, manager=manager))
    if len(name) > MAX_BUCKET_NAME_CHARS:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.LONG_LIST_NAME, most=MAX_BUCKET_NAME_CHARS))
    return parse_packages(name, manager, tree.read(entry, MAX_LIST_BYTES)[0], entry.shown)


def _leave_out(entry: Entry, warnings: list[Finding]) -> None:
    """Warn about a file that is not read. Notes and hidden files are expected here and cause no warning."""
    if not entry.name.startswith(".") and not entry.name.lower().endswith(_NOTES):
        warnings.append(Finding(entry.shown, 0, Message.of(FormatCode.IGNORED)))
