"""Doors into guests over SSH: through the node's ``pct``, or through the guest's own SSH server.

One shell in the guest runs all commands of a door, see ``conversation.sh``.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final

from lxc_dashboard.errors import (
    CommandFailedError,
    ErrorCode,
    GuestError,
    GuestUnreachableError,
    HostKeyError,
    KeyRefusedError,
    WrongGuestError,
)
from lxc_dashboard.guest.base import (
    COMMAND_TIMEOUT_S,
    ENVIRONMENT,
    MARKER_FILE,
    OUTPUT_LIMIT_BYTES,
    CommandResult,
    Door,
)
from lxc_dashboard.guest.codes import GuestCode
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.pool import PooledChannel, SshPool
from lxc_dashboard.messages import Message

NOISE_LIMIT_BYTES: Final = 16384
_LEFT: Final = re.compile(rb" left ([0-9]{1,3})")


def conversation() -> list[str]:
    """Return the command that starts a conversation in a guest, with an environment of its own."""
    pairs = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
    script = files("lxc_dashboard.guest").joinpath("conversation.sh").read_text(encoding="utf-8")
    code = "\n".join(line for line in script.splitlines() if line and not line.startswith("#"))
    return ["/usr/bin/env", "-i", *pairs, "/bin/sh", "-c", f"marker_file={MARKER_FILE}\n{code}"]


def request(nonce: str, marker: str, argv: Sequence[str], stdin: bytes) -> bytes:
    """Encode a command as ``conversation.sh`` reads it."""
    quoted = f"{shlex.join(argv)} {nonce}".encode("utf-8", "surrogateescape")
    return f"{nonce} {marker or '-'} {len(quoted)} {len(stdin)}\n".encode() + quoted + stdin


class EntryDoor(ABC):
    """A ``Door`` over an SSH server. ``marker``: the marker that the guest must carry, None before it has one.

    Commands that run at the same time have a conversation each. An idle conversation stays open until ``close``.
    """

    kind: str

    def __init__(self, pool: SshPool, address: SshAddress, vmid: int, *, marker: str | None) -> None:
        self._pool = pool
        self._address = address
        self._vmid = vmid
        self._marker = marker or ""

    @abstractmethod
    def command(self) -> str:
        """Return the command line for the server's shell that starts a conversation."""

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
                return await _read_all(stream, limit_bytes)
        except TimeoutError:
            raise GuestUnreachableError(
                Message.of(GuestCode.NO_ANSWER, seconds=round(timeout_s)), detail=shlex.join(argv[:3])
            ) from None

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[EntryStream]:
        nonce = secrets.token_hex(8)
        stream = EntryStream(self, nonce, request(nonce, self._marker, argv, stdin))
        await stream.begin()
        try:
            yield stream
        finally:
            await stream.leave()

    async def take(self) -> PooledChannel:
        """Take an idle conversation, or open one. Raises as ``SshPool.channel``."""
        return await self._pool.take(self._address, self.command())

    async def give_back(self, pooled: PooledChannel, *, idle: bool) -> None:
        """Return a conversation. ``idle``: its last command has ended, so it can run another one."""
        if idle:
            self._pool.keep(pooled)
        else:
            await self._pool.drop(pooled)

    async def close(self) -> None:
        """End the idle conversations with this guest."""
        await self._pool.end(self._address, self.command())

    def unreachable(self, reason: Message, detail: str) -> GuestUnreachableError:
        """Return the error for a guest that cannot be entered."""
        return GuestUnreachableError(Message.of(GuestCode.NOT_ENTERED, vmid=self._vmid, reason=reason), detail=detail)


