"""Commands in a guest over channels of an SSH server, whichever server that is: the same way in, the same marker check."""

from __future__ import annotations

import asyncio
import secrets
import shlex
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from lxc_dashboard.errors import GuestError, GuestUnreachableError, WrongGuestError
from lxc_dashboard.guest.base import (
    COMMAND_TIMEOUT_S,
    ENVIRONMENT,
    MARKER_FILE,
    OUTPUT_LIMIT_BYTES,
    CommandResult,
)
from lxc_dashboard.guest.connection import SshAddress, SshChannel
from lxc_dashboard.guest.pool import SshPool

# Runs before each command, in the same exec: says on both outputs where the command's own begins (what fails before is
# the door's fault, and the two outputs arrive in any order), and refuses a guest that carries another marker.
# ``$1`` nonce, ``$2`` marker or empty.
_ENTER: Final = f"""
found=; if [ -r {MARKER_FILE} ]; then read -r found < {MARKER_FILE} || :; fi
if [ -n "$2" ] && [ "$found" != "$2" ]; then echo "$1 other $found" >&2; exit 96; fi
echo "$1 entered"; echo "$1 entered" >&2; shift 2; exec "$@"
"""
NOISE_LIMIT_BYTES: Final = 16384


class EntryDoor(ABC):
    """A ``Door`` through an SSH server. ``marker`` is what the guest must carry; None only before it has one."""

    kind: str

    def __init__(self, pool: SshPool, address: SshAddress, vmid: int, *, marker: str | None) -> None:
        self._pool = pool
        self._address = address
        self._vmid = vmid
        self._marker = marker or ""

    @abstractmethod
    def command(self, argv: Sequence[str], nonce: str) -> str:
        """The command line for the server's shell. Nothing secret may stand in ``argv``: others can list processes."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = COMMAND_TIMEOUT_S,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        try:
            async with asyncio.timeout(timeout_s), self.stream(argv, stdin=stdin) as stream:
                return await _to_the_end(stream, limit_bytes)
        except TimeoutError:
            raise GuestUnreachableError(
                f"The guest did not answer within {timeout_s:.0f} s", detail=shlex.join(argv[:3])
            ) from None

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[EntryStream]:
        nonce = secrets.token_hex(8)
        async with self._pool.channel(self._address, self.command(argv, nonce)) as channel:
            sending = asyncio.create_task(channel.send(stdin))
            try:
                yield EntryStream(channel, nonce, sending, f"CT {self._vmid}", self.kind)
            finally:
                sending.cancel()
                await asyncio.wait([sending])
                if not sending.cancelled():
                    sending.exception()  # told already by the stream, where it mattered

    def _entry(self, argv: Sequence[str], nonce: str) -> list[str]:
        """What runs in the guest, with nothing of the environment that it is called from."""
        pairs = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        return ["/usr/bin/env", "-i", *pairs, "/bin/sh", "-c", _ENTER, "sh", nonce, self._marker, *argv]


class _Gate:
    """One output of the command: what came before its own first byte is noise of the server, kept for the error."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce.encode()
        self.open = False
        self.noise = b""

    def passed(self, data: bytes) -> bytes:
        """What of ``data`` the command printed. Raises ``WrongGuestError`` where the guest carries another marker."""
        if self.open:
            return data
        self.noise += data
        before, found, after = self.noise.partition(self._nonce)
        said, ended, rest = after.partition(b"\n")
        if not (found and ended):
            self.noise = self.noise[-NOISE_LIMIT_BYTES:]
            return b""
        if said.strip() != b"entered":
            other = said.decode("ascii", "replace").strip()
            raise WrongGuestError(detail=f"the guest carries {other or 'no marker'}")
        self.open, self.noise = True, before
        return rest


class EntryStream:
    """A command in the guest. ``guest`` and ``kind`` are for the error of an entry that fails."""

    def __init__(self, channel: SshChannel, nonce: str, sending: asyncio.Task[None], guest: str, kind: str) -> None:
        self._channel = channel
        self._stdout, self._stderr = _Gate(nonce), _Gate(nonce)
        self._sending = sending
        self._guest = guest
        self._kind = kind

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        """The next bytes of the command's stdout and stderr; two empty ones at the end."""
        while True:
            out, err = await self._channel.read(limit_bytes)
            if not (out or err):
                if not (self._stdout.open and self._stderr.open):
                    await self._refuse()
                return b"", b""
            out, err = self._stdout.passed(out), self._stderr.passed(err)
            if out or err:
                return out, err

    async def _refuse(self) -> None:
        status = await self._channel.exit_status()
        said = self._stderr.noise.decode("utf-8", "replace").strip()
        message = next((line for line in reversed(said.splitlines()) if line.strip()), "")
        why = message or f"{self._kind} ended with status {status}"
        raise GuestUnreachableError(f"{self._guest} cannot be entered: {why}", detail=said[-2000:])

    async def exit_status(self) -> int:
        if self._sending.done() and not self._sending.cancelled() and (error := self._sending.exception()):
            raise error
        return await self._channel.exit_status()


async def _to_the_end(stream: EntryStream, limit_bytes: int) -> CommandResult:
    stdout, stderr = bytearray(), bytearray()
    while True:
        out, err = await stream.read()
        if not (out or err):
            return CommandResult(await stream.exit_status(), bytes(stdout), bytes(stderr))
        stdout += out
        stderr += err
        if len(stdout) + len(stderr) > limit_bytes:
            raise GuestError(f"The guest answered with more than {limit_bytes // 1024} KiB")
