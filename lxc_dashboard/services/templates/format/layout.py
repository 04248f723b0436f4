"""Writes a template as a folder that the parser reads back, and the manifest beside such folders."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Final

import msgspec

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import CONF_NAME, parse_conf
from lxc_dashboard.services.templates.format.content import (
    CONFIGS_NAME,
    MAX_SCRIPT_BYTES,
    MAX_SCRIPTS,
    check_description,
    check_script_name,
    parse_script,
)
from lxc_dashboard.services.templates.format.files import check_name, check_owner, read_target_dir
from lxc_dashboard.services.templates.format.packages import check_bucket
from lxc_dashboard.services.templates.format.packages import written as line_of
from lxc_dashboard.services.templates.format.tree import Tree, decode, plain_text
from lxc_dashboard.services.templates.model import (
    MAX_TIMEOUT_S,
    Bucket,
    FileEntry,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
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


MANIFEST_NAME: Final = "manifest.json"
MANIFEST_FORMAT: Final = "lxc-dashboard-templates"
MANIFEST_VERSION: Final = 1
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


def encode_manifest(contents: Sequence[TemplateContent]) -> bytes:
    """The manifest of an archive of these templates. Deterministic."""
    manifest = Manifest(MANIFEST_FORMAT, MANIFEST_VERSION, [_template_says(content) for content in contents])
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
    return decode_manifest(data, path)


def decode_manifest(data: bytes, file: str = MANIFEST_NAME) -> Manifest | None:
    """Parse a manifest; None for another program's file (JSON with neither this format's name nor templates).

    Raises ``TemplateError``, with the line if the file is no JSON, for a long file and for an invalid manifest.
    """
    _check_size(data, file)
    read = _json(data, file)
    if not isinstance(read, dict) or (read.get("format") != MANIFEST_FORMAT and "templates" not in read):
        return None
    if read.get("format") != MANIFEST_FORMAT:
        raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_NO_FORMAT, format=MANIFEST_FORMAT))
    version = read.get("version")
    if not isinstance(version, int) or version < 1:
        raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_NO_VERSION))
    if version > MANIFEST_VERSION:
        raise TemplateError(file, 0, Message.of(FormatCode.MANIFEST_NEWER, version=version, known=MANIFEST_VERSION))
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
