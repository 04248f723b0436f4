"""The draft in the editor, with every field as text, valid or not. Pure.

Scripts, files and package lists have a ``key`` that does not change when they are renamed or moved. Paths name fields:
``name``, ``config.cpu``, ``scripts.<key>.timeout_s``, ``files.<key>.mode``, ``packages.<key>.lines``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from lxc_dashboard import text
from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import InvalidInputError, RuleError
from lxc_dashboard.services.templates.format.packages import MAX_LIST_BYTES, read_line, read_listing, written
from lxc_dashboard.services.templates.library import draft
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile, validated
from lxc_dashboard.services.templates.model import (
    SCRIPT_TIMEOUT_S,
    Bucket,
    PackageEntry,
    Script,
    TemplateConfig,
    script_order,
)
from lxc_dashboard.state.base import uuid_of

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
    """Packages of one manager, one a line. With ``shared_id`` they belong to a shared bucket and are read-only."""

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
    """Parse a line. An invalid line stays as it is, so that a save reports it."""
    try:
        return read_line(line, manager)
    except RuleError:
        return PackageEntry(line.strip())


FIELD_CHARS: Final = 10_000
# One more than the limit of a script, so that a save reports a text that was cut.
TEXT_CHARS: Final = (1 << 20) + 1
LIST_CHARS: Final = MAX_LIST_BYTES + 1

_CHARS: Final = {"content": TEXT_CHARS, "lines": LIST_CHARS}
# Fields that are set by an upload or a choice, never typed.
_GIVEN: Final = frozenset({"key", "sha256", "size", "shared_id"})
LIST_FAULTS_SHOWN: Final = 5
LISTS: Final = frozenset({"scripts", "files", "packages"})
CONFIG: Final = frozenset({*NUMBERS, *FLAGS, *TEXTS, "tags"})
_PREFIX: Final = re.compile(r"([0-9]{1,6})")

Item = TypeVar("Item", ScriptItem, FileItem, ListItem)


@dataclass(frozen=True)
class Work:
    """The draft as text. ``config`` by field; flags are ``on`` or empty."""

    name: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    scripts: tuple[ScriptItem, ...] = ()
    files: tuple[FileItem, ...] = ()
    packages: tuple[ListItem, ...] = ()
    config_path: str = ""

    @classmethod
    def of(cls, content: DraftContent) -> Work:
        taken: set[str] = set()
        scripts = tuple(script_item(_key("s", script.name, taken), script) for script in content.scripts)
        files = tuple(file_item(_key("f", file.name, taken), file) for file in content.files)
        lists = tuple(list_item(_key("p", f"{b.name}.{b.manager}", taken), b) for b in content.buckets)
        return cls(content.name, form_of(content.config), scripts, files, lists, content.config.config_path)

    def content(self) -> DraftContent:
        """The draft. An invalid number stays as it was typed."""
        return DraftContent(
            name=self.name,
            config=config_of(self.config, self.config_path),
            scripts=tuple(script_of(place, item) for place, item in enumerate(self.scripts)),
            files=tuple(map(file_of, self.files)),
            buckets=tuple(map(bucket_of, self.packages)),
        )

    def typed(self, path: str, value: str) -> Work:
        """The work with the field at ``path`` set; unchanged if there is no such field."""
        part, _, rest = path.partition(".")
        if part == "name" and not rest:
            return replace(self, name=value[:FIELD_CHARS])
        if part == "config" and rest in CONFIG:
            return replace(self, config={**self.config, rest: value[:FIELD_CHARS]})
        key, _, name = rest.partition(".")
        if part == "scripts":
            changed = _set(self.scripts, key, name, value)
            return replace(self, scripts=ordered(changed) if name == "name" else changed)
        if part == "files":
            return replace(self, files=_set(self.files, key, name, value))
        if part == "packages":
            return replace(self, packages=_set(self.packages, key, name, value))
        return self

    def has(self, path: str) -> bool:
        """Whether the field exists and can be typed."""
        part, _, rest = path.partition(".")
        key, _, name = rest.partition(".")
        items: Sequence[ScriptItem | FileItem | ListItem] = getattr(self, part) if part in LISTS else ()
        return path == "name" or (part == "config" and rest in CONFIG) or any(name in _typed(i, key) for i in items)

    # Scripts

    def with_script(self, name: str, content: str = NEW_SCRIPT) -> Work:
        """Add a script at the place of its name."""
        item = ScriptItem(_key("s", name, self._taken()), name, content)
        return replace(self, scripts=ordered((*self.scripts, item)))

    def moved(self, key: str, to: int) -> Work:
        """Move the script to place ``to`` (from 0). Names get new numbers where the order needs them."""
        if key not in {item.key for item in self.scripts} or not 0 <= to < len(self.scripts):
            return self
        scripts = tuple(script_of(place, item) for place, item in enumerate(self.scripts))
        names = {item.name for item in self.scripts}
        if len(names) < len(scripts):
            return self  # two scripts have the same name: the user must rename one first
        named = draft.moved(scripts, next(item.name for item in self.scripts if item.key == key), to)
        order = [item for item in self.scripts if item.key != key]
        order.insert(to, next(item for item in self.scripts if item.key == key))
        return replace(
            self, scripts=tuple(replace(item, name=place.name) for item, place in zip(order, named, strict=True))
        )

    def next_script_name(self) -> str:
        """A free name that runs last."""
        numbers = [int(found.group()) for item in self.scripts if (found := _PREFIX.match(item.name))]
        return f"{min(max(numbers, default=0) // 10 * 10 + 10, 990_000):02d}-script.sh"

    # Files and package lists

    def with_file(self, name: str, sha256: str, size: int) -> Work:
        """Add a file, or replace the content of the file with that name."""
        there = next((item for item in self.files if item.name == name), None)
        if there is not None:
            return self.with_content(there.key, sha256, size)
        item = FileItem(_key("f", name, self._taken()), name, sha256=sha256, size=size)
        return replace(self, files=(*self.files, item))

    def with_content(self, key: str, sha256: str, size: int) -> Work:
        """Replace the content of a file."""
        changed = (replace(item, sha256=sha256, size=size) if item.key == key else item for item in self.files)
        return replace(self, files=tuple(changed))

    def with_list(self, name: str, manager: str, lines: str = "", shared_id: str = "") -> Work:
        item = ListItem(_key("p", f"{name}.{manager}", self._taken()), name, manager, lines, shared_id)
        return replace(self, packages=(*self.packages, item))

    def without(self, key: str) -> Work:
        """Remove that script, file or package list."""
        return replace(
            self,
            scripts=tuple(item for item in self.scripts if item.key != key),
            files=tuple(item for item in self.files if item.key != key),
            packages=tuple(item for item in self.packages if item.key != key),
        )

    def script(self, key: str, name: str = "") -> ScriptItem | None:
        """Find a script by its key, or by its name if the key is from before a restart."""
        return _found(self.scripts, key, name)

    def file(self, key: str, name: str = "") -> FileItem | None:
        return _found(self.files, key, name)

    def _taken(self) -> set[str]:
        return {item.key for items in (self.scripts, self.files, self.packages) for item in items}

    def paths(self, faults: Mapping[str, str]) -> dict[str, str]:
        """Errors as sentences, by the editor's paths. ``faults`` has the services' paths, with names in place of keys."""
        found: dict[str, str] = {}
        for name, fault in faults.items():
            found.setdefault(self._path(name), fault[:1].upper() + fault[1:])
        return found

    def _path(self, name: str) -> str:
        part, _, rest = name.partition(".")
        item, _, last = rest.rpartition(".")
        items: Sequence[Any] = {"scripts": self.scripts, "files": self.files}.get(part, ())
        if part == "packages":
            key = next((found.key for found in self.packages if (found.name, found.manager) == (item, last)), "")
            return f"packages.{key}.lines" if key else name
        # If two have the same name, the second is invalid.
        key = next((found.key for found in reversed(items) if found.name == item), "")
        return f"{part}.{key}.{last}" if key else name


def ordered(scripts: Iterable[ScriptItem]) -> tuple[ScriptItem, ...]:
    """The scripts in the order of their names."""
    return tuple(sorted(scripts, key=lambda item: script_order(item.name)))


def _set(items: tuple[Item, ...], key: str, name: str, value: str) -> tuple[Item, ...]:
    def changed(item: Item) -> Item:
        if name not in _typed(item, key):
            return item
        limit = _CHARS.get(name, FIELD_CHARS)
        given: Any = value == ON if isinstance(getattr(item, name), bool) else value[:limit]
        return replace(item, **{name: given})

    return tuple(map(changed, items))


def _typed(item: ScriptItem | FileItem | ListItem, key: str) -> frozenset[str]:
    """The fields of the item that a user types; empty if ``key`` belongs to another item."""
    return frozenset(field.name for field in fields(item)) - _GIVEN if item.key == key else frozenset()


def _found(items: tuple[Item, ...], key: str, name: str) -> Item | None:
    by_key = next((item for item in items if item.key == key), None)
    return by_key or next((item for item in items if name and item.name == name), None)


def _key(kind: str, name: str, taken: set[str]) -> str:
    """A new key, derived from the name so that it stays valid after a restart of the server."""
    stem = f"{kind}{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"
    keys = (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3)))
    key = next(key for key in keys if key not in taken)
    taken.add(key)
    return key


def faults_of(content: DraftContent) -> dict[str, str]:
    """The errors of a save, by the services' paths of fields."""
    contents = {file.sha256: b"" for file in content.files}
    shared = {
        bucket.shared_id: Bucket(bucket.name, PackageManager(bucket.manager), (), bucket.shared_id)
        for bucket in content.buckets
        if bucket.shared_id
    }
    try:
        validated(content, contents, shared)
    except InvalidInputError as error:
        return error.fields
    return {}


def list_faults(work: Work, key: str) -> str:
    """The errors of the template's own list ``key``, line by line; empty if all lines are valid."""
    item = next((item for item in work.packages if item.key == key and not item.shared_id), None)
    if item is None:
        return ""
    found = read_listing(item.name, PackageManager(item.manager), item.lines).faults
    return "; ".join(
        f"{text.LINT_LINE.format(line=f.line)}: {text.in_words_of(f.message)}" for f in found[:LIST_FAULTS_SHOWN]
    )
