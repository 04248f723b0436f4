"""System calls by ctypes. The standard library has none of them before Python 3.12.

``launch.py`` uses this module and must start fast: standard library only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys

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
