"""Writes a template as a folder that the parser reads back.

The folder holds all that the format can express. The rest (disabled scripts, owners, ...) goes into the manifest beside it,
see ``manifest.py``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Final

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import CONF_NAME, parse_conf
from lxc_dashboard.services.templates.format.content import CONFIGS_NAME, MAX_SCRIPT_BYTES, check_script_name
from lxc_dashboard.services.templates.format.files import check_name, read_target_dir
from lxc_dashboard.services.templates.format.packages import check_bucket
from lxc_dashboard.services.templates.format.packages import written as line_of
from lxc_dashboard.services.templates.format.text import decode
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)

EXECUTABLE: Final = 0o100

_CLAIMED: Final = ("", ".path", ".policy", ".path.path", ".policy.path")
_BOM: Final = "\ufeff"
# The keys of template.conf. Not ``config_path``: container-configs is written beside the file.
_TEXTS: Final = ("app", "tags", "description", "os", "version", "storage", "bridge")
_NUMBERS: Final = {"cpu": "CPU", "ram_mib": "RAM", "disk_gib": "DISK", "swap_mib": "SWAP"}
_FLAGS: Final = ("unprivileged", "nesting", "keyctl", "fuse", "network")
_NEEDS_SINGLE: Final = re.compile(r'["\\$`!]')


@dataclass(frozen=True, slots=True)
class WrittenFile:
    data: bytes
    executable: bool = False


def written(content: TemplateContent) -> dict[str, WrittenFile]:
    """The files of the template's folder by path, sorted. The parser reads the same content from them.

    Raises ``TemplateError`` for a template that no folder can hold, with a file below the template's name.
    """
    scripts, packages = f"{CONFIGS_NAME}/scripts", f"{CONFIGS_NAME}/packages"
    found = {CONF_NAME: WrittenFile(_conf(content))}
    for script in content.scripts:
        _add(
            found, content, f"{scripts}/{_script_name(content, script)}", script_data(content, script), executable=True
        )
    for bucket in content.buckets:
        _add(found, content, f"{packages}/{_bucket_name(content, bucket)}", _bucket(content, bucket))
    for folder, file in _placed(content):
        path = f"{CONFIGS_NAME}/{folder}/{file.name}"
        _add(found, content, path, file.content, executable=bool(file.mode & EXECUTABLE))
        _add(found, content, f"{path}.path", _target(content, file, path))
        if file.policy is not FilePolicy.DEFAULT:
            _add(found, content, f"{path}.policy", file.policy.value.encode() + b"\n")
    _same_nowhere(content, found)
    return dict(sorted(found.items()))


def folded(path: str) -> str:
    """A key that is equal for two paths if some file system ignores the difference (case or Unicode composition)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _add(found: dict[str, WrittenFile], content: TemplateContent, path: str, data: bytes, **how: bool) -> None:
    if path in found:
        raise TemplateError(f"{content.name}/{path}", 0, Message.of(FormatCode.PATH_TWICE))
    if ".." in re.split(r"[/\\]", path):
        raise TemplateError(f"{content.name}/{path}", 0, Message.of(FormatCode.PATH_OUTSIDE))
    found[path] = WrittenFile(data, **how)


def _same_nowhere(content: TemplateContent, found: dict[str, WrittenFile]) -> None:
    first: dict[str, str] = {}
    for path in found:
        other = first.setdefault(folded(path), path)
        if other != path:
            raise TemplateError(f"{content.name}/{path}", 0, Message.of(FormatCode.PATH_FOLDED, other=other))


# template.conf


def _conf(content: TemplateContent) -> bytes:
    config, file = replace(content.config, config_path=""), f"{content.name}/{CONF_NAME}"
    data = _text(content, "\n".join(_assignments(config)), CONF_NAME)
    read, _ = parse_conf(data, file=file)
    different = [field.name for field in fields(config) if getattr(config, field.name) != getattr(read, field.name)]
    if different:
        value = repr(getattr(config, different[0]))
        raise TemplateError(file, 0, Message.of(FormatCode.UNWRITABLE_VALUE, field=different[0], value=value))
    return data


