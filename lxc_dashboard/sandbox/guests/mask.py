"""The layer that lies between the machine's folders and a guest's own changes: what hides and what replaces."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from lxc_dashboard.sandbox.guests.tree import TreeRules, entries, holds, make_folder, own, write_file

_GUARDED = ("etc", "opt", "usr/local")  # where a file that not everybody may read is a secret
_KEPT = {"sudoers"}
_POLICY = "usr/sbin/policy-rc.d"  # asked by Debian's packages before they start a service
_SETTINGS = ("etc", "var/lib/dpkg", "var/lib/apt")  # where a guest's root changes files in place
_LARGEST_COPY_BYTES = 32 * 1024 * 1024
_PEOPLE = range(1000, 60000)
_SKELETON_FORMAT = "1"


class Mask:
    """Builds ``guests/mask``. Safe to repeat while no guest runs.

    What the machine gets later, while guests run, is not looked at before the next ``build``.
    """

    def __init__(self, folder: Path, rules: TreeRules) -> None:
        self._folder = folder
        self._rules = rules

    def build(self, shared: Sequence[str]) -> None:
        """The copies are kept while the machine's folders are as they were; what is to be hidden is looked for anew."""
        stamp = self._stamp(shared)
        marker = self._folder / ".stamp"
        if not (self._rules.copies and marker.is_file() and marker.read_text() == stamp):
            if self._folder.exists():
                shutil.rmtree(self._folder)
            self._folder.mkdir(mode=0o755)
            for top in shared if self._rules.copies else ():
                self._parents(Path(top))
                self._copy_folders(top)
        for top in shared:
            self._parents(Path(top))
            self._cover(top)
        self._accounts()
        self._package_settings()
        marker.write_text(stamp)

    def _stamp(self, shared: Sequence[str]) -> str:
        """Changes when the machine's settings or packages may have: accounts, /etc, the package database."""
        seen = [Path("/etc"), Path("/etc/passwd"), Path("/etc/group"), Path("/usr"), Path("/opt")]
        times = [str(path.stat().st_mtime_ns) for path in (*seen, *(Path("/", top) for top in shared)) if path.exists()]
        return "\n".join((_SKELETON_FORMAT, str(self._rules), *shared, *times))

    def _parents(self, relative: Path) -> Path:
        """Folders above and at ``relative``, with the attributes that they have on the machine."""
        path = self._folder
        for part in relative.parts:
            path /= part
            if not path.exists():
                make_folder(path, Path("/", path.relative_to(self._folder)).stat(), self._rules)
        return path

    def _cover(self, top: str) -> None:
        for guarded in _GUARDED:
            if guarded == top or guarded.startswith(f"{top}/"):
                self._hide_secrets(Path("/", guarded))
        for path in self._rules.hidden:
            if holds(Path("/", top), path) and path.exists():
                self._hide(path, path.lstat())

    def _hide(self, path: Path, status: os.stat_result) -> None:
        relative = path.relative_to("/")
        place = self._parents(relative.parent) / relative.name
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(place, ignore_errors=True)
            make_folder(place, status, self._rules)
            os.setxattr(place, f"{self._rules.prefix}.overlay.opaque", b"y")
            return
        place.unlink(missing_ok=True)
        os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))

    def _hide_secrets(self, folder: Path) -> None:
        for entry in entries(folder):
            status = entry.stat(follow_symlinks=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            open_to_all = status.st_mode & (0o005 if is_folder else 0o004)
            if stat.S_ISLNK(status.st_mode) or entry.name in _KEPT:
                continue
            if not open_to_all or not (is_folder or stat.S_ISREG(status.st_mode)):
                self._hide(Path(entry.path), status)
            elif is_folder:
                self._hide_secrets(Path(entry.path))

    def _copy_folders(self, top: str) -> None:
        """Every folder below ``top`` as ours, and the files that a guest's root expects to write to."""
        for folder, folders, files in os.walk(f"/{top}"):
            for name in folders:
                self._copy_folder(f"{folder}/{name}")
            if top in _SETTINGS:
                for name in files:
                    self._copy_file(Path(folder, name), changed=folder != "/var/lib/dpkg/info")

    def _readable(self, source: str | Path, status: os.stat_result) -> bool:
        """By those who will be root in a guest: us, or where that is somebody else, everybody."""
        if self._rules.shift < 0:
            return os.access(source, os.R_OK | (os.X_OK if stat.S_ISDIR(status.st_mode) else 0))
        return bool(status.st_mode & stat.S_IROTH)

    def _copy_folder(self, source: str) -> None:
        """Thousands are made, hence no ``Path``."""
        status = os.lstat(source)
        if not stat.S_ISDIR(status.st_mode):
            return
        target = f"{self._folder}{source}"
        if not os.path.isdir(target):  # noqa: PTH112
            os.mkdir(target)  # noqa: PTH102
            own(target, status, self._rules)
        if not self._readable(source, status):
            os.setxattr(target, f"{self._rules.prefix}.overlay.opaque", b"y")

    def _copy_file(self, source: Path, *, changed: bool) -> None:
        """What a guest's root may want to write to; what we may not read is hidden, so that it can make its own."""
        status = source.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        if not self._readable(source, status):
            self._hide(source, status)
        elif changed and status.st_size <= _LARGEST_COPY_BYTES:
            target = self._folder / source.relative_to("/")
            shutil.copyfile(source, target)
            own(target, status, self._rules)
            target.chmod(stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IWUSR)

    def _accounts(self) -> None:
        """The machine's system accounts without its people and without a password."""
        etc = self._folder / "etc"
        users = [line for line in _lines("/etc/passwd") if not _is_person(line)]
        groups = [line for line in _lines("/etc/group") if not _is_person(line)]
        names = [line.split(":")[0] for line in users]
        passwords = "".join(f"{name}:{'*' if name == 'root' else '!*'}:19000:0:99999:7:::\n" for name in names)
        files = {
            "passwd": ("".join(f"{line}\n" for line in users), 0o644),
            "group": ("".join(f"{_without_members(line)}\n" for line in groups), 0o644),
            "shadow": (passwords, 0o640),
            "gshadow": ("".join(f"{line.split(':')[0]}:*::\n" for line in groups), 0o640),
        }
        for name, (text, mode) in files.items():
            write_file(etc / name, text, self._rules, mode)
        for name in ("passwd-", "group-", "shadow-", "gshadow-", "subuid", "subgid"):
            (etc / name).unlink(missing_ok=True)
            os.mknod(etc / name, stat.S_IFCHR, os.makedev(0, 0))

    def _package_settings(self) -> None:
        """Let packages start their services, though there is no systemd, and apt work where there are no other users."""
        if Path("/usr/sbin/invoke-rc.d").exists():
            self._parents(Path(_POLICY).parent)
            write_file(self._folder / _POLICY, "#!/bin/sh\nexit 0\n", self._rules, 0o755)
        if Path("/etc/apt/apt.conf.d").is_dir() and self._rules.copies:
            folder = self._parents(Path("etc/apt/apt.conf.d"))
            write_file(folder / "95lxc-dashboard-sandbox", 'APT::Sandbox::User "root";\n', self._rules)


def _lines(path: str) -> list[str]:
    return [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.count(":") >= 3]  # noqa: PLR2004


def _is_person(line: str) -> bool:
    number = line.split(":")[2]
    return number.isdecimal() and int(number) in _PEOPLE


def _without_members(line: str) -> str:
    return line.rpartition(":")[0] + ":"