class _CommandOutput:
    """stdout or stderr of a conversation. Keeps the text before the command's own output for error messages."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce.encode()
        self._rest = b""
        self.open = False
        self.noise = b""
        self.exit_status: int | None = None

    def feed(self, data: bytes) -> bytes:
        """Return the command's part of ``data``. Raises ``WrongGuestError`` for another marker, ``GuestError``."""
        self._rest += data
        if self.exit_status is not None or not (self.open or self._find_start()):
            return b""
        inside, found, after = self._rest.partition(self._nonce)
        word, ended, _ = after.partition(b"\n")
        if found and ended:
            self._leave(word)
        elif found:
            self._rest = found + after
        else:  # the nonce may be split between two reads
            held = next((n for n in range(len(self._nonce) - 1, 0, -1) if inside.endswith(self._nonce[:n])), 0)
            inside, self._rest = inside[: len(inside) - held], inside[len(inside) - held :]
        return inside

    def _find_start(self) -> bool:
        before, found, after = self._rest.partition(self._nonce)
        word, ended, rest = after.partition(b"\n")
        if not (found and ended):
            self._rest = self.noise = self._rest[-NOISE_LIMIT_BYTES:]
            return False
        if word != b" entered":
            other = word.decode("ascii", "replace").strip()
            raise WrongGuestError(detail=f"the guest carries {other or 'no marker'}")
        self.open, self.noise, self._rest = True, before, rest
        return True

    def _leave(self, word: bytes) -> None:
        match = _LEFT.fullmatch(word)
        if match is None:
            raise GuestError(Message.of(GuestCode.SHELL_REPLACED), detail=repr(word[:200]))
        self.exit_status = int(match[1])


class EntryStream:
    """A running command in the guest."""

    def __init__(self, door: EntryDoor, nonce: str, sent: bytes) -> None:
        self._door = door
        self._nonce = nonce
        self._request = sent
        self._conversation: PooledChannel | None = None

    async def begin(self) -> None:
        """Send the request. Raises as ``SshPool.channel``."""
        self._conversation = await self._door.take()
        self._channel = self._conversation.channel
        self._stdout, self._stderr = _CommandOutput(self._nonce), _CommandOutput(self._nonce)
        self._sending = asyncio.create_task(self._channel.send(self._request, end=False))

    async def leave(self) -> None:
        """Return the conversation if the command has ended. Otherwise close it: the command may go on in the guest."""
        conversation, self._conversation = self._conversation, None
        if conversation is None:
            return
        try:
            await self._end_sending()
        finally:
            await self._door.give_back(conversation, idle=self._idle)

    @property
    def _ended(self) -> bool:
        return self._stdout.exit_status is not None and self._stderr.exit_status is not None

    @property
    def _idle(self) -> bool:
        sent = self._sending.done() and not self._sending.cancelled() and self._sending.exception() is None
        return self._ended and sent

    async def _end_sending(self) -> None:
        self._sending.cancel()
        await asyncio.wait([self._sending])
        if not self._sending.cancelled():
            self._sending.exception()  # the stream has raised it already

    async def read(self, limit_bytes: int = 65536) -> tuple[bytes, bytes]:
        """Return the next bytes of the command's stdout and stderr, two empty ones at the end."""
        while not self._ended:
            out, err = await self._channel.read(limit_bytes)
            if out or err:
                out, err = self._stdout.feed(out), self._stderr.feed(err)
                if out or err:
                    return out, err
            else:
                await self._retry()
        await asyncio.wait([self._sending])  # the guest still reads input that the command did not read
        return b"", b""

    async def _retry(self) -> None:
        """Retry on another conversation if this one ended before the command started.

        Raises ``GuestUnreachableError``.
        """
        if self._stdout.open or self._stderr.open:
            raise GuestUnreachableError(Message.of(GuestCode.LOST))
        if self._conversation is None or self._conversation.uses == 1:
            await self._refuse()
        await self.leave()
        await self.begin()

    async def _refuse(self) -> None:
        status = await self._channel.exit_status()
        errors = self._stderr.noise.decode("utf-8", "replace").strip()
        reason = Message.of(ErrorCode.COMMAND_FAILED, command=self._door.kind, status=status)
        if last := next((line for line in reversed(errors.splitlines()) if line.strip()), ""):
            reason = Message(text=last)
        raise self._door.unreachable(reason, errors[-2000:])

    async def exit_status(self) -> int:
        """Return the exit status, after the end of output. Raises ``GuestUnreachableError`` for incomplete input."""
        if self._sending.done() and not self._sending.cancelled() and (error := self._sending.exception()):
            raise error
        if self._stdout.exit_status is None:
            raise GuestUnreachableError(Message.of(GuestCode.LOST))
        return self._stdout.exit_status


