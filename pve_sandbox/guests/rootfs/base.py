"""The bases of guests: a whole system below each guest's layer, cached for a machine and user.

The layer holds what the guest changes, and the files that identify it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import hashlib
import ipaddress
import json
import os
import re
import stat
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

import structlog

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.kind import GuestKind, GuestRecord
from pve_sandbox.guests.namespaces.launcher import tool
from pve_sandbox.guests.rootfs import debian
from pve_sandbox.guests.rootfs.debian import BaseArchive

log = structlog.get_logger(__name__)

_APT = Path("/etc/apt")
_REACHABLE = re.compile(r"\b(?:https?|ftp|mirror\+https?)://")
_SIGNED_BY = re.compile(r"signed-by\s*[=:]\s*(/[^\s\],]+)", re.IGNORECASE)
_SETTINGS = ("/etc/pip.conf", "/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")
_SETTING_FOLDERS = ("/etc/apt/trusted.gpg.d", "/usr/local/share/ca-certificates")
_TRANSFER = tuple(f"Acquire::{name}" for name in ("http", "ftp", "Check-", "ForceIP", "Languages"))
_DPKG_CONF = "/etc/dpkg/dpkg.cfg.d/95lxc-dashboard-sandbox"
# As in container images. Without a sync after each file, packages install several times faster.
_DPKG_LINES = (
    "force-unsafe-io",
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "lintian", "locale", "man")),
)
_APT_CONF = "apt.conf.d/95lxc-dashboard-sandbox"
_HELP_TIMEOUT_S = 10

# A copy of the machine: programs, settings, and state that package scripts need.
_TOPS = (
    *("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32"),
    *("var/cache/debconf", "var/lib/apk", "var/lib/dpkg", "var/lib/pacman", "var/lib/pam", "var/lib/rpm"),
    *("var/lib/sgml-base", "var/lib/systemd/deb-systemd-helper-enabled", "var/lib/ucf", "var/lib/xml-core"),
)
_LEFT_OUT = (
    *("etc/apt", "usr/local", "usr/lib/chromium", "usr/lib/jvm", "usr/lib64/jvm"),
    *("usr/share/fonts", "usr/share/icons", "usr/share/help"),
)
_ACCOUNT_FILES = {"passwd": 0o644, "group": 0o644, "shadow": 0o640, "gshadow": 0o640}
_NOT_COPIED = {f"etc/{name}" for name in (*_ACCOUNT_FILES, "subuid", "subgid")}
_PEOPLE = range(1000, 60000)
_ID_FIELD = 2
_OPEN = stat.S_IROTH | stat.S_IXOTH


def apt_settings(*, many_ids: bool) -> dict[str, bytes]:
    """Settings of apt by path below ``etc/apt``: sources that a guest reaches. Empty without apt."""
    try:
        command = ["apt-config", "dump", "--no-empty", "--format", '%F "%v";%n', "Acquire"]
        dumped = subprocess.run(command, capture_output=True, check=True, timeout=_HELP_TIMEOUT_S, text=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = [line for line in dumped.splitlines() if line.startswith(_TRANSFER) and "Auto-Detect" not in line]
    if not many_ids:
        lines.append('APT::Sandbox::User "root";')
    files = {_APT_CONF: "".join(f"{line}\n" for line in lines).encode()}
    for path in [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]:
        if path.is_file() and os.access(path, os.R_OK) and path.suffix in {".list", ".sources"}:
            between = "\n\n" if path.suffix == ".sources" else "\n"
            parts = path.read_text(encoding="utf-8", errors="replace").split(between)
            if reachable := between.join(filter(_REACHABLE.search, parts)).strip():
                files[str(path.relative_to(_APT))] = f"{reachable}\n".encode()
    return files


def settings_files(apt: dict[str, bytes]) -> dict[str, bytes]:
    """Settings by absolute path: keys, certificates and mirrors of this machine, and dpkg's."""
    keys = [Path(match) for content in apt.values() for match in _SIGNED_BY.findall(content.decode())]
    folders = [path for folder in _SETTING_FOLDERS for path in sorted(Path(folder).rglob("*"))]
    paths = [path for path in (*keys, *map(Path, _SETTINGS), *folders) if path.is_file()]
    files = {str(path): path.read_bytes() for path in paths if path.stat().st_mode & stat.S_IROTH}
    return files | ({_DPKG_CONF: "".join(f"{line}\n" for line in _DPKG_LINES).encode()} if apt else {})


