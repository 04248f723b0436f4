"""One command on an SSH server, for a library that reads and writes with blocking calls and wants its own connection."""

from __future__ import annotations

import contextlib
from typing import Final

from lxc_dashboard.errors import GuestUnreachableError
from lxc_dashboard.guest.connection import SshAddress, lost_errors, open_transport

ANSWER_TIMEOUT_S: Final = 30.0


class SshPipe:
    """``read`` and ``write`` block, each for at most ``ANSWER_TIMEOUT_S`` without a byte.

    Opening it raises ``GuestUnreachableError``, ``HostKeyError``, and ``GuestError`` where the key is refused.
    """

    def __init__(self, address: SshAddress, command: bytes) -> None:
        self._transport = open_transport(address)
        try:
            self._channel = self._transport.open_session(timeout=ANSWER_TIMEOUT_S)
            self._channel.settimeout(ANSWER_TIMEOUT_S)
            self._channel.exec_command(command)
            self._output = self._channel.makefile("rb")
        except lost_errors() as error:
            self._transport.close()
            raise GuestUnreachableError(f"{address.name} runs no command", detail=str(error)) from error
        self.stderr = self._channel.makefile_stderr("rb")

    def read(self, size: int) -> bytes:
        """``size`` bytes, fewer at the end of output."""
        return bytes(self._output.read(size))

    def write(self, data: bytes) -> int:
        self._channel.sendall(data)
        return len(data)

    def can_read(self) -> bool:
        return self._channel.recv_ready()

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):  # a dead connection has closed it already
            self._channel.close()
        self._transport.close()
