"""What the embedded servers share: a child in the foreground, its log, its end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import IO, cast

import psycopg
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lxc_dashboard.embedded.binaries import Binaries
from lxc_dashboard.embedded.folder import Access, DataFolder
from lxc_dashboard.embedded.process import Account, end, ended, spawn
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


ROLE = "lxc_dashboard"
DATABASE = "lxc_dashboard"
_CONNECT_TIMEOUT_S = 5

# A small server for one machine: 120 MB with everything, where the defaults take 300 MB.
_POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",  # thirty for each process, and there may be several workers
    "shared_buffers": "32MB",
    "huge_pages": "off",
    "io_method": "sync",
    "max_wal_size": "256MB",
    "max_parallel_workers_per_gather": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    """PostgreSQL in the foreground on a loopback port; scram passwords; no socket file, which would need an enterable folder."""

    name = "postgres"
    stop_signals = (
        signal.SIGINT,
        signal.SIGQUIT,
    )  # fast: clients are sent away; then immediate: recovery at the next start
    death_signal = signal.SIGINT

    def url(self, access: Access, database: str = DATABASE) -> str:
        return f"postgresql://{ROLE}:{access.postgres_password}@127.0.0.1:{access.postgres_port}/{database}"

    async def _prepare(self, place: Path, access: Access, descriptor: int) -> None:
        """Make the cluster in a folder of another name, then rename it: one that was cut short never counts."""
        here = self.folder.root / self.name
        data = here / "data"
        if not (data / "PG_VERSION").exists():
            await self._initialise(here, place, access, descriptor)
        # Whoever holds the folder's lock is alone in it: a pid file here is of a dead server, its pid perhaps somebody else's by now.
        (data / "postmaster.pid").unlink(missing_ok=True)

    async def _initialise(self, here: Path, place: Path, access: Access, descriptor: int) -> None:
        draft = here / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        password = here / "password.new"
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(access.postgres_password)
        if self.account is not None:
            os.chown(password, self.account.uid, self.account.gid)
        command = [
            *(self.binaries.initdb, "-D", place / draft.name, "--pwfile", place / password.name, "-U", ROLE),
            # The password is a random one: to stretch it would protect nothing and make each connection dear.
            *("--auth=scram-sha-256", "--set=scram_iterations=1"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
            *("--no-instructions", *(() if self.durable else ("--no-sync",))),
        ]
        process = self.run(command, descriptor)
        try:
            if not await ended(process, READY_TIMEOUT_S) or process.returncode != 0:
                raise ServiceUnavailableError("PostgreSQL's data folder could not be made", detail=self.log_tail())
        finally:
            if process.poll() is None:
                process.kill()
            password.unlink(missing_ok=True)
        draft.rename(here / "data")

    async def launch(self, place: Path, access: Access, descriptor: int) -> subprocess.Popen[bytes]:
        await self._prepare(place, access, descriptor)
        settings = _POSTGRES_SETTINGS | {"port": str(access.postgres_port)} | ({} if self.durable else _NOT_DURABLE)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self.run([self.binaries.postgres, "-D", place / "data", *options], descriptor)

    async def answers(self, access: Access) -> bool:
        """Whether it lets us in; makes the product's database at the first time."""
        try:
            connection = await psycopg.AsyncConnection.connect(
                self.url(access, "postgres"), autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
            )
        except psycopg.OperationalError:
            return False
        async with connection:
            known = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if await known.fetchone() is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        return True


_VALKEY_SETTINGS = """\
bind 127.0.0.1
daemonize no
dir {place}
port {port}
requirepass {password}
databases 64
save ""
appendonly {appendonly}
appendfsync everysec
maxmemory-policy noeviction
loglevel notice
"""


class ValkeyServer(Server):
    """Valkey in the foreground on a loopback port. Its settings come over stdin: a password on the command line is anybody's."""

    name = "valkey"
    stop_signals = (signal.SIGTERM,)
    death_signal = signal.SIGTERM

    def url(self, access: Access, database: int = 0) -> str:
        return f"redis://:{access.valkey_password}@127.0.0.1:{access.valkey_port}/{database}"

    async def launch(self, place: Path, access: Access, descriptor: int) -> subprocess.Popen[bytes]:
        settings = _VALKEY_SETTINGS.format(
            place=place,
            port=access.valkey_port,
            password=access.valkey_password,
            appendonly="yes" if self.durable else "no",
        )
        process = self.run([self.binaries.valkey, "-"], descriptor, stdin=subprocess.PIPE)
        if process.stdin is not None:
            with process.stdin as stdin:
                stdin.write(settings.encode())
        return process

    async def answers(self, access: Access) -> bool:
        once = Retry(NoBackoff(), 0)
        client = Redis.from_url(self.url(access), socket_connect_timeout=_CONNECT_TIMEOUT_S, retry=once)
        try:
            await cast("Awaitable[bool]", client.ping())  # typed as if it might not be one
        except (exceptions.ConnectionError, exceptions.BusyLoadingError, exceptions.TimeoutError):
            return False
        finally:
            await client.aclose()
        return True
