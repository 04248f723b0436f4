"""The embedded PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from lxc_dashboard.embedded.folder import Access
from lxc_dashboard.embedded.process import ended
from lxc_dashboard.embedded.server import READY_TIMEOUT_S, Server
from lxc_dashboard.errors import ServiceUnavailableError

ROLE = "lxc_dashboard"
DATABASE = "lxc_dashboard"
_CONNECT_TIMEOUT_S = 5

# A small server for one machine: 120 MB with everything, where the defaults take 300 MB.
_SETTINGS = {
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
        settings = _SETTINGS | {"port": str(access.postgres_port)} | ({} if self.durable else _NOT_DURABLE)
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
