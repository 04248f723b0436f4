"""``manifest.json`` beside the folders of templates: names, checksums, and fields that a folder cannot express."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec

from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import parse_conf
from lxc_dashboard.services.templates.format.content import CONFIGS_NAME, MAX_SCRIPTS, check_description, parse_script
from lxc_dashboard.services.templates.format.files import check_owner
from lxc_dashboard.services.templates.format.layout import EXECUTABLE, quoted, script_data
from lxc_dashboard.services.templates.format.tree import Tree, plain_text
from lxc_dashboard.services.templates.model import (
    MAX_TIMEOUT_S,
    FileEntry,
    Script,
    TemplateContent,
    script_order,
)

MANIFEST_NAME: Final = "manifest.json"
FORMAT: Final = "lxc-dashboard-templates"
VERSION: Final = 1
MAX_MANIFEST_BYTES: Final = 4 << 20


class ScriptSays(msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True):
    """Fields that differ from the script's own comments and name."""

    position: Annotated[int, msgspec.Meta(ge=0, lt=MAX_SCRIPTS)] | None = None
    description: str | None = None
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_TIMEOUT_S)] | None = None
    enabled: bool | None = None
    optional: bool | None = None


class FileSays(msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True):
    """Fields of a file that a folder cannot express. ``mode`` in octal, if it is neither 0644 nor 0755."""

    mode: Annotated[str, msgspec.Meta(pattern="^[0-7]{4}$")] | None = None
    owner: str | None = None


class TemplateSays(msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True):
    """An entry of the manifest. ``checksum`` is ``TemplateContent.checksum``; empty: not compared.

    ``config_path``: the path of ``container-configs`` in its source.
    """

    name: str
    checksum: str = ""
    config_path: str = ""
    scripts: dict[str, ScriptSays] = {}
    files: dict[str, FileSays] = {}


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    version: int
    templates: list[TemplateSays]


def encode(contents: Sequence[TemplateContent]) -> bytes:
    """The manifest of an archive of these templates. Deterministic."""
    manifest = Manifest(FORMAT, VERSION, [_template_says(content) for content in contents])
    data = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"
    _check_size(data, MANIFEST_NAME)
    return data


def read_manifest(tree: Tree, folder: str) -> Manifest | None:
    """Read the manifest in ``folder``, relative to the tree's root; None if the product wrote none there.

    Raises ``TemplateError`` as ``decode``, for an unreadable file, and for a link that leads out of the tree.
    """
    path = MANIFEST_NAME if folder == "." else f"{folder}/{MANIFEST_NAME}"
    entry = tree.below(path)
    if entry is None or entry.is_dir:
        return None
    try:
        data, _ = tree.read(entry, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise TemplateError(path, 0, Message.of(FormatCode.UNREADABLE, cause=str(error.strerror))) from error
    return decode(data, path)


def decode(data: bytes, file: str = MANIFEST_NAME) -> Manifest | None:
    """Parse a manifest; None for another program's file (JSON with neither this format's name nor templates).

    Raises ``TemplateError``, with the line if the file is no JSON, for a long file and for an invalid manifest.
    """
    _check_size(data, file)
    read = _json(data, file)
    if not isinstance(read, dict) or (read.get("format") != FORMAT and "templates" not in read):
        return None
    if read.get("format") != FORMAT:
        raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_NO_FORMAT, format=FORMAT))
    version = read.get("version")
    if not isinstance(version, int) or version < 1:
        raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_NO_VERSION))
    if version > VERSION:
        raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_NEWER, version=version, known=VERSION))
    try:
        manifest = msgspec.convert(read, Manifest)
    except msgspec.ValidationError as error:
        raise TemplateError(file, 0, Message.of(FormatCode.UNREADABLE, cause=plain_text(str(error)))) from error
    for name, count in Counter(template.name for template in manifest.templates).items():
        if count > 1:
            raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_TWICE, name=repr(name[:100])))
    return manifest


def _check_size(data: bytes, file: str) -> None:
    if len(data) > MAX_MANIFEST_BYTES:
        size = Message.of(FormatCode.TOO_LARGE, length=f"{len(data):,}", most=f"{MAX_MANIFEST_BYTES:,}")
        raise TemplateError(file, 0, size)


