"""The SSH server of the sandbox node: on loopback, by key only, and its shell with ``pct`` in PATH.

Who holds ``client_key`` runs commands on this machine as the user of the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import structlog

from pve_sandbox.guests.host import GuestHost
from pve_sandbox.ssh import pct_shim
from pve_sandbox.ssh.pct import Caller, Pct, Reply, Run
from pve_sandbox.ssh.server import USER, SshServer, persistent_key

log = structlog.get_logger(__name__)

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Words as shlex.quote writes them, and plain words: such a line needs no shell.
_PLAIN = re.compile(r"(?:[\w@%+=:,./ -]|'[^']*'|\"'\")*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_ACCEPTED_VARIABLES = ("LANG", "LC_")  # the usual AcceptEnv of OpenSSH


@dataclass(frozen=True, slots=True)
class PctCall:
    """A single ``pct`` command and the variables that ``env`` sets before it."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def pct_call(command: str) -> PctCall | None:
    """Parse a single ``pct`` command. ``None`` if the line needs a shell."""
    if not command.startswith(("pct ", "env ")) or not _PLAIN.fullmatch(command):
        return None
    words = shlex.split(command)
    start = words.index("pct") if "pct" in words else 0
    before = words[1:start]
    if words[start] != "pct" or words[0] not in {"pct", "env"} or not all(map(_ASSIGNMENT.match, before)):
        return None
    return PctCall(tuple(words[start + 1 :]), dict(word.split("=", 1) for word in before))


class NodeShell:
    """``folder`` holds the shim and its socket. Call ``open`` and ``close`` once each."""

    def __init__(self, folder: Path, pct: Pct) -> None:
        self._folder = folder
        self._pct = pct
        self._server: asyncio.Server | None = None
        self._home = pwd.getpwuid(os.geteuid()).pw_dir
        self._guardian = self._find_guardian()

    @staticmethod
    def _find_guardian() -> list[str]:
        """The prefix that ends a command of this machine when the sandbox is killed."""
        setpriv = shutil.which("setpriv", path=_SYSTEM_PATH)
        return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    async def open(self) -> None:
        await asyncio.to_thread(self._write_shim)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            path = f"/proc/self/fd/{descriptor}/{pct_shim.SOCKET}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - left by a sandbox that was killed
            self._server = await asyncio.start_unix_server(self._answer_shim, path)
        finally:
            os.close(descriptor)

    def _write_shim(self) -> None:
        commands = self._folder / "bin"
        commands.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = [sys.executable, "-I", "-S", pct_shim.__file__, str(self._folder.resolve())]
        (commands / "pct").write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        (commands / "pct").chmod(0o700)

    async def close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    def environment(self, requested: Mapping[str, str]) -> dict[str, str]:
        """The environment of a command on the node. From the client it takes only the language."""
        accepted = {name: value for name, value in requested.items() if name.startswith(_ACCEPTED_VARIABLES)}
        return {
            "PATH": f"{self._folder.resolve() / 'bin'}:{_SYSTEM_PATH}",
            "HOME": self._home,
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/bash",
            **accepted,
        }

    async def plan(self, command: str | None, environment: Mapping[str, str], *, tty: bool) -> Run | Reply:
        """Return what runs for a client's ``command``, where ``None`` is an interactive shell."""
        if command is None:
            return Run((*self._guardian, "/bin/bash", "-i"))
        call = pct_call(command)
        if call is None:
            return Run((*self._guardian, "/bin/bash", "-c", command))
        return await self._pct.answer(
            call.arguments, Caller({**environment, **call.environment}, Path(self._home), tty)
        )

    async def _answer_shim(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(await reader.read())
            caller = Caller(question["environment"], Path(question["folder"]), question["tty"])
            answer = await self._pct.answer(question["arguments"], caller)
            writer.write(json.dumps(_document(answer)).encode())
            await writer.drain()
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("pct command failed", error=str(error))
        finally:
            writer.close()


def _document(answer: Run | Reply) -> Mapping[str, object]:
    if isinstance(answer, Run):
        return {"argv": answer.argv}
    return {"argv": (), "output": answer.output, "error": answer.error, "status": answer.status}


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
