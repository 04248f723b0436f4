"""System calls by ctypes, and the cgroup and the seccomp filter of a guest."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_CLONE_PARENT = 0x00008000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
# (clone, pivot_root). Other architectures have simulated guests only.
_NUMBERS = {"x86_64": (56, 155), "aarch64": (220, 41), "riscv64": (220, 41)}

_libc = ctypes.CDLL(None, use_errno=True)


def supported() -> bool:
    """Whether the system calls of this machine are known."""
    return sys.platform == "linux" and platform.machine() in _NUMBERS


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(number: int, what: str, *arguments: object) -> int:
    _libc.syscall.restype = ctypes.c_long
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), f"unshare {flags:#x}")


def setns(descriptor: int, flags: int = 0) -> None:
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(flags)), f"setns {flags:#x}")


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    _check(
        _libc.mount(
            source.encode(),
            target.encode(),
            fstype.encode() or None,
            ctypes.c_ulong(flags),
            data.encode() or None,
        ),
        f"mount {fstype or source} on {target}",
    )


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(target.encode(), ctypes.c_int(flags)), f"umount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    _syscall(_NUMBERS[platform.machine()][1], "pivot_root", new_root.encode(), put_old.encode())


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send ``death_signal`` when the thread that started this process ends.

    A change of the user id cancels it, so call this last.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(death_signal), 0, 0, 0), "prctl")


def allow_inspection() -> None:
    """Let the starting user read /proc of this process again after a change of the user id."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def fork_as_sibling() -> int:
    """Fork a child of our own parent, which may then wait for it after we exit.

    The caller must have one thread. The child must call exec soon: Python's fork hooks do not run.
    """
    return _syscall(
        _NUMBERS[platform.machine()][0],
        "clone",
        ctypes.c_ulong(_CLONE_PARENT | signal.SIGCHLD),
        None,
        None,
        None,
        None,
    )


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


# (AUDIT_ARCH, numbers of chown, fchown, lchown, fchownat, setgroups and the set*id calls)
_GENERIC = (54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159)
_CALLS = {
    "x86_64": (0xC000003E, (92, 93, 94, 260, 105, 106, 113, 114, 116, 117, 119, 122, 123)),
    "aarch64": (0xC00000B7, _GENERIC),
    "riscv64": (0xC00000F3, _GENERIC),
}
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4
_ALLOW, _SAY_YES = 0x7FFF0000, 0x00050000
_HELP_TIMEOUT_S = 10
_LOADER = """
import ctypes, os, sys
code = open(sys.argv[1], "rb").read()
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))
program = Program(len(code) // 8, code)
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[2], sys.argv[2:])
"""


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def program(machine: str = "") -> bytes:
    """The filter for the system calls of this machine. It allows those of other architectures."""
    architecture, calls = _CALLS[machine or platform.machine()]
    lines = [
        _instruction(_LOAD_WORD, 0, 0, _ARCH_OFFSET),
        _instruction(_JUMP_EQUAL, 0, len(calls) + 1, architecture),
        _instruction(_LOAD_WORD, 0, 0, _NUMBER_OFFSET),
        *(_instruction(_JUMP_EQUAL, len(calls) - place, 0, number) for place, number in enumerate(calls)),
        _instruction(_RETURN, 0, 0, _ALLOW),
        _instruction(_RETURN, 0, 0, _SAY_YES),
    ]
    return b"".join(lines)


def write_filter(folder: Path) -> list[str]:
    """Write the filter to ``folder``. Returns the prefix that runs a command with it."""
    path = folder / "one-user.bpf"
    path.write_bytes(program())
    setpriv = shutil.which("setpriv")
    if setpriv:
        shown = subprocess.run([setpriv, "--help"], capture_output=True, check=False, timeout=_HELP_TIMEOUT_S)
        if b"--seccomp-filter" in shown.stdout:
            return [setpriv, "--no-new-privs", "--seccomp-filter", str(path), "--"]
    return [sys.executable, "-I", "-S", "-c", _LOADER, str(path)]
