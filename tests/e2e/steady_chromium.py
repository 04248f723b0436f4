"""Start Chromium without notice of network interface changes: it drops its connections at each change.

The sandbox's guests add and remove interfaces. ``steady_chromium.py CHROMIUM ARGUMENT...`` becomes that Chromium, which
gets no netlink socket and then assumes that the network never changes. On other systems than Linux nothing is changed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shlex
import socket
import struct
import sys
from pathlib import Path

# For each processor: its number in a filter, and its number of the ``socket`` call.
PROCESSORS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
# Offsets in the filter's data: the call's number, the processor, the call's first argument.
NUMBER, PROCESSOR, FAMILY = 0, 4, 16
REFUSE, ALLOW = 0x00050000 | errno.EAFNOSUPPORT, 0x7FFF0000


class Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def no_netlink(processor: int, socket_call: int) -> bytes:
    """A seccomp filter that refuses ``socket(AF_NETLINK, ...)`` and nothing else."""
    instructions = (
        (LOAD, 0, 0, PROCESSOR),
        (JUMP_IF_EQUAL, 0, 5, processor),
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, socket_call),
        (LOAD, 0, 0, FAMILY),
        (JUMP_IF_EQUAL, 0, 1, socket.AF_NETLINK),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)


def close_netlink() -> bool:
    """Apply the filter to this process and the program that replaces it. Return whether this machine can."""
    known = PROCESSORS.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        return False
    code = no_netlink(*known)
    kept = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.cast(kept, ctypes.c_void_p))
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return int(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0)) == 0


def launcher(chromium: str, folder: Path) -> str:
    """Write a script that starts this Chromium with the filter; return its path."""
    file = folder / "steady-chromium"
    command = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).resolve()), chromium])
    file.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return str(file)


if __name__ == "__main__":
    close_netlink()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted
