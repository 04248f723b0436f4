"""The SSH server of a guest, at the guest's own address and with its own host key.

It replaces the server of a real OS template. The sandbox serves it from outside, on a socket in the guest's network,
and commands run in the guest. Only guests created with SSH keys have one. Root logs in with the current
``/root/.ssh/authorized_keys``.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import asyncssh

from pve_sandbox.ssh.pct import Run
from pve_sandbox.ssh.server import USER, SshServer, persistent_key

_KEYS = "/root/.ssh/authorized_keys"
_KEY_FILE = "ssh_host_key"


class Enter(Protocol):
    def __call__(self, command: Sequence[str], environment: Mapping[str, str], *, tty: bool) -> list[str]:
        """Return the command of this machine that runs ``command`` in the guest."""
        ...


class _GuestShell:
    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    def environment(self, requested: Mapping[str, str]) -> dict[str, str]:
        del requested
        return {"HOME": "/"}

    async def plan(self, command: str | None, environment: Mapping[str, str], *, tty: bool) -> Run:
        del environment
        return Run(tuple(self._enter(["/bin/sh", *(["-c", command] if command else ["-i"])], {}, tty=tty)))


class GuestSshServer(SshServer):
    """``listener`` is a socket in the guest's network, ``folder`` the guest's folder."""

    def __init__(self, listener: socket.socket, folder: Path, enter: Enter) -> None:
        super().__init__(_GuestShell(enter))
        self._listener = listener
        self._key_file = folder / _KEY_FILE
        self._enter = enter

    async def start(self) -> None:
        key = await asyncio.to_thread(persistent_key, self._key_file)
        await self.listen(asyncssh.import_private_key(key), sock=self._listener.dup())

    async def renew_host_key(self) -> None:
        """Change the host key, as if another machine had taken the guest's address."""
        await self.close()
        await asyncio.to_thread(self._key_file.unlink)
        await self.start()

    async def end(self) -> None:
        await self.close()
        self._listener.close()

    async def may_enter(self, username: str, key: asyncssh.SSHKey) -> bool:
        process = await asyncio.create_subprocess_exec(
            *self._enter(["cat", _KEYS], {}, tty=False),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        authorized, _ = await process.communicate()
        public_key = key.export_public_key().split()[1]
        return username == USER and any(public_key in line.split() for line in authorized.splitlines())
