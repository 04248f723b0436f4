"""Debian packages from the machine's mirror, unpacked as ``dpkg --unpack`` does."""

from __future__ import annotations

import hashlib
import re
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.namespaces.launcher import tool

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


# A Debian container template has these besides the required packages, and the shipped templates need them.
_EXTRA_PACKAGES = (
    *("apt", "ca-certificates", "dbus", "iproute2", "netbase", "openssh-client"),
    *("procps", "python3", "systemd-sysv", "tzdata"),
)
_LISTING_TIMEOUT_S, _DOWNLOAD_TIMEOUT_S = 120, 600
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_UNPACKED = "Status: install ok unpacked"
_APT_OPTIONS = {
    "Dir::State::lists": "lists",
    "Dir::State::status": "status",
    "Dir::State::extended_states": "extended_states",
    "Dir::Cache": "cache",
    "Dir::Cache::archives": "archives",
    "Dir::Log": "log",
    "Dir::Etc::sourcelist": "sources.list",
    "Dir::Etc::sourceparts": "sources.list.d",
    "Dir::Etc::preferences": "preferences",
    "Dir::Etc::preferencesparts": "preferences.d",
}
_APT_VALUES = {
    "APT::Install-Recommends": "false",
    "APT::Sandbox::User": "",
    "Acquire::Retries": "3",
    "Acquire::http::Timeout": "30",
    "Acquire::https::Timeout": "30",
}


@dataclass(frozen=True, slots=True)
class Control:
    """``stanza``: dpkg's status without ``Status`` and ``Conffiles``. ``files``: the control archive."""

    stanza: str
    files: Mapping[str, bytes]

    def value(self, name: str) -> str:
        """The value of a one-line field, "" if missing."""
        match = re.search(rf"^{name}:[ \t]*(.*)$", self.stanza, re.MULTILINE)
        return match[1].strip() if match else ""

    @property
    def name(self) -> str:
        """The name of the package's files in dpkg's database."""
        same = self.value("Multi-Arch") == "same"
        return self.value("Package") + (f":{self.value('Architecture')}" if same else "")


@dataclass(slots=True)
class Database:
    """dpkg's database for packages that are unpacked and not configured."""

    stanzas: list[str] = field(default_factory=list)
    triggers: dict[str, list[str]] = field(default_factory=dict)  # file name in triggers/ -> its lines
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, control: Control, paths: Sequence[str], digests: Mapping[str, str]) -> None:
        """Add a package. ``paths`` are absolute, ``digests`` the MD5 sums of its conffiles."""
        conffiles = "".join(f"\n /{path} {digest}" for path, digest in digests.items())
        self.stanzas.append(
            f"{control.stanza.strip()}\n{_UNPACKED}\n" + (f"Conffiles:{conffiles}\n" if conffiles else "")
        )
        own = {name: content for name, content in control.files.items() if name not in {"control", "list"}}
        own["list"] = "".join(f"{path}\n" for path in ("/.", *paths)).encode()
        self.files |= {f"info/{control.name}.{name}": content for name, content in own.items()}
        for line in control.files.get("triggers", b"").decode().splitlines():
            self._interest(control.name, line.partition("#")[0].split())

    def _interest(self, package: str, words: Sequence[str]) -> None:
        if len(words) != 2 or not words[0].startswith("interest"):  # noqa: PLR2004
            return
        listener = package + ("/noawait" if words[0].endswith("-noawait") else "")
        if words[1].startswith("/"):
            self.triggers.setdefault("File", []).append(f"{words[1]} {listener}\n")
        else:
            self.triggers.setdefault(words[1], []).append(f"{listener}\n")

    def write(self, archive: BaseArchive) -> None:
        files = {
            "status": "\n".join(self.stanzas).encode(),
            "info/format": b"1\n",
            **{f"triggers/{name}": "".join(lines).encode() for name, lines in self.triggers.items()},
            **self.files,
            **dict.fromkeys(("available", "diversions", "statoverride"), b""),
        }
        for name in ("", "/info", "/triggers", "/updates", "/alternatives"):
            archive.folder(f"var/lib/dpkg{name}")
        for name, content in files.items():
            is_script = name.rpartition(".")[2] in _SCRIPTS
            archive.file(f"var/lib/dpkg/{name}", content, 0o755 if is_script else 0o644)


def write_packages(archive: BaseArchive, sources: Mapping[str, bytes]) -> None:
    """Download packages with the machine's apt and unpack them.

    ``sources``: apt's settings by path below ``etc/apt``. ``GuestError`` if apt cannot get a package.
    """
    database = Database()
    with tempfile.TemporaryDirectory(prefix="lxc-dashboard-base-") as folder:
        for path in sorted(_download(Path(folder), sources).glob("*.deb")):
            control = _control_of(path)
            paths, digests = archive.unpack(_piped("--fsys-tarfile", path), _conffiles(control))
            database.add(control, paths, digests)
    database.write(archive)


def _download(folder: Path, sources: Mapping[str, bytes]) -> Path:
    for name in ("lists/partial", "archives/partial", "cache", "log", "sources.list.d", "preferences.d", "apt.conf.d"):
        (folder / name).mkdir(parents=True)
    for name, content in {"status": b"", **sources}.items():
        (folder / name).write_bytes(content)
    options = {name: str(folder / path) for name, path in _APT_OPTIONS.items()} | _APT_VALUES
    apt = [tool("apt-get"), "--quiet", "--yes", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update"], _LISTING_TIMEOUT_S)
    packages = ["?essential", "?priority(required)", *_EXTRA_PACKAGES]
    _run([*apt, "--download-only", "install", *packages], _DOWNLOAD_TIMEOUT_S)
    return folder / "archives"


def _run(command: Sequence[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise GuestError("The machine's package mirror does not answer") from error
    if done.returncode:
        raise GuestError(
            "The machine's package mirror has no base for guests",
            detail=(done.stderr or done.stdout).decode(errors="replace").strip(),
        )


def _piped(part: str, deb: Path) -> tarfile.TarFile:
    process = subprocess.run([tool("dpkg-deb"), part, str(deb)], capture_output=True, check=False)
    if process.returncode:
        raise GuestError(f"{deb.name} cannot be unpacked", detail=process.stderr.decode(errors="replace").strip())
    return tarfile.open(fileobj=BytesIO(process.stdout))


def _control_of(deb: Path) -> Control:
    files: dict[str, bytes] = {}
    with _piped("--ctrl-tarfile", deb) as source:
        for member in source:
            if content := source.extractfile(member):
                files[member.name.removeprefix("./")] = content.read()
    return Control(files["control"].decode(), files)


def _conffiles(control: Control) -> set[str]:
    words = (line.split() for line in control.files.get("conffiles", b"").decode().splitlines())
    return {line[0].lstrip("/") for line in words if len(line) == 1}  # a line with more words is a conffile to remove