def write_system(archive: BaseArchive, root: Path = Path("/")) -> None:
    """Copy the machine's programs, settings and system accounts, without its people."""
    for path in _walk(root):
        if path.rstrip("-") not in _NOT_COPIED:
            archive.copy(path)
    for setting in sorted((root / "etc/skel").glob("*")):  # including names with a dot
        if setting.is_file():
            archive.file(f"root/{setting.name}", setting.read_bytes())
    for name, content in _accounts(root / "etc").items():
        archive.file(f"etc/{name}", content.encode(), _ACCOUNT_FILES[name])


def _walk(root: Path) -> Iterator[str]:
    """Yield relative paths, each folder before its content."""
    for top in _TOPS:
        if (root / top).is_symlink() or _is_closed(root, top):
            continue
        for place, folders, files in os.walk(root / top):
            here = os.path.relpath(place, root)
            yield here
            yield from (f"{here}/{name}" for name in files)
            yield from (f"{here}/{name}" for name in folders if Path(place, name).is_symlink())
            folders[:] = [name for name in folders if not _is_closed(root, f"{here}/{name}")]


def _is_closed(root: Path, folder: str) -> bool:
    path = root / folder
    return folder in _LEFT_OUT or not path.is_dir() or path.lstat().st_mode & _OPEN != _OPEN


def _accounts(etc: Path) -> dict[str, str]:
    users, groups = (_system_lines((etc / name).read_text(encoding="utf-8")) for name in ("passwd", "group"))
    names = [line.split(":")[0] for line in users]
    texts = {
        "passwd": users,
        "group": [line.rpartition(":")[0] + ":" for line in groups],
        "shadow": [f"{name}:{'*' if name == 'root' else '!*'}:19000:0:99999:7:::" for name in names],
        "gshadow": [f"{line.split(':')[0]}:*::" for line in groups],
    }
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in texts.items()}


def _system_lines(text: str) -> Sequence[str]:
    """The lines of system accounts."""
    fields = [(line, line.split(":")[_ID_FIELD]) for line in text.splitlines() if line.count(":") > _ID_FIELD]
    return [line for line, number in fields if number.isdecimal() and int(number) not in _PEOPLE]


_FOLDERS = {"": 0o755, "etc": 0o755, "var": 0o755, "root": 0o700}  # the folders that ``write_identity`` writes to


def make_folder(path: Path, owner: int, mode: int = 0o755) -> None:
    path.mkdir()
    path.chmod(mode)
    give(path, owner)


def give(path: Path, owner: int) -> None:
    """Change the owner to ``owner``, the uid of the guest's root on this machine."""
    if owner != os.geteuid():
        os.chown(path, owner, owner)


def write_file(path: Path, text: str, owner: int, mode: int = 0o644) -> None:
    """Create a file of the guest's root."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, mode)
    give(path, owner)


def build_layer(folder: Path, owner: int) -> None:
    """Create an empty layer: ``upper`` and ``work`` in the guest's ``folder``."""
    for name, mode in _FOLDERS.items():
        make_folder(folder / "upper" / name, owner, mode)
    make_folder(folder / "work", owner)


def write_identity(folder: Path, record: GuestRecord, nameserver: str, owner: int) -> None:
    """Write hostname, hosts, resolver, machine id and SSH keys into a new layer."""
    etc, spec = folder / "upper/etc", record.spec
    files = {
        "hostname": f"{spec.hostname}\n",
        "hosts": _hosts(record),
        "resolv.conf": f"nameserver {nameserver}\n",
        "machine-id": f"{uuid.uuid4().hex}\n",
        "fstab": "",
    }
    for name, text in files.items():
        write_file(etc / name, text, owner)
    for path in (etc / ".updated", folder / "upper/var/.updated"):  # marks systemd's first-boot work as done
        write_file(path, "", owner)
    if spec.ssh_public_keys.strip():
        ssh = folder / "upper/root/.ssh"
        make_folder(ssh, owner, 0o700)
        keys = f"# --- BEGIN PVE ---\n{spec.ssh_public_keys.strip()}\n# --- END PVE ---\n"  # PVE's markers
        write_file(ssh / "authorized_keys", keys, owner, 0o600)


