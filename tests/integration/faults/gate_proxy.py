"""Proxy between a node and a conversation in a guest: asks the test before it passes a request. Standard library only.

``python -I -S gate_proxy.py PORT VMID COMMAND...``. Passes a request on even when the worker that sent it is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from typing import IO

GO, HOLD = b"go\n", b"hold\n"
CHUNK_BYTES = 65536


class Outputs:
    """The outputs of the conversation. ``hold`` delays them; its event is set when the command has ended."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._left = threading.Event()

    def hold(self) -> threading.Event:
        self._left.clear()
        self._free.clear()
        return self._left

    def release(self) -> None:
        self._free.set()

    def pump(self, source: IO[bytes], target: int) -> None:
        kept = b""
        while data := os.read(source.fileno(), CHUNK_BYTES):
            kept += data
            if b" left " in data:
                self._left.set()
            elif not self._free.is_set():
                continue
            self._free.wait()
            with contextlib.suppress(OSError):  # the reader is gone
                os.write(target, kept)
            kept = b""
        self._left.set()


def main() -> None:
    port, vmid, *argv = sys.argv[1:]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdin
    assert child.stdout
    assert child.stderr
    outputs = Outputs()
    pumps = [
        threading.Thread(target=outputs.pump, args=ends) for ends in ((child.stdout, 1), (child.stderr, 2))
    ]  # fmt: skip
    for pump in pumps:
        pump.start()
    with contextlib.suppress(BrokenPipeError):
        while head := sys.stdin.buffer.readline():
            _, _, argv_bytes, input_bytes = head.split()
            words = sys.stdin.buffer.read(int(argv_bytes))
            request = head + words + sys.stdin.buffer.read(int(input_bytes))
            asked = {"vmid": int(vmid), "words": words.decode("utf-8", "replace")}
            pass_on(int(port), asked, request, child.stdin, outputs)
        child.stdin.close()
    status = child.wait()
    for pump in pumps:
        pump.join()
    sys.exit(status if status >= 0 else 128 - status)


def pass_on(port: int, asked: dict[str, object], request: bytes, stdin: IO[bytes], outputs: Outputs) -> None:
    with socket.create_connection(("127.0.0.1", port)) as wire, wire.makefile("rwb") as gate:
        gate.write(json.dumps(asked).encode() + b"\n")
        gate.flush()
        held = gate.readline() == HOLD
        left = outputs.hold() if held else None
        stdin.write(request)
        stdin.flush()
        if left is not None:
            left.wait()
            gate.write(b"left\n")
            gate.flush()
            gate.readline()
            outputs.release()


if __name__ == "__main__":
    main()
