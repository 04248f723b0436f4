"""What a base copies from this machine besides packages, such as settings for apt and pip."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from pve_sandbox.guests.rootfs.archive import BaseArchive

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
