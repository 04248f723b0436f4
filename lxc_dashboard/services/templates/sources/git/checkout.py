"""Writes a tree of an untrusted repository into a folder.

Names that lead out of the folder are omitted and reported. Links are made last, so that nothing is written through a link.
``format/tree.py`` decides later where links may lead.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from dulwich.errors import NotTreeError, ObjectFormatException
from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, ObjectID, Tree

from lxc_dashboard.errors import SourceError, SourceGoneError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.tree import plain_text
from lxc_dashboard.services.templates.sources.git.codes import GitCode
from lxc_dashboard.services.templates.sources.git.reader_process import Omission

MAX_CHECKOUT_BYTES: Final = 256 << 20
MAX_ENTRIES: Final = 20_000
MAX_DEPTH: Final = 24
MAX_REFUSALS: Final = 100
MAX_NAME_BYTES: Final = 255
MAX_LINK_BYTES: Final = 4095
SUBMODULE: Final = 0o160000


def subtree(store: BaseObjectStore, root: ObjectID, subfolder: str) -> ObjectID:
    """The tree at ``subfolder``. Raises ``SourceGoneError`` if there is none."""
    tree_id = root
    for part in subfolder.split("/") if subfolder else ():
        try:
            mode, tree_id = _tree(store, tree_id)[part.encode()]
        except KeyError:
            mode = 0
        if not stat.S_ISDIR(mode):
            raise SourceGoneError(Message.of(GitCode.NO_FOLDER, folder=subfolder))
    return tree_id


def write_tree(store: BaseObjectStore, root: ObjectID, into: Path, shown: str = "") -> list[Omission]:
    """Write the tree ``root`` into the empty folder ``into``; return the omissions, whose paths begin with ``shown``.

    Raises ``SourceError`` above the limits.
    """
    checkout = _Checkout(store, into, shown)
    checkout.folder(root, "", 0)
    checkout.make_links()
    return checkout.omitted


def write_above(store: BaseObjectStore, root: ObjectID, into: Path, subfolder: str, name: str) -> list[Omission]:
    """Write the file ``name`` of each folder above ``subfolder``, which exists below ``into``; return the omissions."""
    checkout = _Checkout(store, into, "")
    parts = PurePosixPath(subfolder).parts
    for depth in range(len(parts)):
        above = "/".join(parts[:depth])
        tree = _tree(store, subtree(store, root, above))
        if name.encode() not in tree:
            continue
        mode, entry_id = tree[name.encode()]
        if not stat.S_ISDIR(mode):
            checkout.entry(f"{above}/{name}" if above else name, mode, entry_id, depth)
    checkout.make_links()
    return checkout.omitted


@dataclass(slots=True)
class _Checkout:
    store: BaseObjectStore
    into: Path
    shown: str
    omitted: list[Omission] = field(default_factory=list)
    links: list[tuple[str, bytes]] = field(default_factory=list)
    entries: int = 0
    written: int = 0

    def folder(self, tree_id: ObjectID, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._omit(path, Message.of(GitCode.DEEP, most=MAX_DEPTH))
            return
        for raw, mode, entry_id in _tree(self.store, tree_id).iteritems():
            self.entries += 1
            if self.entries > MAX_ENTRIES:
                raise SourceError(Message.of(GitCode.MANY_FILES, most=f"{MAX_ENTRIES:,}"))
            name = os.fsdecode(raw)
            below = f"{path}/{name}" if path else name
            fault = _fault(raw)
            if fault:
                self._omit(below, fault)
            else:
                self.entry(below, mode, entry_id, depth)

    def make_links(self) -> None:
        for path, target in self.links:
            try:
                (self.into / path).symlink_to(os.fsdecode(target))
            except (OSError, ValueError):
                self._omit(path, Message.of(GitCode.LINK_UNMADE))

    def entry(self, path: str, mode: int, entry_id: ObjectID, depth: int) -> None:
        if stat.S_ISDIR(mode):
            try:
                (self.into / path).mkdir(mode=0o755)
            except OSError as error:
                self._omit(path, Message.of(GitCode.UNWRITABLE, cause=error.strerror or ""))
                return
            self.folder(entry_id, path, depth + 1)
        elif mode == SUBMODULE:
            self._omit(path, Message.of(GitCode.SUBMODULE))
        elif stat.S_ISLNK(mode):
            target = self._blob(entry_id)
            if 0 < len(target) <= MAX_LINK_BYTES and b"\0" not in target:
                self.links.append((path, target))
            else:
                self._omit(path, Message.of(GitCode.LINK_NOWHERE))
        elif stat.S_ISREG(mode):
            self._file(path, self._blob(entry_id), executable=bool(mode & stat.S_IXUSR))
        else:
            self._omit(path, Message.of(GitCode.SPECIAL))

    def _file(self, path: str, data: bytes, *, executable: bool) -> None:
        self.written += len(data)
        if self.written > MAX_CHECKOUT_BYTES:
            raise SourceError(Message.of(GitCode.LARGE, most=f"{MAX_CHECKOUT_BYTES:,}"))
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.into / path, how, 0o755 if executable else 0o644)
        except OSError as error:
            self._omit(path, Message.of(GitCode.UNWRITABLE, cause=error.strerror or ""))
            return
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)

    def _blob(self, blob_id: ObjectID) -> bytes:
        found = self.store[blob_id]
        if not isinstance(found, Blob):
            raise SourceError(Message.of(GitCode.DAMAGED_FILE))
        return found.data

    def _omit(self, path: str, why: Message) -> None:
        if len(self.omitted) < MAX_REFUSALS:
            self.omitted.append(Omission(plain_text(f"{self.shown}/{path}" if self.shown else path), why))


def _tree(store: BaseObjectStore, tree_id: ObjectID) -> Tree:
    try:
        found = store[tree_id]
    except (KeyError, NotTreeError, ObjectFormatException) as error:
        raise SourceError(Message.of(GitCode.FOLDER_MISSING)) from error
    if not isinstance(found, Tree):
        raise SourceError(Message.of(GitCode.DAMAGED_FOLDER))
    return found


def _fault(name: bytes) -> Message | None:
    if name in {b"", b".", b".."} or b"/" in name or b"\0" in name:
        return Message.of(GitCode.BAD_NAME)
    if name.lower() == b".git":
        return Message.of(GitCode.OWN_FOLDER)
    if len(name) > MAX_NAME_BYTES:
        return Message.of(GitCode.LONG_NAME)
    return None
