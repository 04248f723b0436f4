"""The difference between two contents of a template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import reduce
from typing import Any, Final

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.library.codes import DifferenceCode
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile
from lxc_dashboard.services.templates.library.line_diff import LineDiffer, TextDiff, increasing
from lxc_dashboard.services.templates.model import Bucket, FileEntry, Script, TemplateConfig, TemplateContent

MAX_TEXT_BYTES: Final = 1 << 20
MAX_SHOWN_CHARS: Final = 60


class ChangeKind(StrEnum):
    """``moved``: only the script's place in the run changed."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """Both values as text; ``position`` of a script counts from 1."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ScriptChange:
    name: str
    kind: ChangeKind
    fields: tuple[FieldChange, ...]
    text: TextDiff


@dataclass(frozen=True, slots=True)
class FileChange:
    """``text`` is empty if ``binary``, or if only fields changed. Sizes in bytes; hashes are empty if there is no file."""

    name: str
    kind: ChangeKind
    fields: tuple[FieldChange, ...]
    binary: bool
    text: TextDiff
    old_sha256: str
    new_sha256: str
    old_size: int
    new_size: int


@dataclass(frozen=True, slots=True)
class BucketChange:
    """``added``, ``removed``: specs; ``changed``: custom packages with other commands. ``reordered``: only the order changed."""

    name: str
    manager: PackageManager
    kind: ChangeKind
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reordered: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes from an old content to a new one; empty if both build the same container."""

    config: tuple[FieldChange, ...] = ()
    scripts: tuple[ScriptChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    packages: tuple[BucketChange, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.config or self.scripts or self.files or self.packages)

    def messages(self) -> list[Message]:
        """One message for each change, without contents."""
        return [
            *map(_of_field, self.config),
            *map(_of_script, self.scripts),
            *map(_of_file, self.files),
            *map(_of_list, self.packages),
        ]

    def counted(self) -> dict[str, Any]:
        """The number of changes, for the audit: no values and no texts."""
        return {
            "config": [change.field for change in self.config],
            "scripts": len(self.scripts),
            "files": len(self.files),
            "packages": len(self.packages),
        }


@dataclass(frozen=True, slots=True)
class FileSide:
    """A file to compare; ``content`` None: compare only its hash."""

    file: DraftFile
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """The content to compare, of a revision or of a draft."""

    config: TemplateConfig
    scripts: Sequence[Script]
    buckets: Sequence[Bucket]
    files: Sequence[FileSide]

    @classmethod
    def of(cls, content: TemplateContent) -> Side:
        return cls(content.config, content.scripts, content.buckets, [_side(file) for file in content.files])

    @classmethod
    def of_draft(cls, draft: DraftContent) -> Side:
        """A draft to compare. Its files are compared by their hashes only."""
        return cls(draft.config, draft.scripts, draft.buckets, [FileSide(file) for file in draft.files])


def compare(old: TemplateContent, new: TemplateContent) -> Difference:
    """Compare two contents. Pure; the cost is bounded for contents within the format's limits."""
    return compare_sides(Side.of(old), Side.of(new))


def compare_sides(old: Side, new: Side) -> Difference:
    differ = LineDiffer()
    return Difference(
        config=tuple(_fields(old.config, new.config)),
        scripts=tuple(_scripts(old.scripts, new.scripts, differ)),
        files=tuple(_files(old.files, new.files, differ)),
        packages=tuple(_packages(old.buckets, new.buckets)),
    )


def _side(file: FileEntry) -> FileSide:
    return FileSide(DraftFile.of(file), file.content)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ";".join(value) if isinstance(value, tuple) else str(value)


def _fields(old: Any, new: Any, left_out: Iterable[str] = ()) -> Iterator[FieldChange]:
    for known in fields(old):
        was, now = getattr(old, known.name), getattr(new, known.name)
        if was != now and known.name not in left_out:
            yield FieldChange(known.name, _shown(was), _shown(now))


# Scripts


def _scripts(old: Sequence[Script], new: Sequence[Script], differ: LineDiffer) -> Iterator[ScriptChange]:
    """Changes of the new scripts in their order, then the removed ones."""
    were = {script.name: script for script in old}
    moved = _moved([script.name for script in old], [script.name for script in new])
    for script in new:
        was = were.pop(script.name, None)
        if was is None:
            yield ScriptChange(script.name, ChangeKind.ADDED, (), differ.compare("", script.content))
        elif change := _script(was, script, differ, moved=script.name in moved):
            yield change
    for name, script in were.items():
        yield ScriptChange(name, ChangeKind.REMOVED, (), differ.compare(script.content, ""))


def _script(old: Script, new: Script, differ: LineDiffer, *, moved: bool) -> ScriptChange | None:
    changes = tuple(_fields(old, new, ("position", "content")))
    place = (FieldChange("position", str(old.position + 1), str(new.position + 1)),) if moved else ()
    if not changes and old.content == new.content:
        return ScriptChange(new.name, ChangeKind.MOVED, place, TextDiff()) if moved else None
    text = differ.compare(old.content, new.content) if old.content != new.content else TextDiff()
    return ScriptChange(new.name, ChangeKind.CHANGED, changes + place, text)


