"""Run a command and reap its orphans at once: ``reaped.py COMMAND...``.

Orphans go to the machine's init. Some inits reap only every few seconds, or never. Until then the process is still listed,
and a test that waits for its end goes on waiting. The tests leave hundreds of orphans.
Run it with ``python -I -S``: it imports nothing from site-packages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command and return its exit status as a shell does (128 + signal)."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the handler below forwards it
    child = os.posix_spawnp(command[0], command, os.environ, setsigmask=())
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command gets it from the terminal, too
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
