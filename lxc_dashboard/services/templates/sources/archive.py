"""Templates as one archive, zip or tar.gz: a folder for each, and a manifest of what a folder cannot express.

Export is deterministic, and an import restores what was exported. An archive without a manifest (packed by hand, or by a git
host with one folder around all) is read like a folder of templates.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from lxc_dashboard.errors import ServiceUnavailableError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import manifest
from lxc_dashboard.services.templates.format.conf import CONF_NAME
from lxc_dashboard.services.templates.format.layout import WrittenFile, folded, written
from lxc_dashboard.services.templates.format.manifest import MANIFEST_NAME, mode_of
from lxc_dashboard.services.templates.format.tree import Tree
from lxc_dashboard.services.templates.model import Refusal, TemplateContent
from lxc_dashboard.services.templates.sources.codes import ArchiveCode
from lxc_dashboard.services.templates.sources.folder import Discovery, discover
from lxc_dashboard.services.templates.sources.tar_archive import gunzip, tar_members
from lxc_dashboard.services.templates.sources.unpacking import (
    MAX_ARCHIVE_BYTES,
    MAX_MEMBERS,
    LeftOut,
    Unpacking,
    check_ratio,
    check_unpacked,
    shown,
)
from lxc_dashboard.services.templates.sources.zip_archive import UNIX, zip_members

ArchiveKind = Literal["zip", "tar.gz"]
KINDS: Final[tuple[ArchiveKind, ...]] = ("zip", "tar.gz")
LEVEL: Final = 6
MAX_LEFT_OUT_SHOWN: Final = 100
# The earliest time that a zip can store.
EPOCH: Final = (1980, 1, 1, 0, 0, 0)

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP: Final = b"\x1f\x8b"
# Browsers number repeated downloads.
_SUFFIX = re.compile(r"(?: ?\([0-9]{1,3}\))?\.(zip|tgz|tar(?: ?\([0-9]{1,3}\))?\.gz)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """``found`` by folder; ``refused`` name the member at fault, below the archive's root."""

    found: tuple[TemplateContent, ...]
    refused: tuple[Refusal, ...] = ()


# Out


def export(contents: Sequence[TemplateContent], kind: ArchiveKind) -> bytes:
    """Pack these templates, by name. Deterministic, whatever their order.

    Raises ``TemplateError`` for a template that no folder can hold, for two of one name, and for what ``read`` would refuse.
    """
    ordered = sorted(contents, key=lambda content: content.name)
    members = {MANIFEST_NAME: WrittenFile(manifest.encode(ordered))}
    taken = {folded(MANIFEST_NAME)}
    for content in ordered:
        if folded(content.name) in taken:
            raise TemplateError(content.name, 0, Message.of(ArchiveCode.EXPORT_NAME_TWICE))
        taken.add(folded(content.name))
        members |= {f"{content.name}/{path}": file for path, file in written(content).items()}
    total = 0
    for path, file in members.items():
        total += len(file.data)
        check_unpacked(path, total)
    folders = {str(parent) for path in members for parent in PurePosixPath(path).parents}
    if len(members) + len(folders) > MAX_MEMBERS:
        raise TemplateError(MANIFEST_NAME, 0, Message.of(ArchiveCode.EXPORT_MANY_FILES, most=f"{MAX_MEMBERS:,}"))
    data = _zip(members) if kind == "zip" else _tar_gz(members)
    check_ratio(MANIFEST_NAME, len(data), total)
    if len(data) > MAX_ARCHIVE_BYTES:
        raise TemplateError(MANIFEST_NAME, 0, Message.of(ArchiveCode.EXPORT_TOO_LARGE, most=f"{MAX_ARCHIVE_BYTES:,}"))
    return data


