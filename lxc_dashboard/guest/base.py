"""The interface of a door into a guest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

COMMAND_TIMEOUT_S: Final = 60.0
OUTPUT_LIMIT_BYTES: Final = 8 * 1024 * 1024
GUEST_FOLDER: Final = "/etc/lxc-dashboard"
MARKER_FILE: Final = f"{GUEST_FOLDER}/id"
CREDENTIALS_FOLDER: Final = f"{GUEST_FOLDER}/credentials"
STATE_FOLDER: Final = "/var/lib/lxc-dashboard"
GUEST_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": GUEST_PATH,
    "LC_ALL": "C",
    "HOME": "/root",
    "USER": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The end of a command in the guest, with its whole output."""

    exit_status: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """Standard output as text. Bytes that are not UTF-8 are replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace")


class GuestStream(Protocol):
    """A running command. ``read`` returns ``(b"", b"")`` only at the end of output."""

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        """Return the next bytes of stdout and stderr. Raises ``GuestUnreachableError``."""
        ...

    async def exit_status(self) -> int:
        """Return the exit status, after the end of output. Raises ``GuestUnreachableError`` for a lost connection."""
        ...


class Door(Protocol):
    """Run commands as root in one guest, without the environment of the worker.

    Each call checks that the guest carries the expected marker. All methods raise ``GuestUnreachableError``
    (retryable), ``HostKeyError`` and ``WrongGuestError``.
    """

    @property
    def kind(self) -> str:
        """``pct`` or ``ssh``."""
        ...

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = COMMAND_TIMEOUT_S,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        """Run a command to its end. Returns for any exit status.

        Raises ``GuestError`` for output of more than ``limit_bytes``, ``GuestUnreachableError`` after ``timeout_s``.
        """
        ...

    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AbstractAsyncContextManager[GuestStream]:
        """Run a command and read its output while it runs. After the block the command may go on in the guest."""
        ...
