"""Files for the guest, and their sidecars.

``.path`` names the target directory, ``.policy`` what to do with an existing file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.errors import RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.tree import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    Entry,
    Faults,
    Tree,
    check_file_name,
    decode,
)
from lxc_dashboard.services.templates.model import FileEntry, Finding

MAX_FILES = 500
MAX_FILE_BYTES = 16 << 20
MAX_SIDECAR_BYTES = 8 << 10
MAX_TARGET_CHARS = 1_000

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,30}\$?(:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,30})?")
_COMPUTED = re.compile(r"\$[({\w]|`")
_SIDECARS = (".path", ".policy")
_LITTER = {".gitkeep", ".DS_Store", "Thumbs.db", "README.md", "README"}


def read_files(tree: Tree, folder: Entry, faults: Faults) -> tuple[tuple[FileEntry, ...], tuple[Finding, ...]]:
    """Read the files below ``folder``, by name, and the warnings about them. Errors are collected in ``faults``."""
    found: dict[str, tuple[FileEntry, str]] = {}
    warnings: list[Finding] = []
    for entry, siblings in _walk(tree, folder, faults):
        with faults.collect():
            file = _file(tree, entry, siblings)
            if file.name in found:
                raise TemplateError(entry.shown, 0, Message.of(FormatCode.FILE_TWICE, other=found[file.name][1]))
            warnings += _doubts(file, entry)
            found[file.name] = (file, entry.shown)
        if len(found) > MAX_FILES:
            raise TemplateError(folder.shown, 0, Message.of(FormatCode.TOO_MANY_FILES, most=MAX_FILES))
    return tuple(file for _, (file, _) in sorted(found.items())), tuple(warnings)


def _doubts(file: FileEntry, entry: Entry) -> Iterator[Finding]:
    """Warn about a valid target that is probably a mistake."""
    if posixpath.basename(file.target_dir) == file.name:
        message = Message.of(FormatCode.PATH_NAMES_FILE, directory=file.target_dir, target=file.target)
        yield Finding(f"{entry.shown}.path", 1, message)
    if _COMPUTED.search(file.target_dir):
        message = Message.of(FormatCode.PATH_LITERAL, directory=file.target_dir)
        yield Finding(f"{entry.shown}.path", 0, message)


def _walk(tree: Tree, folder: Entry, faults: Faults, depth: int = 0) -> list[tuple[Entry, dict[str, Entry]]]:
    """Each content file, with all entries of its folder by name."""
    if depth > MAX_DEPTH:
        raise TemplateError(folder.shown, 0, Message.of(FormatCode.TOO_DEEP, most=MAX_DEPTH))
    siblings = {entry.name: entry for entry in tree.entries(folder)}
    found = []
    for entry in siblings.values():
        if entry.is_dir:
            found += _walk(tree, entry, faults, depth + 1)
            continue
        with faults.collect():
            if _is_content(entry, siblings):
                found.append((entry, siblings))
    return found


def _is_content(entry: Entry, siblings: dict[str, Entry]) -> bool:
    """Whether the entry is a content file, not a sidecar. ``a.path`` is one if ``a.path.path`` exists."""
    if f"{entry.name}.path" in siblings:
        return True
    # splitext would treat the suffix of ...path as part of the name.
    suffix = next((suffix for suffix in _SIDECARS if entry.name.endswith(suffix)), "")
    stem = entry.name.removesuffix(suffix)
    if not suffix or not stem:
        return entry.name not in _LITTER and not entry.name.startswith("._")
    if stem not in siblings:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.SIDECAR_WITHOUT_FILE, name=stem))
    if siblings[stem].is_dir:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.SIDECAR_OF_FOLDER, name=stem))
    return False


def _file(tree: Tree, entry: Entry, siblings: dict[str, Entry]) -> FileEntry:
    path = siblings.get(f"{entry.name}.path")
    if path is None:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.NO_PATH, name=entry.name))
    target_dir = read_target_dir(*_sidecar(tree, path))
    policy = siblings.get(f"{entry.name}.policy")
    content, executable = tree.read(entry, MAX_FILE_BYTES)
    return FileEntry(
        name=entry.name,
        target_dir=target_dir,
        policy=_policy(*_sidecar(tree, policy)) if policy else FilePolicy.DEFAULT,
        content=content,
        mode=0o755 if executable else 0o644,
    )


def _sidecar(tree: Tree, entry: Entry) -> tuple[str, str, int]:
    """The one line of a sidecar, with its file and line number for messages. Full-line comments are skipped."""
    text = decode(tree.read(entry, MAX_SIDECAR_BYTES)[0], entry.shown, MAX_SIDECAR_BYTES)
    lines = [(line.strip(), number) for number, line in enumerate(text.split("\n"), start=1)]
    values = [(line, number) for line, number in lines if line and not line.startswith("#")]
    if not values:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.EMPTY))
    if len(values) > 1:
        raise TemplateError(entry.shown, values[1][1], Message.of(FormatCode.SECOND_LINE))
    return values[0][0], entry.shown, values[0][1]


def check_name(name: str) -> None:
    """Raises ``RuleError`` for an invalid name, or one too long to append the suffix of a sidecar."""
    check_file_name(name, MAX_NAME_BYTES - len(".policy"))


def check_owner(owner: str) -> None:
    """Raises ``RuleError`` unless ``owner`` is ``user``, ``user:group`` (names or numbers), or empty."""
    if owner and not _OWNER.fullmatch(owner):
        raise RuleError(Message.of(FormatCode.BAD_OWNER))


def read_target_dir(value: str, file: str, line: int) -> str:
    """The directory that a sidecar names, normalised. Raises ``TemplateError``."""
    if len(value) > MAX_TARGET_CHARS or not value.isprintable():
        raise TemplateError(file, line, Message.of(FormatCode.LONG_TARGET, most=MAX_TARGET_CHARS))
    if not value.startswith("/"):
        raise TemplateError(file, line, Message.of(FormatCode.RELATIVE_TARGET, value=repr(value)))
    if " #" in value:
        raise TemplateError(file, line, Message.of(FormatCode.TARGET_COMMENT))
    if ".." in value.split("/"):
        raise TemplateError(file, line, Message.of(FormatCode.TARGET_ABOVE, value=repr(value)))
    return "/" + posixpath.normpath(value).lstrip("/")


def _policy(value: str, file: str, line: int) -> FilePolicy:
    try:
        return FilePolicy(value.lower())
    except ValueError as error:
        why = Message.of(FormatCode.BAD_POLICY, known=list(FilePolicy), value=repr(value[:40]))
        raise TemplateError(file, line, why) from error