def _assignments(config: TemplateConfig) -> Iterator[str]:
    for name in _TEXTS:
        value = getattr(config, name)
        text = ";".join(value) if name == "tags" else value
        if text:
            yield f"TEMPLATE_{name.upper()}={quoted(text)}"
    for name, key in _NUMBERS.items():
        yield f"TEMPLATE_{key}={getattr(config, name)}"
    for name in _FLAGS:
        yield f"TEMPLATE_{name.upper()}={int(getattr(config, name))}"


def quoted(value: str) -> str:
    """``value`` quoted for bash: in double quotes, or in single ones if it has special characters."""
    if not _NEEDS_SINGLE.search(value):
        return f'"{value}"'
    return "'" + value.replace("'", r"'\''") + "'"


def _text(content: TemplateContent, value: str, path: str) -> bytes:
    """A value with a line end, as ``decode`` reads it back."""
    return _encoded(content, value + "\n", path)


def _encoded(content: TemplateContent, value: str, path: str) -> bytes:
    """UTF-8 that ``decode`` turns into ``value``, although it removes a byte order mark and a CR before a line end."""
    text = value.replace("\r\n", "\r\r\n")
    try:
        return ((_BOM if text.startswith(_BOM) else "") + text).encode()
    except UnicodeEncodeError as error:
        raise TemplateError(f"{content.name}/{path}", 0, Message.of(FormatCode.INVALID_TEXT)) from error


# Scripts


def _script_name(content: TemplateContent, script: Script) -> str:
    with _refusing(content, f"{CONFIGS_NAME}/scripts", script.name):
        check_script_name(script.name)
    return script.name


def script_data(content: TemplateContent, script: Script) -> bytes:
    """The content of the script's file."""
    path = f"{CONFIGS_NAME}/scripts/{script.name}"
    data = _encoded(content, script.content, path)
    decode(data, f"{content.name}/{path}", MAX_SCRIPT_BYTES)
    return data


# Packages


def _bucket_name(content: TemplateContent, bucket: Bucket) -> str:
    with _refusing(content, f"{CONFIGS_NAME}/packages", bucket.name):
        check_bucket(bucket)
    return f"{bucket.name}.{bucket.manager}"


def _bucket(content: TemplateContent, bucket: Bucket) -> bytes:
    lines = [f"{line_of(package, bucket.manager)}\n" for package in bucket.packages]
    return _encoded(content, "".join(lines), f"{CONFIGS_NAME}/packages/{bucket.name}.{bucket.manager}")


# Files


def _placed(content: TemplateContent) -> Iterator[tuple[str, FileEntry]]:
    """Each file with its folder: ``files``, or a folder below it if a name of the file is already used there."""
    taken: list[set[str]] = []
    names = {name for file in content.files for name in _claimed(content, file)}
    for file in content.files:
        claimed = _claimed(content, file)
        number = next((n for n, there in enumerate(taken) if not claimed & there), len(taken))
        if number == len(taken):
            taken.append(set())
        taken[number] |= claimed
        yield _folder(number, names), file


def _claimed(content: TemplateContent, file: FileEntry) -> set[str]:
    """The names that the file needs: its own, its sidecars', and those that would make its sidecars content files."""
    with _refusing(content, f"{CONFIGS_NAME}/files", file.name):
        check_name(file.name)
    return {folded(file.name + suffix) for suffix in _CLAIMED}


def _target(content: TemplateContent, file: FileEntry, path: str) -> bytes:
    if read_target_dir(file.target_dir.strip(), f"{content.name}/{path}", 0) != file.target_dir:
        why = Message.of(FormatCode.UNWRITABLE_DIRECTORY, value=repr(file.target_dir))
        raise TemplateError(f"{content.name}/{path}", 0, why)
    return _text(content, file.target_dir, path)


def _folder(number: int, names: set[str]) -> str:
    below = f"more-{number}"
    while below in names:
        below += "-"
    return f"files/{below}" if number else "files"


@contextmanager
def _refusing(content: TemplateContent, path: str, name: str) -> Iterator[None]:
    """Turn the ``RuleError`` of a rule into a ``TemplateError`` about the part ``name``."""
    try:
        yield
    except RuleError as error:
        why = Message.of(FormatCode.INVALID_PART, name=repr(name[:80]), reason=error.reason)
        raise TemplateError(f"{content.name}/{path}", 0, why) from error
