"""Finds and reads the templates in a folder, except those that did not change."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.assignments import MAX_CONF_BYTES
from lxc_dashboard.services.templates.format.conf import CONF_NAME, parse_conf
from lxc_dashboard.services.templates.format.content import CONFIGS_NAME, config_paths, read_content
from lxc_dashboard.services.templates.format.layout import MANIFEST_NAME, TemplateSays, applied, read_manifest
from lxc_dashboard.services.templates.format.tree import Tree, is_inside, plain_text
from lxc_dashboard.services.templates.model import Refusal, TemplateContent, is_template_name
from lxc_dashboard.services.templates.sources.codes import FolderCode

# Increase it when the parser reads the same files differently: then all are read again.
FORMAT = 4
MAX_DEPTH = 10
MAX_ENTRIES = 20_000

_Mark = tuple[str, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The state of a template's files. ``paths`` are relative to the root. The first file determines the other paths.

    ``digests``: one for the first path and one for the rest. ``refusal``: (file, line, why) of a template that was refused.
    ``manifest``: digest of the template's entry in a manifest; empty without one.
    """

    name: str
    paths: tuple[str, ...]
    digests: tuple[str, ...]
    refusal: tuple[str, int, Message] | None = None
    manifest: str = ""

    @classmethod
    def of(cls, name: str, root: str, path: str, manifest: str = "") -> Fingerprint:
        """The fingerprint of one file below ``root`` (real)."""
        return cls(name, (path,), (_digest(root, (path,), path.rpartition("/")[0]),), manifest=manifest)

    def extended(self, root: str, paths: tuple[str, ...]) -> Fingerprint:
        """Add the current state of ``paths`` to the earlier state of the first path."""
        digests = (*self.digests[:1], _digest(root, paths, self._home))
        return replace(self, paths=(*self.paths[:1], *paths), digests=digests)

    def stands(self, root: str) -> bool:
        """Whether nothing has changed."""
        parts = [self.paths[:1], self.paths[1:]][: len(self.digests)]
        return bool(self.digests) and all(
            digest and digest == _digest(root, part, self._home)
            for digest, part in zip(self.digests, parts, strict=False)
        )

    @property
    def _home(self) -> str:
        return self.paths[0].rpartition("/")[0] if self.paths else ""

    def to_json(self) -> dict[str, Any]:
        """JSON that ``from_json`` reads back."""
        return {
            "name": self.name,
            "paths": list(self.paths),
            "digests": list(self.digests),
            "refusal": [*self.refusal[:2], self.refusal[2].to_json()] if self.refusal else None,
            "manifest": self.manifest,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Fingerprint:
        refusal = stored.get("refusal")
        return cls(
            name=str(stored.get("name", "")),
            paths=tuple(stored.get("paths", ())),
            digests=tuple(stored.get("digests", ())),
            refusal=(str(refusal[0]), int(refusal[1]), Message.from_json(refusal[2])) if refusal else None,
            manifest=str(stored.get("manifest", "")),
        )


def _digest(root: str, paths: tuple[str, ...], home: str) -> str:
    """Hex digest over names, inodes, sizes, modes and times of all files and folders at ``paths`` below ``root`` (real).

    ``home``: the template's folder, which is no link. Above ``MAX_ENTRIES`` the digest is empty, which always means changed.
    """
    found: list[_Mark] = []
    for path in paths:
        full = f"{root}/{path}"
        found.append(_mark(full))
        if stat.S_ISDIR(found[-1][1]) and _is_ours(full, root, path.rpartition("/")[0] == home):
            _walk(full, root, found, 0)
    if len(found) > MAX_ENTRIES:
        return ""
    found.sort()
    return hashlib.sha256(repr((FORMAT, found)).encode("utf-8", "backslashreplace")).hexdigest()


def _is_ours(folder: str, root: str, way_is_plain: bool) -> bool:
    """Whether the folder is inside ``root``. ``way_is_plain``: no folder above is a link, so the slow resolving is skipped."""
    if way_is_plain and not os.path.islink(folder):  # noqa: PTH114 - as below
        return True
    return is_inside(os.path.realpath(folder), root)


def _walk(folder: str, root: str, found: list[_Mark], depth: int) -> None:
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        found.append((folder, error.errno or 0, 0, 0, 0, 0))
        return
    for entry in entries:
        if len(found) > MAX_ENTRIES:
            return
        mark = _mark(entry)
        found.append(mark)
        if not stat.S_ISDIR(mark[1]) or depth >= MAX_DEPTH:
            continue
        if _is_ours(entry.path, root, way_is_plain=True):
            _walk(entry.path, root, found, depth + 1)


def _mark(entry: str | os.DirEntry[str]) -> _Mark:
    """The state of one file or folder. Follows links; mode 0 if it does not exist."""
    path = entry if isinstance(entry, str) else entry.path
    try:
        status = os.stat(path) if isinstance(entry, str) else entry.stat()  # noqa: PTH116 - a Path costs more than the call
    except OSError as error:
        return (path, 0, error.errno or 0, 0, 0, 0)
    return (path, status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


MAX_TEMPLATES = 5_000
MAX_SEARCH_DEPTH = 6
MAX_SEARCHED_FOLDERS = 20_000
MAX_DISCOVERY_BYTES = 256 << 20
MAX_ABSENT_SHOWN = 20

Fingerprints = Mapping[str, Fingerprint]

# Misspellings of the name, for example by editors on other systems.
_CONF_MISNAMED = re.compile(r"template[._-]?conf(?:\.txt|\.sh|ig)?", re.IGNORECASE)
_NOT_SEARCHED = {"node_modules", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Discovery:
    """The result of a search. ``found``: templates read now; ``unchanged``: names of templates that did not change.

    ``fingerprints``, by folder relative to the root, are for the next pass. If not ``complete``, some folder could not be
    searched, so there may be more templates.
    """

    found: tuple[TemplateContent, ...]
    refused: tuple[Refusal, ...]
    unchanged: tuple[str, ...] = ()
    fingerprints: Fingerprints = field(default_factory=dict)
    complete: bool = True


def discover(root: Path, known: Fingerprints | None = None, *, below: str = "") -> Discovery:
    """Find every template below ``root``, or below its folder ``below``. Skips those that ``known`` shows as unchanged.

    Raises ``TemplateError`` if there is no such folder; an invalid template is in ``refused``.
    """
    return _Pass(root, known or {}).run(below or ".")


def _below(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The entries of the manifest at ``path`` for templates in its folder and below, by name.

    ``fault``: why the manifest is invalid. Then all its templates are invalid. ``visited``: names of the templates found.
    """

    path: str = ""
    templates: Mapping[str, TemplateSays] = field(default_factory=dict)
    fault: TemplateError | None = None
    visited: set[str] = field(default_factory=set)

    def digest(self, name: str) -> str:
        """Digest of the template's entry. When it changes, the template ``name`` must be read again."""
        content = self.fault.reason if self.fault else self.templates.get(name)
        if content is None:
            return ""
        return hashlib.sha256(self.path.encode() + b"\0" + msgspec.json.encode(content, order="sorted")).hexdigest()

    def completed(self, content: TemplateContent) -> TemplateContent:
        says = self.templates.get(content.name)
        if says is None:
            return content
        try:
            return applied(content, says)
        except TemplateError as error:
            raise TemplateError(self.path, 0, error.why) from error

    def absent(self, refused: set[str]) -> Iterator[Refusal]:
        """One refusal for each entry without a folder. ``refused``: names that are already reported."""
        reported = self.visited | refused
        names = [name for name in self.templates if name not in reported]
        for name in names[:MAX_ABSENT_SHOWN]:
            yield Refusal(self.path, 0, Message.of(FolderCode.ABSENT, name=plain_text(name[:100])))
        if len(names) > MAX_ABSENT_SHOWN:
            more = f"{len(names) - MAX_ABSENT_SHOWN:,}"
            yield Refusal(self.path, 0, Message.of(FolderCode.ABSENT_MORE, more=more))


class _Pass:
    def __init__(self, root: Path, known: Fingerprints) -> None:
        try:
            self._root = root.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise TemplateError(str(root), 0, Message.of(FolderCode.NOT_THERE)) from error
        if not self._root.is_dir():
            raise TemplateError(str(root), 0, Message.of(FolderCode.NO_FOLDER))
        self._known = known
        self._found: list[TemplateContent] = []
        self._refused: list[Refusal] = []
        self._unchanged: list[str] = []
        self._fingerprints: dict[str, Fingerprint] = {}
        self._taken: dict[str, str] = {}
        self._manifests: list[_Manifest] = []
        self._bytes = 0
        self._searched = 0
        self._complete = True

    def run(self, start: str) -> Discovery:
        above = _Manifest()
        for folder in () if start == "." else reversed(PurePosixPath(start).parents):
            above = self._manifest(str(folder)) or above
        for location, manifest in self._search(start, above):
            name = plain_text(self._root.name if location == "." else location.rpartition("/")[2])
            conf = _below(location, CONF_NAME)
            manifest.visited.add(name)
            if not is_template_name(name):
                self._refuse(Refusal(plain_text(conf), 0, Message.of(FolderCode.BAD_NAME)))
            elif name in self._taken:
                self._refuse(Refusal(conf, 0, Message.of(FolderCode.SECOND, name=name, first=self._taken[name])))
            elif len(self._taken) == MAX_TEMPLATES:
                self._refuse(Refusal(conf, 0, Message.of(FolderCode.TOO_MANY, most=f"{MAX_TEMPLATES:,}"), name))
            else:
                self._taken[name] = conf
                self._visit(location, name, manifest)
        refused = {refusal.name for refusal in self._refused}
        for manifest in self._manifests if self._complete else ():
            self._refused += manifest.absent(refused)
        return Discovery(
            tuple(self._found), tuple(self._refused), tuple(self._unchanged), self._fingerprints, self._complete
        )

    def _manifest(self, folder: str) -> _Manifest | None:
        path = plain_text(_below(folder, MANIFEST_NAME))
        try:
            read = read_manifest(Tree(self._root), folder)
        except TemplateError as error:
            return _Manifest(path, fault=TemplateError(path, error.line, error.why))
        return _Manifest(path, {says.name: says for says in read.templates}) if read else None

    def _search(self, folder: str, outer: _Manifest, depth: int = 0) -> Iterator[tuple[str, _Manifest]]:
        """Folders with a template.conf, by path in the C locale, each with its nearest manifest.

        Does not search inside a template. ``outer``: the nearest manifest above ``folder``.
        """
        self._searched += 1
        if self._searched > MAX_SEARCHED_FOLDERS:
            if self._complete:
                why = Message.of(FolderCode.NOT_SEARCHED, most=f"{MAX_SEARCHED_FOLDERS:,}")
                self._refuse(Refusal(folder, 0, why))
            self._complete = False
            return
        try:
            with os.scandir(f"{self._root}/{folder}") as listing:
                entries = list(listing)
        except OSError as error:
            self._refuse_unreadable(folder, folder.rpartition("/")[2], error)
            self._complete = False
            return
        manifest = outer
        if any(entry.name == MANIFEST_NAME for entry in entries) and (own := self._manifest(folder)):
            manifest = own
            self._manifests.append(own)
        entries.sort(key=lambda entry: os.fsencode(entry.name))
        if any(entry.name == CONF_NAME for entry in entries):
            self._refuse_inner(folder, entries)
            yield folder, manifest
            return
        self._refuse_misnamed(folder, entries)
        for entry in entries:
            if self._may_hold_templates(entry) and depth < MAX_SEARCH_DEPTH:
                yield from self._search(_below(folder, entry.name), manifest, depth + 1)

    def _refuse_inner(self, folder: str, entries: Sequence[os.DirEntry[str]]) -> None:
        """Report templates inside another template, since the search ignores them."""
        for entry in entries:
            hidden = entry.name.startswith(".") or entry.name in {CONFIGS_NAME, *_NOT_SEARCHED}
            if hidden or not entry.is_dir(follow_symlinks=False) or not os.path.lexists(f"{entry.path}/{CONF_NAME}"):
                continue
            why = Message.of(FolderCode.INSIDE, name=plain_text(Path(self._root, folder).name))
            self._refuse(Refusal(plain_text(_below(folder, f"{entry.name}/{CONF_NAME}")), 0, why))

    def _refuse_misnamed(self, folder: str, entries: Sequence[os.DirEntry[str]]) -> None:
        """Report a misspelt template.conf beside ``container-configs``."""
        if not any(entry.name == CONFIGS_NAME for entry in entries):
            return
        for entry in entries:
            if _CONF_MISNAMED.fullmatch(entry.name) and entry.is_file():
                why = Message.of(FolderCode.MISNAMED, name=CONF_NAME)
                self._refuse(Refusal(plain_text(_below(folder, entry.name)), 0, why))

    def _may_hold_templates(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(".") or entry.name in _NOT_SEARCHED:
            return False
        if not entry.is_symlink():
            return entry.is_dir()
        # The search finds the target of a link inside this tree anyway. A link that leads out of it is refused.
        if not is_inside(os.path.realpath(entry.path), str(self._root)) and Path(entry.path).is_dir():
            shown = os.path.relpath(entry.path, self._root)
            self._refuse(Refusal(plain_text(shown), 0, Message.of(FolderCode.LINK_OUT), plain_text(entry.name)))
        return False

    def _visit(self, location: str, name: str, manifest: _Manifest) -> None:
        known = self._known.get(location)
        if known and known.manifest == manifest.digest(name) and known.stands(str(self._root)):
            self._fingerprints[location] = known
            if known.refusal:
                self._refuse(Refusal(*known.refusal, name))
            else:
                self._unchanged.append(name)
        elif self._bytes > MAX_DISCOVERY_BYTES:
            self._refuse(Refusal(location, 0, Message.of(FolderCode.NEXT_PASS), name))
        else:
            self._load(location, name, manifest)

    def _load(self, location: str, name: str, manifest: _Manifest) -> None:
        tree = Tree(self._root)
        path = _below(location, CONF_NAME)
        # Taken before reading: a change during the reading must differ for the next pass.
        fingerprint = Fingerprint.of(name, str(self._root), path, manifest.digest(name))
        try:
            if manifest.fault:
                raise manifest.fault.with_traceback(None)
            conf = tree.below(path)
            if conf is None:
                return
            config, warnings = parse_conf(tree.read(conf, MAX_CONF_BYTES)[0], file=conf.shown, app=name)
            configs = config_paths(location, config)
            fingerprint = fingerprint.extended(str(self._root), configs)
            content = manifest.completed(read_content(tree, name, config, conf))
            self._found.append(replace(content, warnings=(*warnings, *content.warnings)))
        except TemplateError as error:
            fingerprint = replace(fingerprint, refusal=(error.file, error.line, error.why))
            self._refuse(Refusal(error.file, error.line, error.why, name))
        except OSError as error:
            self._refuse_unreadable(location, name, error)
            return
        self._bytes += tree.bytes_read
        self._fingerprints[location] = fingerprint

    def _refuse_unreadable(self, location: str, name: str, error: OSError) -> None:
        shown = error.filename if isinstance(error.filename, str) else location
        shown = os.path.relpath(shown, self._root) if Path(shown).is_absolute() else shown
        why = Message.of(FolderCode.UNREADABLE, cause=error.strerror or "")
        self._refuse(Refusal(plain_text(shown), 0, why, plain_text(name)))

    def _refuse(self, refusal: Refusal) -> None:
        self._refused.append(refusal)
