"""The SSH server of the sandbox node: on loopback, by key only, with ``pct`` over the guests.

Who holds ``client_key`` runs commands on this machine as the user of the sandbox.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import asyncssh
import structlog

from pve_sandbox.guests.host import GuestHost
from pve_sandbox.ssh.pct import Pct
from pve_sandbox.ssh.server import USER, SshServer, persistent_key
from pve_sandbox.ssh.shell import NodeShell

log = structlog.get_logger(__name__)


def _let_commands_be_interrupted() -> None:
    """Let commands be interrupted although a sandbox in the background ignores SIGINT.

    Commands inherit ignored signals, and a shell cannot undo that. A handler is not inherited: a new program has the
    default.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGQUIT):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, lambda *_: None)


class SshDoor(SshServer):
    """``start``, ``close``, and ``start`` again on the same port.

    ``host_key`` is a public key line. ``client_key`` is the private key of root (OpenSSH PEM). Both stay in
    ``data_dir/ssh``.
    """

    files = True

    def __init__(
        self,
        data_dir: Path,
        guests: GuestHost,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        node_of: Callable[[int], str],
        name_of: Callable[[int], str] | None = None,
        unlock: Callable[[int], bool] | None = None,
        pct_s: float = 0.0,
    ) -> None:
        folder = data_dir / "ssh"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._host_key = asyncssh.import_private_key(persistent_key(folder / "host_key"))
        self.client_key = persistent_key(folder / "client_key")
        self._allowed = asyncssh.import_private_key(self.client_key).public_data
        self._host = host
        self.port = port
        self.pct = Pct(guests, node_of, name_of, unlock, pct_s)
        self._node_shell = NodeShell(folder, self.pct)
        super().__init__(self._node_shell)

    @property
    def host_key(self) -> str:
        return " ".join(self._host_key.export_public_key().decode().split()[:2])

    async def start(self) -> None:
        """Serve. ``OSError`` if the port is taken."""
        _let_commands_be_interrupted()
        await self._node_shell.open()
        await self.listen(self._host_key, host=self._host, port=self.port)
        if self._acceptor:
            self.port = self._acceptor.get_port()
        log.info("ssh server started", host=self._host, port=self.port)

    async def close(self) -> None:
        """End connections and the commands that still run on the node."""
        await super().close()
        await self._node_shell.close()

    def may_enter(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._allowed
