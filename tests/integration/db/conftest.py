"""The database service with this test's database, and rows that most tests start from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.engine import create_engine
from lxc_dashboard.db.models import CREATE_KIND, Container, Job, ProxmoxNode


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.from_hex("a1" * 32)


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[DatabaseService]:
    service = DatabaseService(create_engine(database_url, pool_size=10, max_overflow=20), keyring)
    yield service
    await service.close()


@pytest.fixture
async def endpoint(database: DatabaseService) -> ProxmoxNode:
    async with database.transaction() as tx:
        return await tx.nodes.add(ProxmoxNode(name="lab", host="pve.example"))


@pytest.fixture
async def container(database: DatabaseService, endpoint: ProxmoxNode) -> Container:
    async with database.transaction() as tx:
        return await tx.containers.reserve(
            Container(endpoint_id=endpoint.id, vmid=101, node="pve1", hostname="web-01", created_by="root@pam")
        )


@pytest.fixture
async def creation(database: DatabaseService, container: Container) -> Job:
    async with database.transaction() as tx:
        return await tx.jobs.add(
            Job.about(container, CREATE_KIND, step="creating", userid="root@pam", params={"cores": 2})
        )


@pytest.fixture
def lock_awaited(database: DatabaseService) -> Callable[[], Awaitable[None]]:
    """Wait until a transaction in this test's database waits for another's lock."""

    async def wait() -> None:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(60):
            found = 0
            while not found:
                async with database.transaction() as tx:
                    found = await tx.session.scalar(waiting) or 0

    return wait
