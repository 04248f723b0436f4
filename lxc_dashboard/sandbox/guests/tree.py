"""What a guest sees of the machine's files, and where its own are kept.

``guests/mask``: shared by all guests, lies over the machine's folders and hides what is not theirs. ``guests/<vmid>``:
``root`` (the guest's own folders), ``upper/<top>`` (what it changed in a folder of the machine), ``work``.
The machine's folders stay separate overlays, since an overlay may not keep its changes inside what it covers.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_TOPS = ("usr", "etc", "opt", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "var/lib/dpkg", "var/lib/apt")
_OTHER_TOPS = ("var/lib/rpm", "var/lib/pacman")
_OWN_FOLDERS = ("boot", "dev", "home", "media", "mnt", "proc", "root", "run", "srv", "sys", "tmp", "var")
_OWN_MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
_COPIED_STATE = ("var/lib/pam", "var/lib/ucf", "var/lib/xml-core", "var/lib/sgml-base", "var/cache/debconf")
_SECRET_NAMES = {"passwords.dat", "passwords.dat-old"}


@dataclass(frozen=True, slots=True)
class TreeRules:
    """``shift`` is added to every owner (-1: all is ours).

    ``copies`` folders and settings, where the machine's own owners mean nothing inside, so that the guest's root can
    change them. ``hidden``: the data folder first.
    """

    shift: int
    copies: bool
    hidden: tuple[Path, ...]

    @property
    def prefix(self) -> str:
        return "user" if self.copies else "trusted"


def tops(hidden: Sequence[Path]) -> tuple[str, ...]:
    """The machine's folders that guests share, read-only. One that holds the guests themselves cannot be among them."""
    wanted = [top for top in (*_TOPS, *_OTHER_TOPS) if Path("/", top).is_dir() and not Path("/", top).is_symlink()]
    return tuple(top for top in wanted if not any(holds(Path("/", top), path) for path in hidden[:1]))


def holds(folder: Path, path: Path) -> bool:
    """Whether ``path`` is ``folder`` or lies in it."""
    return path == folder or folder in path.parents


def own(path: Path | str, source: os.stat_result, rules: TreeRules) -> None:
    """Give ``path`` the owner and mode of ``source``, as the guest is to see them."""
    mode = stat.S_IMODE(source.st_mode)
    if rules.shift >= 0:
        os.chown(path, source.st_uid + rules.shift, source.st_gid + rules.shift, follow_symlinks=False)
    elif stat.S_ISDIR(source.st_mode):
        mode |= stat.S_IRWXU  # on some machines root writes to folders that are read-only to their owner
    if not stat.S_ISLNK(source.st_mode):
        os.chmod(path, mode)  # noqa: PTH101 - called thousands of times


def make_folder(path: Path, source: os.stat_result, rules: TreeRules) -> None:
    path.mkdir(exist_ok=True)
    own(path, source, rules)


def write_file(path: Path, text: str, rules: TreeRules, mode: int = 0o644) -> None:
    """A file of the guest's root, written anew."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if rules.shift >= 0:
            os.fchown(descriptor, rules.shift, rules.shift)
        os.fchmod(descriptor, mode)


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """None where it cannot be read."""
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
        with os.scandir(folder) as found:
            yield from found


def build_guest(folder: Path, shared: Sequence[str], rules: TreeRules) -> None:
    """The folders of a new guest: ``root``, ``upper``, ``work``."""
    root = folder / "root"
    for path in (root, folder / "upper", folder / "work"):
        path.mkdir(mode=0o755)
    own(root, Path("/").stat(), rules)
    for name in _OWN_FOLDERS:
        _plain_folder(root, name, rules)
    for name in _TOPS:
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
    _copy_var(root, rules)
    for top in shared:
        for place in (root, folder / "upper"):
            _machine_folder(place, Path(top), rules)
        (folder / "work" / top).mkdir(parents=True)
    _fill_home(root / "root", rules)


def _fill_home(home: Path, rules: TreeRules) -> None:
    for entry in entries(Path("/etc/skel")):
        if entry.is_file():
            write_file(home / entry.name, Path(entry.path).read_text(encoding="utf-8"), rules)


def _plain_folder(root: Path, name: str, rules: TreeRules) -> None:
    path = root / name
    path.mkdir(exist_ok=True)
    path.chmod(_OWN_MODES.get(name, 0o755))
    if rules.shift >= 0:
        os.chown(path, rules.shift, rules.shift)


def _machine_folder(place: Path, relative: Path, rules: TreeRules) -> None:
    path = place
    for part in relative.parts:
        path /= part
        if not path.exists():
            make_folder(path, Path("/", path.relative_to(place)).stat(), rules)


def _copy_var(root: Path, rules: TreeRules) -> None:
    """The folders of /var, empty but for the little state that packages' scripts ask for."""
    for first in entries(Path("/var")):
        _copy_var_entry(first, root, rules)
        if first.is_dir(follow_symlinks=False) and first.name != "tmp":
            for second in entries(Path(first.path)):
                if second.is_dir(follow_symlinks=False):
                    _copy_var_entry(second, root, rules)
    _plain_folder(root, "var/tmp", rules)
    for state in _COPIED_STATE:
        for folder, _, files in os.walk(f"/{state}"):
            _machine_folder(root, Path(folder).relative_to("/"), rules)
            for name in files:
                _copy_state(Path(folder, name), root, rules)


def _copy_var_entry(entry: os.DirEntry[str], root: Path, rules: TreeRules) -> None:
    path = Path(entry.path)
    if any(holds(path, hidden) for hidden in rules.hidden) and path.parent != Path("/var"):
        return
    target = root / path.relative_to("/")
    if entry.is_symlink():
        target.symlink_to(path.readlink())
    elif entry.is_dir():
        make_folder(target, path.stat(), rules)


def _copy_state(source: Path, root: Path, rules: TreeRules) -> None:
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & stat.S_IROTH or source.name in _SECRET_NAMES:
        return
    target = root / source.relative_to("/")
    shutil.copyfile(source, target)
    own(target, status, rules)
