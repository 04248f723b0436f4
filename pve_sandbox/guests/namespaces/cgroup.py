"""The cgroup of a guest with systemd. systemd needs one that it may divide."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

_PREFIX = "lxcdb"
_DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
_EMPTY_TIMEOUT_S = 30
_POLL_S = 0.01


def hierarchy(mounts: str) -> Path:
    """Return the mount point of cgroup v2, from the text of /proc/self/mounts. ``OSError`` if none."""
    for line in mounts.splitlines():
        _, target, fstype, *_ = line.split(" ")
        if fstype == "cgroup2":
            return Path(target)
    raise FileNotFoundError("cgroup2 is not mounted")


class CgroupFolder:
    """The cgroups of a data folder's guests. ``OSError`` if this machine gives no rights to them."""

    def __init__(self, data_dir: Path) -> None:
        self._top = hierarchy(Path("/proc/self/mounts").read_text(encoding="utf-8"))
        self._prefix = _PREFIX + hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:8]

    def make(self, vmid: int, owner: int) -> Path:
        """Create an empty cgroup of ``owner``. Removes one of an earlier run."""
        self.remove(vmid)
        folder = self._path(vmid)
        folder.mkdir(mode=0o755)
        for path in (folder, *(folder / name for name in _DELEGATED)):
            os.chown(path, owner, owner)
        return folder

    def remove(self, vmid: int) -> None:
        """Remove a cgroup with all below, and kill their processes."""
        folder = self._path(vmid)
        if not folder.is_dir():
            return
        with contextlib.suppress(OSError):
            (folder / "cgroup.kill").write_text("1", encoding="ascii")
        deadline = time.monotonic() + _EMPTY_TIMEOUT_S
        while True:
            try:
                _remove_tree(folder)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def _path(self, vmid: int) -> Path:
        return self._top / f"{self._prefix}-{vmid}"


def _remove_tree(folder: Path) -> None:
    for inner in [path for path in folder.iterdir() if path.is_dir()]:
        _remove_tree(inner)
    folder.rmdir()