def _hosts(record: GuestRecord) -> str:
    """The guest's own name, and the names in the machine's hosts file, such as a mirror's."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines.append(f"{record.address.split('/')[0]} {record.spec.hostname}")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in Path("/etc/hosts").read_text(encoding="utf-8").splitlines():
            words = line.partition("#")[0].split()
            with contextlib.suppress(ValueError, IndexError):
                if not ipaddress.ip_address(words[0].partition("%")[0]).is_loopback and ":" not in words[0]:
                    lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


_FORMAT = "1"
_OS_RELEASE = Path("/etc/os-release")
_FILE = "base.json"
_USERS = "users"  # links to the guests' folders that use a base
_EXTRACT = ("--extract", "--file=-", "--numeric-owner", "--same-owner", "--preserve-permissions")
_LEFT = ".left"
_POLL_S = 0.1
_POLICY = "usr/sbin/policy-rc.d"  # Debian's packages call it before they start a service
# Runs as root in the base. Services start in guests without systemd, but not while the base is made.
CONFIGURE = f"""
set -e
command -v dpkg >/dev/null || exit 0
export DEBIAN_FRONTEND=noninteractive
for name in passwd group; do [ -e /etc/$name ] || cp /usr/share/base-passwd/$name.master /etc/$name; done
printf '#!/bin/sh\\nexit 101\\n' >/{_POLICY}
chmod 755 /{_POLICY}
dpkg --configure --pending </dev/null
printf '#!/bin/sh\\nexit 0\\n' >/{_POLICY}
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-
"""


@dataclass(frozen=True, slots=True)
class Base:
    """``tree`` is the system. Operators see ``source`` and ``made`` (UTC)."""

    folder: Path
    source: str
    made: str
    id_map: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def description(self) -> str:
        return f"Their system: {self.source}, {self.made} (remove {self.folder} for a new one)."

    def hold(self, guests: Path) -> int:
        """Keep the base for the guests in ``guests``, while the returned descriptor is open."""
        users = self.folder / _USERS
        users.mkdir(exist_ok=True)
        link = users / hashlib.sha256(str(guests).encode()).hexdigest()[:12]
        with contextlib.suppress(FileExistsError):
            link.symlink_to(guests)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor


class Builder(Protocol):
    """What the creation of a base needs from the guests' host."""

    @property
    def hidden(self) -> Sequence[Path]: ...  # folders of this machine that no guest may see
    @property
    def guest_kind(self) -> GuestKind: ...
    def as_guest_root(self, command: Sequence[str]) -> list[str]: ...  # in the guests' user namespace only
    async def run_in_tree(self, tree: Path, script: str) -> None: ...  # in a guest whose system is ``tree``
    async def remove_folder(self, folder: Path) -> None: ...