def _json(data: bytes, file: str) -> Any:
    try:
        read = json.loads(data)
        # Half of a surrogate pair (\ud800) is valid JSON but no text.
        json.dumps(read, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise TemplateError(file, 0, Message.of(FormatCode.JSON_ESCAPE)) from error
    except json.JSONDecodeError as error:
        # Python 3.13 and newer report the position of the comma, older ones that of the bracket.
        end = error.pos + (error.doc[error.pos : error.pos + 1] == ",")
        before, after = error.doc[:end].rstrip(), error.doc[end:].lstrip()
        if before.endswith(",") and after[:1] in {"}", "]"}:
            line = before.count("\n") + 1
            raise TemplateError(file, line, Message.of(FormatCode.JSON_COMMA)) from error
        why = Message.of(FormatCode.JSON_INVALID, cause=error.msg, column=error.colno)
        raise TemplateError(file, error.lineno, why) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateError(file, line, Message.of(FormatCode.JSON_NOT_UTF8)) from error
    except (RecursionError, ValueError) as error:
        raise TemplateError(file, 0, Message.of(FormatCode.JSON_TOO_DEEP)) from error
    return read


def applied(content: TemplateContent, says: TemplateSays) -> TemplateContent:
    """The template with the fields of its manifest. Raises ``TemplateError`` if the two contradict each other."""
    config_path = _config_path(says.config_path) or content.config.config_path
    whole = replace(
        content,
        config=replace(content.config, config_path=config_path),
        scripts=_scripts(content, says),
        files=_files(content, says),
    )
    if says.checksum and whole.checksum() != says.checksum:
        why = Message.of(FormatCode.CHECKSUM, name=content.name, manifest=MANIFEST_NAME)
        raise TemplateError(MANIFEST_NAME, 0, why)
    return whole


def _config_path(path: str) -> str:
    """Validate the path as ``template.conf`` does."""
    if not path:
        return ""
    return parse_conf(f"TEMPLATE_CONFIG_PATH={quoted(path)}".encode(), file=MANIFEST_NAME, app="any")[0].config_path


def _template_says(content: TemplateContent) -> TemplateSays:
    return TemplateSays(
        name=content.name,
        checksum=content.checksum(),
        config_path=content.config.config_path,
        scripts=_scripts_say(content),
        files={file.name: says for file in content.files if (says := _file_says(file)) != FileSays()},
    )


def _scripts_say(content: TemplateContent) -> dict[str, ScriptSays]:
    found = {}
    for position, script in enumerate(sorted(content.scripts, key=lambda script: script_order(script.name))):
        read, _ = parse_script(script.name, position, script_data(content, script), f"{content.name}/{script.name}")
        different = {
            name: getattr(script, name)
            for name in ScriptSays.__struct_fields__
            if getattr(script, name) != getattr(read, name)
        }
        if different:
            found[script.name] = ScriptSays(**different)
    return found


def _file_says(file: FileEntry) -> FileSays:
    mode = None if file.mode == mode_of(executable=bool(file.mode & EXECUTABLE)) else f"{file.mode:04o}"
    return FileSays(mode=mode, owner=file.owner or None)


def mode_of(*, executable: bool) -> int:
    """The mode of a file read from a folder."""
    return 0o755 if executable else 0o644


def _scripts(content: TemplateContent, says: TemplateSays) -> tuple[Script, ...]:
    _must_hold(content, "scripts", {script.name for script in content.scripts}, says.scripts)
    scripts = []
    for script in content.scripts:
        values = _fields(says.scripts.get(script.name))
        _must_pass(check_description, values.get("description", ""), FormatCode.MANIFEST_DESCRIPTION, script.name)
        scripts.append(replace(script, **values))
    if len({script.position for script in scripts}) < len(scripts):
        raise TemplateError(MANIFEST_NAME, 0, Message.of(FormatCode.SAME_POSITION, name=content.name))
    return tuple(sorted(scripts, key=lambda script: script.position))


def _files(content: TemplateContent, says: TemplateSays) -> tuple[FileEntry, ...]:
    _must_hold(content, "files", {file.name for file in content.files}, says.files)
    files = []
    for file in content.files:
        values = _fields(says.files.get(file.name))
        if "mode" in values:
            values["mode"] = int(values["mode"], 8)
        _must_pass(check_owner, values.get("owner", ""), FormatCode.MANIFEST_OWNER, file.name)
        files.append(replace(file, **values))
    return tuple(files)


def _must_hold(content: TemplateContent, part: str, there: set[str], named: dict[str, Any]) -> None:
    missing = sorted(set(named) - there)
    if missing:
        where = f"{content.name}/{CONFIGS_NAME}/{part}"
        why = Message.of(FormatCode.MANIFEST_NAMES_NONE, name=repr(missing[0][:100]), folder=where)
        raise TemplateError(MANIFEST_NAME, 0, why)


def _must_pass(rule: Callable[[str], object], value: str, code: FormatCode, name: str) -> None:
    try:
        rule(value)
    except RuleError as error:
        why = Message.of(code, value=repr(value[:80]), name=name, reason=error.reason)
        raise TemplateError(MANIFEST_NAME, 0, why) from error


def _fields(says: ScriptSays | FileSays | None) -> dict[str, Any]:
    if says is None:
        return {}
    return {name: value for name in says.__struct_fields__ if (value := getattr(says, name)) is not None}
