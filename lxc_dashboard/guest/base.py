"""What a door into a guest can do, whatever it is made of."""

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
    """How a command in the guest ended. Both outputs are whole."""

    exit_status: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """Standard output as text; what is not UTF-8 is replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace")


class GuestStream(Protocol):
    """A running command. ``read`` waits for output and gives ``(b"", b"")`` at the end only."""

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        """The next bytes of stdout and of stderr, as they come. Raises ``GuestUnreachableError``."""
        ...

    async def exit_status(self) -> int:
        """After the end of output. Raises ``GuestUnreachableError`` where the connection went first."""
        ...


class Door(Protocol):
    """Runs commands as root in one guest. Nothing of the worker's own environment reaches the guest.

    Each entry checks in the same call that the guest carries the marker it was opened for.
    All methods raise ``GuestUnreachableError`` (retryable), ``HostKeyError`` and ``WrongGuestError``.
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
        """Run to the end. Raises ``GuestError`` for more output than the limit; any exit status is a result."""
        ...

    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AbstractAsyncContextManager[GuestStream]:
        """Run and read as it prints; leaving the block lets go of the command, which may go on in the guest."""
        ...
