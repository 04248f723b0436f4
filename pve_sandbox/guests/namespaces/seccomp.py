"""A seccomp filter that makes changes of owner and user succeed without effect.

A guest with a single id needs it: without the filter most packages fail to install. Everything in such a guest
belongs to root. The filter is a classic BPF program. ``setpriv`` loads it if it can, else Python.
"""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

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
