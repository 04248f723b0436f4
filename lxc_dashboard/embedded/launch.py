"""Become a command that dies with its parent. Run as a script: ``launch.py PARENT SIGNAL UID GID COMMAND...``.

For ``python -I -S``: imports nothing of the product or of site-packages. UID and GID of -1 keep the account. The order
matters. The kernel clears the death signal when the account changes, so the account is set first. No signal comes from a
parent that died before the signal was set, so that check comes last.

A new interpreter replaces ``preexec_fn``, because Python code between fork and exec may deadlock in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
NOT_STARTED = 125  # the exit status of env(1) for a command that was not started


def main(argv: list[str]) -> None:
    """Drop privileges, set the death signal, and become the command."""
    parent, death_signal, uid, gid = (int(word) for word in argv[:4])
    if uid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(NOT_STARTED)
    os.execvp(argv[4], argv[4:])  # noqa: S606 - the purpose of this script


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"{sys.argv[5:6]}: {error}\n")
        sys.exit(NOT_STARTED)
