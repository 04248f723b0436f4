"""Entries of the editor with every field as text, converted from and to those of a draft."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import RuleError
from lxc_dashboard.services.templates.format.packages import read_line, written
from lxc_dashboard.services.templates.library.draft import DraftFile
from lxc_dashboard.services.templates.model import SCRIPT_TIMEOUT_S, Bucket, PackageEntry, Script, TemplateConfig
from lxc_dashboard.state.ids import uuid_of

NUMBERS: Final = ("cpu", "ram_mib", "disk_gib", "swap_mib")
FLAGS: Final = ("unprivileged", "nesting", "keyctl", "fuse", "network")
TEXTS: Final = ("app", "description", "os", "version", "storage", "bridge")
ON: Final = "on"
NO_MODE: Final = -1
NEW_SCRIPT: Final = "#!/bin/bash\nset -euo pipefail\n\n"
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_OCTAL: Final = re.compile(r"[0-7]{1,5}")


@dataclass(frozen=True)
class ScriptItem:
    key: str
    name: str
    content: str = NEW_SCRIPT
    description: str = ""
    timeout_s: str = str(SCRIPT_TIMEOUT_S)
    enabled: bool = True
    optional: bool = False


@dataclass(frozen=True)
class FileItem:
    """``mode`` in octal digits; ``size`` in bytes."""

    key: str
    name: str
    target_dir: str = ""
    policy: str = FilePolicy.DEFAULT.value
    mode: str = "0644"
    owner: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class ListItem:
    """Packages of one manager, one a line. With ``shared_id`` they belong to a shared bucket and cannot be edited here."""

    key: str
    name: str
    manager: str
    lines: str = ""
    shared_id: str = ""


def form_of(config: TemplateConfig) -> dict[str, str]:
    """The config as text, by field."""
    return {
        **{name: str(getattr(config, name)) for name in (*TEXTS, *NUMBERS)},
        **{name: ON if getattr(config, name) else "" for name in FLAGS},
        "tags": ";".join(config.tags),
    }


def config_of(form: Mapping[str, str], config_path: str) -> TemplateConfig:
    numbers = {name: _number(form[name]) for name in NUMBERS if name in form}
    texts = {name: form[name] for name in TEXTS if name in form}
    flags = {name: form[name] == ON for name in FLAGS if name in form}
    tags = [tag.strip() for tag in form.get("tags", "").split(";") if tag.strip()]
    return TemplateConfig.from_json({"app": "", **texts, **numbers, **flags, "tags": tags, "config_path": config_path})


def _number(value: str) -> Any:
    return int(value) if _NUMBER.fullmatch(value.strip()) else value


def script_item(key: str, script: Script) -> ScriptItem:
    return ScriptItem(
        key, script.name, script.content, script.description, str(script.timeout_s), script.enabled, script.optional
    )


def script_of(place: int, item: ScriptItem) -> Script:
    timeout = _number(item.timeout_s)
    return Script(item.name, item.content, place, item.description, timeout, item.enabled, item.optional)


def file_item(key: str, file: DraftFile) -> FileItem:
    mode = f"{file.mode:04o}" if file.mode >= 0 else ""
    return FileItem(key, file.name, file.target_dir, file.policy.value, mode, file.owner, file.sha256, file.size)


def file_of(item: FileItem) -> DraftFile:
    mode = int(item.mode, 8) if _OCTAL.fullmatch(item.mode.strip()) else NO_MODE
    policy = FilePolicy(item.policy) if item.policy in set(FilePolicy) else FilePolicy.DEFAULT
    return DraftFile(item.name, item.target_dir, policy, mode, item.owner, item.sha256, item.size)


def list_item(key: str, bucket: Bucket) -> ListItem:
    lines = "\n".join(_line(package, bucket.manager) for package in bucket.packages)
    return ListItem(key, bucket.name, bucket.manager.value, lines, str(bucket.shared_id or ""))


def _line(package: PackageEntry, manager: PackageManager) -> str:
    try:
        return written(package, manager)
    except RuleError:
        return package.spec


def bucket_of(item: ListItem) -> Bucket:
    manager = PackageManager(item.manager)
    lines = [line for line in item.lines.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    shared = uuid_of(item.shared_id, text.BUCKET_GONE) if item.shared_id else None
    return Bucket(item.name, manager, tuple(_package(line, manager) for line in lines), shared)


def _package(line: str, manager: PackageManager) -> PackageEntry:
    """Keep an invalid line as it is: a save reports it."""
    try:
        return read_line(line, manager)
    except RuleError:
        return PackageEntry(line.strip())