def _zip(members: Mapping[str, WrittenFile]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, file in members.items():
            info = zipfile.ZipInfo(path, EPOCH)
            info.create_system = UNIX
            info.external_attr = (0o100000 | mode_of(executable=file.executable)) << 16
            archive.writestr(info, file.data, zipfile.ZIP_DEFLATED, LEVEL)
    return out.getvalue()


def _tar_gz(members: Mapping[str, WrittenFile]) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(file.data)
            info.mode = mode_of(executable=file.executable)
            archive.addfile(info, BytesIO(file.data))
    # Unlike gzip's own, this header has no time and no file name.
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(out.getbuffer()) + packer.flush()


# In


def read(data: bytes, filename: str = "archive") -> ImportResult:
    """Read the templates of a zip or tar.gz. ``filename`` names a template in its root, and stands in messages.

    Raises ``TemplateError`` (its file a member or ``filename``) for an archive that is refused as a whole, and
    ``ServiceUnavailableError`` if there is no space to unpack it.
    """
    name = PurePosixPath(shown(filename).replace("\\", "/")).name or "archive"
    if len(data) > MAX_ARCHIVE_BYTES:
        raise TemplateError(name, 0, Message.of(ArchiveCode.TOO_LARGE, most=f"{MAX_ARCHIVE_BYTES:,}"))
    try:
        with tempfile.TemporaryDirectory(prefix="lxc-dashboard-import-") as temporary:
            return _read(_unpacked(data, name, _begin(Path(temporary), _SUFFIX.sub("", name))), name)
    except OSError as error:
        raise ServiceUnavailableError(Message.of(ArchiveCode.NO_SPACE, cause=error.strerror or "")) from error


def _begin(temporary: Path, name: str) -> Path:
    """An empty folder named like the archive, if possible: a template in the archive's root gets this name."""
    root = temporary / (name.lstrip(".") or "archive")
    try:
        root.mkdir()
    except OSError:
        root = temporary / "archive"
        root.mkdir()
    return root


def _unpacked(data: bytes, name: str, root: Path) -> Unpacking:
    unpacking = Unpacking(root)
    if data.startswith(_ZIP):
        unpacking.run(zip_members(data, name))
    elif data.startswith(_GZIP):
        with tempfile.TemporaryFile() as tar:
            gunzip(data, name, tar)
            unpacking.run(tar_members(tar, name))
    else:
        raise TemplateError(name, 0, Message.of(ArchiveCode.UNKNOWN_KIND))
    return unpacking


def _read(unpacking: Unpacking, name: str) -> ImportResult:
    root = _root(unpacking.folder)
    around = "" if root == unpacking.folder else f"{root.name}/"
    _check_manifest(root, around)
    discovery = discover(root)
    refused = [replace(refusal, file=f"{around}{refusal.file}") for refusal in discovery.refused]
    incomplete = _incomplete(discovery, unpacking.left_out, around)
    kept = [content for content in discovery.found if content.name not in incomplete]
    refused += _left_out(unpacking.left_out, incomplete, discovery)
    if not kept and not refused:
        raise TemplateError(name, 0, Message.of(ArchiveCode.NO_TEMPLATE, conf=CONF_NAME))
    return ImportResult(tuple(kept), tuple(refused))


def _root(folder: Path) -> Path:
    """The folder that holds the templates: the only folder at the top, unless that is a template itself."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir() and not (entries[0] / CONF_NAME).exists():
        return entries[0]
    return folder


def _check_manifest(root: Path, around: str) -> None:
    """Raises ``TemplateError`` for an invalid manifest beside the templates: the archive is refused as a whole."""
    try:
        manifest.read_manifest(Tree(root.resolve()), ".")
    except TemplateError as error:
        raise TemplateError(f"{around}{error.file}", error.line, error.why) from error


def _incomplete(discovery: Discovery, left_out: Sequence[LeftOut], around: str) -> dict[str, LeftOut]:
    """The templates with members that were left out, by name, with the first such member."""
    found: dict[str, LeftOut] = {}
    for location, mark in discovery.fingerprints.items():
        places = [place for place in (location, *mark.paths) if place != "."]
        for member in left_out:
            below = member.path.removeprefix(around)
            if location == "." or any(f"{below}/".startswith(f"{place}/") for place in places):
                found.setdefault(mark.name, member)
    return found


def _left_out(
    left_out: Sequence[LeftOut], incomplete: Mapping[str, LeftOut], discovery: Discovery
) -> Iterator[Refusal]:
    """One refusal for each incomplete template, then those of the other members."""
    already = {refusal.name for refusal in discovery.refused}
    named = {name: member for name, member in incomplete.items() if name not in already}
    for name, member in named.items():
        yield Refusal(shown(member.path), 0, member.why, name)
    reported = {member.path for member in named.values()}
    others = [member for member in left_out if member.path not in reported]
    for member in others[:MAX_LEFT_OUT_SHOWN]:
        yield Refusal(shown(member.path), 0, member.why)
    if len(others) > MAX_LEFT_OUT_SHOWN:
        yield Refusal("", 0, Message.of(ArchiveCode.MORE_LEFT_OUT, more=f"{len(others) - MAX_LEFT_OUT_SHOWN:,}"))
