"""Tells whether a template changed without reading it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.tree import is_inside

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
