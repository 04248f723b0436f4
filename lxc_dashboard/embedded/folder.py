"""The data folder of the embedded servers: lock, passwords, ports and subfolders."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lxc_dashboard.embedded.process import Account
from lxc_dashboard.errors import ConflictError, ServiceUnavailableError

_ENDING_SERVERS_S = 20
_POLL_S = 0.05
_LOG_LIMIT_BYTES = 5 * 1024 * 1024
# Below the kernel's range of ephemeral ports, so that no outgoing connection takes the port of a stopped server.
_FIRST_PORT, _PORTS, _PORT_TRIES = 20_000, 10_000, 100


@dataclass(frozen=True, slots=True)
class Access:
    """Ports and passwords of the servers, stored in ``access.json`` with mode 0600. The next start reuses free ports."""

    postgres_port: int = 0
    valkey_port: int = 0
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    valkey_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class DataFolder:
    """A folder that one command uses at a time. The servers inherit its lock, so it is free when the last of them has ended."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.lock_fd = -1
        self._access_file = self.root / "access.json"

    async def open(self) -> None:
        """Create and lock the folder. Raises ``ConflictError`` if another command has locked it."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServiceUnavailableError(f"The data folder {self.root} is not usable", detail=str(error)) from error
        try:
            await self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self.lock_fd = descriptor

    async def _lock(self, descriptor: int) -> None:
        deadline = asyncio.get_running_loop().time() + _ENDING_SERVERS_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = int(os.pread(descriptor, 20, 0) or b"0")
                if _lives(holder):
                    raise ConflictError(
                        f"The data folder {self.root} is in use by process {holder}. End that process, or choose another folder"
                    ) from None
                if asyncio.get_running_loop().time() >= deadline:
                    raise ConflictError(
                        f"Servers of an earlier run still use {self.root}. Try again in a moment"
                    ) from None
                await asyncio.sleep(_POLL_S)
            else:
                return

    def close(self) -> None:
        """Unlock the folder."""
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1

    def part(self, name: str, account: Account | None) -> Path:
        """Return a subfolder of mode 0700 that belongs to ``account``. Raises ``ServiceUnavailableError``."""
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
        if account is not None and path.stat().st_uid != account.uid:
            try:
                os.chown(path, account.uid, account.gid)
            except OSError as error:
                raise ServiceUnavailableError(
                    "PostgreSQL does not run as root, and root cannot change to another account on this machine",
                    detail=str(error),
                ) from error
        return path

    def log(self, name: str) -> Path:
        """Return the log file of a server. Rotates a large file."""
        folder = self.root / "log"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{name}.log"
        if file.exists() and file.stat().st_size > _LOG_LIMIT_BYTES:
            file.replace(folder / f"{name}.old.log")
        return file

    def read_access(self) -> Access:
        """Return the stored ports and passwords, or new passwords. Raises ``ServiceUnavailableError``."""
        if not self._access_file.exists():
            return Access()
        try:
            return Access(**json.loads(self._access_file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ServiceUnavailableError(f"{self._access_file} cannot be read", detail=str(error)) from error

    def write_access(self, access: Access) -> None:
        """Store ports and passwords, before a server uses them."""
        write_private(self._access_file, json.dumps(asdict(access)))


def write_private(file: Path, text: str) -> None:
    """Write ``file`` atomically, readable only by its owner."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        if os.geteuid() == 0:  # the folder may be a user's, while this process is root
            os.fchown(out.fileno(), file.parent.stat().st_uid, file.parent.stat().st_gid)
        os.fsync(out.fileno())
    draft.replace(file)


def free_port(preferred: int = 0) -> int:
    """Return a free loopback port, ``preferred`` if possible. Another process may take it before its use."""
    others = (_FIRST_PORT + secrets.randbelow(_PORTS) for _ in range(_PORT_TRIES))
    for port in (*([preferred] if preferred else ()), *others, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
                continue
            return int(probe.getsockname()[1])
    raise ServiceUnavailableError("No loopback port is free")


def with_ports(access: Access, *, taken: bool = False) -> Access:
    """Return ``access`` with ports that are free now. ``taken``: use none of its last ports."""
    postgres_port = free_port(0 if taken else access.postgres_port)
    valkey_port = free_port(0 if taken else access.valkey_port)
    return replace(access, postgres_port=postgres_port, valkey_port=valkey_port)


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
