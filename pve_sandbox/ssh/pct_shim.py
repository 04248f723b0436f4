"""The ``pct`` command of a shell on the sandbox node.

``python -I -S pct_shim.py FOLDER ARGUMENT...`` asks the sandbox through the socket in FOLDER. It imports little and
only the standard library, because the caller waits for its start.
"""

from __future__ import annotations

import json
import os
import socket
import sys

SOCKET = "pct.sock"
_CHUNK_BYTES = 65536


def main() -> None:
    """Become the command that the sandbox returns, or print its answer."""
    folder, *arguments = sys.argv[1:]
    question = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib is slow to import
        "tty": os.isatty(0),
    }
    answer = json.loads(_ask(folder, json.dumps(question).encode()))
    if answer["argv"]:
        os.execv(answer["argv"][0], answer["argv"])  # noqa: S606 - no shell is needed
    sys.stdout.write(answer["output"])
    sys.stderr.write(answer["error"])
    sys.exit(answer["status"])


def _ask(folder: str, question: bytes) -> bytes:
    # Through a descriptor, because the folder's path may be too long for a socket address.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        try:
            wire.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
        except OSError:
            sys.exit("pct: the sandbox node is not running")
        os.close(descriptor)
        wire.sendall(question)
        wire.shutdown(socket.SHUT_WR)
        parts = []
        while part := wire.recv(_CHUNK_BYTES):
            parts.append(part)
    return b"".join(parts)


if __name__ == "__main__":
    main()
