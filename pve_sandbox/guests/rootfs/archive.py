"""The tar stream of a base. Owners and modes are those inside a guest."""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Self

# Links into usr on current systems. Packages of older releases have them as folders.
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Only files are left out, because package scripts write to the folders.
_LEFT_OUT = (
    *("usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/"),
    *("usr/include/", "usr/src/", "usr/lib/debug/", "usr/lib/firmware/", "usr/lib/modules/"),
)
_OPEN_FOLDERS = (
    *("boot", "dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "usr", "usr/local", "var"),
    *("var/cache", "var/lib", "var/log", "var/spool"),
)
_LINKS = {"var/lock": "../run/lock", "var/run": "../run"}
_FOLDERS = {**dict.fromkeys(_OPEN_FOLDERS, 0o755), "root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}


class BaseArchive:
    """Writes to the pipe ``target``. Copies from ``machine``, a root folder, except ``hidden``."""

    def __init__(self, target: IO[bytes], hidden: Sequence[Path], machine: Path = Path("/")) -> None:
        self._tar = tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT)  # noqa: SIM115 - closed by __exit__
        self._hidden = hidden
        self._machine = machine
        self._folders: set[str] = set()
        self._merged = {name for name in _MERGED if (machine / name).is_symlink()}

    def __enter__(self) -> Self:
        for name, mode in _FOLDERS.items():
            self.folder(name, mode)
        for name in sorted(self._merged):
            self.folder(f"usr/{name}")
            self._link(name, f"usr/{name}")
        for name, target in _LINKS.items():
            self._link(name, target)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._tar.close()
        except OSError:
            if kind is None:
                raise

    def folder(self, path: str, mode: int = 0o755) -> None:
        member = tarfile.TarInfo(path)
        member.type, member.mode = tarfile.DIRTYPE, mode
        self._add(member)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        member = tarfile.TarInfo(path)
        member.size, member.mode = len(content), mode
        self._tar.addfile(member, BytesIO(content))

    def _link(self, path: str, target: str) -> None:
        member = tarfile.TarInfo(path)
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
        self._tar.addfile(member)

    def unpack(self, package: tarfile.TarFile, conffiles: Collection[str]) -> tuple[list[str], dict[str, str]]:
        """Add a package's files. Returns their absolute paths and the MD5 sums of ``conffiles``."""
        paths: list[str] = []
        digests: dict[str, str] = {}
        for member in package:
            path = member.name.removeprefix(".").strip("/")
            if not path:
                continue
            paths.append(f"/{path}")
            member.name = path
            if path in conffiles and (file := package.extractfile(member)):
                digests[path] = hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
            if member.islnk():
                member.linkname = self._place(member.linkname.removeprefix("./"))
            with_content = member.isreg()
            self._add(member, package.extractfile(member) if with_content else None)
        return paths, digests

    def copy(self, path: str) -> None:
        """Add the machine's folder, link or file at the relative ``path``, if everybody may read it."""
        source = self._machine / path
        if any(source.is_relative_to(hidden) for hidden in self._hidden):
            return
        status = source.lstat()
        member = tarfile.TarInfo(path)
        member.mode, member.uid, member.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        member.mtime = int(status.st_mtime)
        if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IROTH:
            member.size = status.st_size
            with source.open("rb") as file:
                self._add(member, file)
        elif stat.S_ISDIR(status.st_mode):
            member.type = tarfile.DIRTYPE
            self._add(member)
        elif stat.S_ISLNK(status.st_mode):
            member.type, member.linkname = tarfile.SYMTYPE, str(source.readlink())
            self._add(member)

    def _add(self, member: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        """Add an entry. Skips known folders, links of the base, and files that are left out."""
        if member.name in _LINKS or (member.issym() and member.name in self._merged):
            return
        member.name = self._place(member.name) if "/" in member.name or member.isdir() else member.name
        if member.isdir():
            if member.name in self._folders:
                return
            self._folders.add(member.name)
        elif member.name.startswith(_LEFT_OUT):
            return
        self._tar.addfile(member, content)

    def _place(self, path: str) -> str:
        return f"usr/{path}" if path.partition("/")[0] in self._merged else path