def _moved(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """The smallest set of scripts whose moves explain the new order."""
    places = {name: place for place, name in enumerate(old)}
    both = [name for name in new if name in places]
    kept = increasing([places[name] for name in both])
    return set(both) - {both[place] for place in kept}


# Files


def _files(old: Sequence[FileSide], new: Sequence[FileSide], differ: LineDiffer) -> Iterator[FileChange]:
    were, are = _by_name(old), _by_name(new)
    for name in sorted(were.keys() | are.keys()):
        was, now = were.get(name), are.get(name)
        if was and now and was.file == now.file:
            continue
        yield _file(name, was, now, differ)


def _by_name(files: Iterable[FileSide]) -> Mapping[str, FileSide]:
    return {side.file.name: side for side in files}


def _file(name: str, old: FileSide | None, new: FileSide | None, differ: LineDiffer) -> FileChange:
    kind = ChangeKind.ADDED if not old else ChangeKind.REMOVED if not new else ChangeKind.CHANGED
    changes = tuple(_fields(old.file, new.file, ("sha256", "size"))) if old and new else ()
    same = bool(old and new and old.file.sha256 == new.file.sha256)
    was, now = _text(old), _text(new)
    binary = not same and (was is None or now is None)
    return FileChange(
        name=name,
        kind=kind,
        fields=tuple(_octal(change) for change in changes),
        binary=binary,
        text=TextDiff() if same or binary else differ.compare(was or "", now or ""),
        old_sha256=old.file.sha256 if old else "",
        new_sha256=new.file.sha256 if new else "",
        old_size=old.file.size if old else 0,
        new_size=new.file.size if new else 0,
    )


def _text(side: FileSide | None) -> str | None:
    """The content as text; None for a binary file or a file that is too long to show."""
    if side is None:
        return ""
    if side.content is None or len(side.content) > MAX_TEXT_BYTES or b"\0" in side.content:
        return None
    try:
        return side.content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _octal(change: FieldChange) -> FieldChange:
    if change.field != "mode":
        return change
    return FieldChange("mode", f"{int(change.old):04o}", f"{int(change.new):04o}")


# Packages


def _packages(old: Sequence[Bucket], new: Sequence[Bucket]) -> Iterator[BucketChange]:
    were = {(bucket.name, bucket.manager): bucket for bucket in old}
    are = {(bucket.name, bucket.manager): bucket for bucket in new}
    for key in sorted(were.keys() | are.keys()):
        was, now = were.get(key), are.get(key)
        if was and now and was.packages == now.packages:
            continue
        yield _bucket(was or Bucket(*key), now or Bucket(*key), _kind(was, now))


def _kind(old: Bucket | None, new: Bucket | None) -> ChangeKind:
    if old is None:
        return ChangeKind.ADDED
    return ChangeKind.CHANGED if new else ChangeKind.REMOVED


def _bucket(old: Bucket, new: Bucket, kind: ChangeKind) -> BucketChange:
    were = {package.spec: package for package in old.packages}
    are = {package.spec: package for package in new.packages}
    added = tuple(spec for spec in are if spec not in were)
    removed = tuple(spec for spec in were if spec not in are)
    changed = tuple(spec for spec in are if spec in were and are[spec] != were[spec])
    only_order = kind is ChangeKind.CHANGED and not (added or removed or changed)
    return BucketChange(new.name, new.manager, kind, added, removed, changed, only_order)


# Messages

_OF_SCRIPT: Final = {
    ChangeKind.ADDED: DifferenceCode.SCRIPT_ADDED,
    ChangeKind.REMOVED: DifferenceCode.SCRIPT_REMOVED,
    ChangeKind.CHANGED: DifferenceCode.SCRIPT_CHANGED,
    ChangeKind.MOVED: DifferenceCode.SCRIPT_MOVED,
}
_OF_FILE: Final = {
    ChangeKind.ADDED: DifferenceCode.FILE_ADDED,
    ChangeKind.REMOVED: DifferenceCode.FILE_REMOVED,
    ChangeKind.CHANGED: DifferenceCode.FILE_CHANGED,
}
_OF_LIST: Final = {
    ChangeKind.ADDED: DifferenceCode.LIST_ADDED,
    ChangeKind.REMOVED: DifferenceCode.LIST_REMOVED,
    ChangeKind.CHANGED: DifferenceCode.LIST_REORDERED,
}


def _of_field(change: FieldChange) -> Message:
    return Message.of(DifferenceCode.FIELD, field=change.field, old=_short(change.old), new=_short(change.new))


def _of_script(change: ScriptChange) -> Message:
    text = change.text
    if _has_lines(change):
        return Message.of(DifferenceCode.SCRIPT_LINES, name=change.name, added=text.added, removed=text.removed)
    return Message.of(_OF_SCRIPT[change.kind], name=change.name)


def _of_file(change: FileChange) -> Message:
    text = change.text
    if _has_lines(change):
        return Message.of(DifferenceCode.FILE_LINES, name=change.name, added=text.added, removed=text.removed)
    return Message.of(_OF_FILE[change.kind], name=change.name)


def _has_lines(change: ScriptChange | FileChange) -> bool:
    return change.kind is ChangeKind.CHANGED and bool(change.text.added or change.text.removed)


def _of_list(change: BucketChange) -> Message:
    name = f"{change.name}.{change.manager}"
    if change.kind is not ChangeKind.CHANGED or change.reordered:
        return Message.of(_OF_LIST[change.kind], list=name)
    counts = [
        *_counted(DifferenceCode.PACKAGES_ADDED, change.added),
        *_counted(DifferenceCode.PACKAGES_REMOVED, change.removed),
        *_counted(DifferenceCode.PACKAGES_CHANGED, change.changed),
    ]
    joined = reduce(lambda first, others: Message.of(DifferenceCode.COUNTS, first=first, others=others), counts)
    return Message.of(DifferenceCode.LIST_CHANGED, list=name, counts=joined)


def _counted(code: DifferenceCode, specs: Sequence[str]) -> list[Message]:
    return [Message.of(code, number=len(specs))] if specs else []


def _short(value: str) -> str:
    line = value.replace("\n", " ")
    return repr(line if len(line) <= MAX_SHOWN_CHARS else line[:MAX_SHOWN_CHARS] + "…")
