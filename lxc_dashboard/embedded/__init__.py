"""PostgreSQL and Valkey from Python wheels: real servers for the demo and the tests.

Runs the wheels' programs in the foreground. No server outlives the process that started it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

from lxc_dashboard.embedded.folder import Access, DataFolder, with_ports
from lxc_dashboard.embedded.process import Account
from lxc_dashboard.embedded.servers import Binaries, PortTakenError, PostgresServer, Server, ValkeyServer
from lxc_dashboard.errors import ServiceUnavailableError

_PORT_TRIES = 5


class EmbeddedServices:
    """Both servers with one data folder. Start them from the main thread: the kernel ends the servers when that thread ends.

    ``durable=False`` is for tests: no fsync, no append-only file.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._folder = DataFolder(data_dir)
        self._durable = durable
        self._access = Access()
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None

    @property
    def database_url(self) -> str:
        """``postgresql://...`` of the product's database. Raises ``ServiceUnavailableError`` before ``start``."""
        return self.database_url_of()

    @property
    def redis_url(self) -> str:
        """``redis://...`` of Valkey's logical database 0. Raises ``ServiceUnavailableError`` before ``start``."""
        if self._valkey is None:
            raise ServiceUnavailableError("Valkey is not started")
        return self._valkey.url(self._access)

    def database_url_of(self, database: str = "") -> str:
        """Return ``postgresql://...`` of another database of the same server."""
        if self._postgres is None:
            raise ServiceUnavailableError("PostgreSQL is not started")
        return self._postgres.url(self._access, database) if database else self._postgres.url(self._access)

    async def start(self) -> None:
        """Start both servers and wait until they answer.

        Raises ``ConflictError`` for a folder in use, ``ServiceUnavailableError`` with the cause otherwise.
        """
        await self._folder.open()
        try:
            account = Account.for_servers(self._folder.root)
            binaries = Binaries.find(account)
            self._postgres = PostgresServer(self._folder, binaries, account, durable=self._durable)
            self._valkey = ValkeyServer(self._folder, binaries, account, durable=self._durable)
            await self._start_both(self._postgres, self._valkey)
        except BaseException:
            await self.stop()
            raise

    async def _start_both(self, postgres: PostgresServer, valkey: ValkeyServer) -> None:
        access = self._folder.read_access()
        for attempt in range(_PORT_TRIES):
            self._access = with_ports(access, taken=attempt > 0)
            self._folder.write_access(self._access)
            results = await asyncio.gather(
                postgres.start(self._access), valkey.start(self._access), return_exceptions=True
            )
            faults = [result for result in results if result is not None]
            if not faults:
                return
            await asyncio.gather(postgres.stop(), valkey.stop())
            if not all(isinstance(fault, PortTakenError) for fault in faults) or attempt == _PORT_TRIES - 1:
                raise faults[0]

    async def revive(self) -> list[str]:
        """Restart dead servers on their ports. Returns their names."""
        dead = [server for server in self._servers() if not server.alive]
        for server in dead:
            await server.stop()
            await server.start(self._access)
        return [server.name for server in dead]

    async def stop(self) -> None:
        """Stop both servers and unlock the folder. The data stays."""
        await asyncio.gather(*(server.stop() for server in self._servers()))
        self._postgres = self._valkey = None
        self._folder.close()

    def _servers(self) -> list[Server]:
        return [server for server in (self._postgres, self._valkey) if server is not None]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()
