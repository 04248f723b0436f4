"""The shared objects of a process: settings, keys, database, bus, queue, pools of connections to PVE and nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lxc_dashboard.bus import Bus
from lxc_dashboard.bus.outbox import Outbox
from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.engine import create_engine
from lxc_dashboard.db.journal import Journal, Standings
from lxc_dashboard.guest.pool import SshPool
from lxc_dashboard.proxmox.client import ProxmoxPool
from lxc_dashboard.queue import Queue
from lxc_dashboard.settings import Timing

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.settings import Settings

CHECKS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Runtime:
    """One per process, opened by the web app, the worker's loop or a command.

    ``checks``: limits simultaneous preflights, which would otherwise wait for each other's connections.
    ``realm_requests``: shared requests for realms, by endpoint.
    ``verifying``: shared checks of API tokens, by token and network.
    ``token_tries``: limits simultaneous checks of API tokens that PVE has not accepted yet, by endpoint.
    """

    settings: Settings
    timing: Timing
    keyring: Keyring
    db: DatabaseService
    journal: Journal
    standings: Standings
    bus: Bus
    outbox: Outbox
    queue: Queue
    pve: ProxmoxPool
    ssh: SshPool
    checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHECKS_AT_ONCE))
    realm_requests: dict[UUID, asyncio.Task[Any]] = field(default_factory=dict)
    verifying: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    token_tries: dict[UUID, asyncio.Semaphore] = field(default_factory=dict)

    @staticmethod
    @asynccontextmanager
    async def open(settings: Settings) -> AsyncIterator[Runtime]:
        """Open the pools and close them at the end, in reverse order. Each connects at its first use."""
        keyring = keyring_of(settings)
        redis_url = settings.REDIS_URL.get_secret_value()
        async with AsyncExitStack() as stack:
            database = DatabaseService(create_engine(settings.DATABASE_URL.get_secret_value()), keyring)
            stack.push_async_callback(database.close)
            journal = Journal(database, settings.TIMING)
            stack.push_async_callback(journal.close)
            standings = Standings(database)
            stack.push_async_callback(standings.close)
            bus = Bus(redis_url)
            stack.push_async_callback(bus.close)
            outbox = Outbox(bus, settings.TIMING)
            stack.push_async_callback(outbox.close)
            queue = Queue(redis_url)
            stack.callback(queue.close)
            pve = ProxmoxPool()
            stack.push_async_callback(pve.aclose)
            ssh = SshPool()
            stack.push_async_callback(ssh.close)
            yield Runtime(
                settings, settings.TIMING, keyring, database, journal, standings, bus, outbox, queue, pve, ssh
            )


def keyring_of(settings: Settings) -> Keyring:
    """The keys of the settings, the current one first."""
    older = (key.get_secret_value() for key in settings.OLD_ENCRYPTION_KEYS)
    return Keyring.from_hex(settings.ENCRYPTION_KEY.get_secret_value(), *older)