async def _read_all(stream: EntryStream, limit_bytes: int) -> CommandResult:
    stdout, stderr = bytearray(), bytearray()
    while True:
        out, err = await stream.read()
        if not (out or err):
            return CommandResult(await stream.exit_status(), bytes(stdout), bytes(stderr))
        stdout += out
        stderr += err
        if len(stdout) + len(stderr) > limit_bytes:
            raise GuestError(Message.of(GuestCode.ANSWER_TOO_LARGE, kib=limit_bytes // 1024))


class PctDoor(EntryDoor):
    """A door through ``pct`` on the guest's node. The address is the node's."""

    kind = "pct"

    async def unlock(self) -> None:
        """Run ``pct unlock`` on the node: a killed task leaves a lock. Raises ``CommandFailedError``."""
        command = shlex.join([*self._prefix(), "pct", "unlock", str(self._vmid)])
        async with asyncio.timeout(COMMAND_TIMEOUT_S), self._pool.channel(self._address, command) as channel:
            await channel.send(b"")
            output = b""
            while True:
                out, err = await channel.read()
                if not (out or err):
                    break
                output = (output + out + err)[-NOISE_LIMIT_BYTES:]
            status = await channel.exit_status()
        if status != 0:
            raise CommandFailedError("pct unlock", status, output.decode("utf-8", "replace"))

    def _prefix(self) -> list[str]:
        return ["env", "LC_ALL=C"] if self._address.user == "root" else ["sudo", "-n", "LC_ALL=C"]

    def command(self) -> str:
        """Return a command for a shell on the node. ``pct`` checks that the guest is on the node and runs."""
        pct = ["pct", "exec", str(self._vmid), "--keep-env", "0", "--"]
        return shlex.join([*self._prefix(), *pct, *conversation()])


def address_of(
    doors: Mapping[str, Mapping[str, Any]], node: str, *, user: str, private_key: str | None
) -> SshAddress | None:
    """Return the SSH address of ``node``: its own entry in ``doors``, else the entry ``*``. None: there is neither.

    Only the endpoint's settings name a door, never what a user may list. Raises ``HostKeyError`` for a door without a
    confirmed host key.
    """
    door = doors.get(node) or doors.get("*")
    if not door or not door.get("host") or not private_key:
        return None
    if not door.get("host_key"):
        raise HostKeyError(Message.of(GuestCode.NODE_KEY_NOT_PINNED, node=node))
    return SshAddress(
        host=str(door["host"]),
        port=int(door.get("port", 22)),
        user=user,
        host_key=str(door["host_key"]),
        private_key=private_key,
    )


SSH_PORT: Final = 22
_KEYS: Final = "/root/.ssh/authorized_keys"
# ``$1`` is the key itself, the second word of its line. Also removes PVE's comments when no key is left between them,
# and the file and its folder when they are empty. Replaces the file in one step.
_REMOVE: Final = f"""
set -eu
file={_KEYS}; new=$file.lxc-dashboard
rm -f "$new"
[ -f "$file" ] && grep -qF -e "$1" "$file" || exit 0
cp -p "$file" "$new"
{{ grep -vF -e "$1" "$file" || :; }} | sed -e '/^# --- BEGIN PVE ---$/{{
$!N
/\\n# --- END PVE ---$/d
}}' > "$new"
if grep -q '[^[:space:]]' "$new"; then
    mv -f "$new" "$file"
else
    rm -f "$new" "$file"
    rmdir "${{file%/*}}" 2>/dev/null || :
fi
"""


class SshDoor(EntryDoor):
    """A door through the guest's own SSH server. The host key is pinned at the first contact."""

    kind = "ssh"

    def command(self) -> str:
        """Return the command for root's shell in the guest."""
        return shlex.join(conversation())

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[EntryStream]:
        """Run a command as ``EntryDoor.stream``. Also raises ``KeyRefusedError``."""
        try:
            async with super().stream(argv, stdin=stdin) as stream:
                yield stream
        except HostKeyError as error:
            changed = Message.of(GuestCode.GUEST_KEY_CHANGED, vmid=self._vmid, host=self._address.host)
            raise HostKeyError(changed, detail=error.detail) from error
        except KeyRefusedError as error:
            refused = Message.of(GuestCode.GUEST_KEY_REFUSED, vmid=self._vmid, host=self._address.host)
            raise KeyRefusedError(refused, detail=error.detail) from error


async def remove_key(door: Door, public: str) -> None:
    """Remove the key from root's ``authorized_keys``, if it is there. Raises ``CommandFailedError``."""
    result = await door.run(["/bin/sh", "-c", _REMOVE, "sh", public.split()[1]])
    if result.exit_status != 0:
        raise CommandFailedError(Message.of(GuestCode.REMOVING_KEY), result.exit_status, result.error_text)