def cache_folder() -> Path:
    """The cache folder of this user. All sandboxes share it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lxc-dashboard" / "guest-bases"


async def find_base(builder: Builder) -> Base:
    """Return the base for this machine and user. Creates one if needed, which takes a minute.

    Other sandboxes wait meanwhile. ``GuestError`` or ``OSError`` if none can be made.
    """
    folder = cache_folder()
    settings = await asyncio.to_thread(_Settings.read, many_ids=builder.guest_kind.many_ids)
    place = folder / settings.digest(builder.guest_kind.id_map)
    if base := load_base(place):
        return base
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with _locked(folder / "lock"):
        if base := load_base(place):
            return base
        for left in await asyncio.to_thread(lambda: list(unused_bases(folder, builder.guest_kind.id_map))):
            await builder.remove_folder(left)
        return await _create(place, builder, settings)


def load_base(place: Path) -> Base | None:
    """Load a base. ``None`` if it is missing or incomplete."""
    try:
        document = json.loads((place / _FILE).read_text(encoding="utf-8"))
        return Base(place, document["source"], document["made"], document["id_map"])
    except (OSError, ValueError, KeyError):
        return None


def unused_bases(folder: Path, id_map: str) -> Iterator[Path]:
    """Yield bases of ``id_map`` without guests, and incomplete ones. Hold the lock meanwhile."""
    for path in folder.iterdir():
        base = load_base(path)
        if path.suffix == _LEFT or (base and base.id_map == id_map and not _is_used(path)):
            left = path.with_suffix(_LEFT)
            path.rename(left)  # a base that is being removed must not look complete
            yield left


def _is_used(base: Path) -> bool:
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    guests = [path.parent for path in base.glob(f"{_USERS}/*/*/guest.json")]
    return any((record := GuestRecord.load(guest)) and record.base == base.name for guest in guests)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The content of a base besides the packages."""

    release: str
    apt: Mapping[str, bytes]
    files: Mapping[str, bytes]  # by absolute path

    @classmethod
    def read(cls, *, many_ids: bool) -> _Settings:
        release = _OS_RELEASE.read_text(encoding="utf-8") if _OS_RELEASE.exists() else ""
        apt = apt_settings(many_ids=many_ids)
        return cls(release, apt, settings_files(apt))

    def digest(self, id_map: str) -> str:
        return hashlib.sha256(repr((_FORMAT, id_map, self)).encode()).hexdigest()[:12]

    def write(self, archive: BaseArchive) -> None:
        for name, content in self.apt.items():
            archive.file(f"etc/apt/{name}", content)
        for path, content in self.files.items():
            archive.file(path.lstrip("/"), content)


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock among processes."""
    with path.open("w", encoding="ascii") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_POLL_S)
        yield


async def _create(place: Path, builder: Builder, settings: _Settings) -> Base:
    """Create a base with the first method that works."""
    new = place.with_suffix(_LEFT)  # its name until it is complete
    refusals: list[str] = []
    for source, write in _methods(settings):
        if new.exists():
            await builder.remove_folder(new)
        log.info("base creation started", source=source)
        try:
            await _fill(new, builder, write, settings)
        except (OSError, GuestError, subprocess.SubprocessError, tarfile.TarError) as error:
            refusals.append(f"{source}: {error.message if isinstance(error, GuestError) else error}")
            log.warning("base creation failed", source=source, error=str(error))
            continue
        base = Base(place, source, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", builder.guest_kind.id_map)
        document = {"source": base.source, "made": base.made, "id_map": base.id_map}
        (new / _FILE).write_text(json.dumps(document), encoding="utf-8")
        if await asyncio.to_thread(place.exists):  # of another version, or without its description
            await builder.remove_folder(place)
        new.rename(place)
        return base
    await builder.remove_folder(new)
    raise GuestError("No base for guests can be made", detail="; ".join(refusals))


Write = Callable[[BaseArchive], None]


def _methods(settings: _Settings) -> list[tuple[str, Write]]:
    """The methods to create a base, best first."""
    copy: tuple[str, Write] = ("a copy of this machine's system", write_system)
    if not settings.apt:
        return [copy]
    write_packages = functools.partial(debian.write_packages, sources=settings.apt)
    return [("Debian's packages from the machine's mirror", write_packages), copy]


async def _fill(new: Path, builder: Builder, write: Write, settings: _Settings) -> None:
    tree = new / "tree"
    tree.mkdir(mode=0o755, parents=True)
    give(tree, builder.guest_kind.owner)

    def unpack() -> None:
        command = builder.as_guest_root([tool("tar"), *_EXTRACT])
        with tempfile.TemporaryFile() as errors, _pipe_to(command, tree, errors) as tar:
            with tar.stdin or errors as pipe, BaseArchive(pipe, builder.hidden) as archive:
                write(archive)
                settings.write(archive)
            if tar.wait():
                errors.seek(0)
                raise GuestError("The files of a base cannot be written", detail=errors.read().decode(errors="replace"))

    await asyncio.to_thread(unpack)
    await builder.run_in_tree(tree, CONFIGURE)


def _pipe_to(command: Sequence[str], folder: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
