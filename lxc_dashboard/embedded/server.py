"""What the embedded servers share: a child in the foreground, its log, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lxc_dashboard.embedded.binaries import Binaries
from lxc_dashboard.embedded.folder import Access, DataFolder
from lxc_dashboard.embedded.process import Account, end, spawn
from lxc_dashboard.errors import ServiceUnavailableError

READY_TIMEOUT_S = 60
_POLL_S = 0.03
_TAIL_LINES = 12
_TAIL_BYTES = 8192
_FORMER = "pre-existing shared memory block"  # as PostgreSQL calls what its own processes still hold
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}


class PortTakenError(ServiceUnavailableError):
    """Somebody took the port between our look and the server's."""


class FormerServerError(ServiceUnavailableError):
    """Processes of a server that was killed have not ended yet, and have its data still."""


class Server(ABC):
    """One server: ``start`` returns when it answers; ``stop`` when it is gone, its data on disk."""

    name: str
    stop_signals: tuple[signal.Signals, ...]
    death_signal: signal.Signals  # what the kernel sends when our process dies: a clean end, too

    def __init__(self, folder: DataFolder, binaries: Binaries, account: Account | None, *, durable: bool) -> None:
        self.folder = folder
        self.binaries = binaries
        self.account = account
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def start(self, access: Access) -> None:
        """Once the processes of one that was killed have ended, too.

        ``PortTakenError`` where the port was lost; ``ServiceUnavailableError`` with the log's end where it does not come up.
        """
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
        while True:
            try:
                await self._start(access)
            except FormerServerError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                return

    async def _start(self, access: Access) -> None:
        place = self.folder.part(self.name, self.account)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            seen_place = place if self.account is None else Path(f"/proc/self/fd/{descriptor}")
            self.process = await self.launch(seen_place, access, descriptor)
        finally:
            os.close(descriptor)
        try:
            await self._until_ready(access)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server cleanly; no error where it is gone already."""
        if self.process is not None:
            await end(self.process, *self.stop_signals)
            self.process = None

    @abstractmethod
    async def launch(self, place: Path, access: Access, descriptor: int) -> subprocess.Popen[bytes]:
        """Put on disk what the server wants there and start it. ``place`` is its folder as the server itself can name it."""

    @abstractmethod
    async def answers(self, access: Access) -> bool:
        """Whether a client gets in with the password."""

    def run(
        self, command: Sequence[str | Path], descriptor: int, *, stdin: int | IO[bytes] = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` as the servers' account, its output in the log; it holds the folder's lock while it lives."""
        log = self.folder.log(self.name)
        with log.open("ab") as output:
            self._log_start = output.tell()
            return spawn(
                command,
                env=_ENVIRONMENT,
                stdin=stdin,
                output=output,
                cwd=self.folder.root / self.name,
                account=self.account,
                death_signal=self.death_signal,
                pass_fds=(self.folder.lock_fd, descriptor),
            )

    def log_tail(self) -> str:
        """The last lines that the last child printed."""
        with self.folder.log(self.name).open("rb") as log:
            end_at = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end_at - _TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:])

    async def _until_ready(self, access: Access) -> None:
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
        while not await self.answers(access):
            if not self.alive:
                tail = self.log_tail()
                if "ddress already in use" in tail:
                    raise PortTakenError(f"The port of {self.name} was taken", detail=tail)
                if _FORMER in tail:
                    raise FormerServerError(f"Former processes of {self.name} have not ended yet", detail=tail)
                raise ServiceUnavailableError(f"{self.name} ended at its start", detail=tail)
            if asyncio.get_running_loop().time() >= deadline:
                raise ServiceUnavailableError(f"{self.name} does not answer", detail=self.log_tail())
            await asyncio.sleep(_POLL_S)
