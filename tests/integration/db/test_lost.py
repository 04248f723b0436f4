"""A container that PVE does not list is marked deleted, unless a retry has worked on it since the list was read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import Job, JobState, Lifecycle
from lxc_dashboard.services.jobs.identity import Standing, forget_lost
from tests.integration.db.runs import hold

if TYPE_CHECKING:
    from lxc_dashboard.db.database import DatabaseService, Transaction
    from lxc_dashboard.db.repositories.containers import KnownGuest


async def fail(database: DatabaseService, creation: Job) -> None:
    await hold(database, creation)
    async with database.transaction() as tx:
        await tx.jobs.finish(creation.id, "a", JobState.FAILED)


async def retry(tx: Transaction, creation: Job) -> None:
    await tx.jobs.locked(creation.id)
    await tx.jobs.reopen(creation.id, {})
    await tx.containers.set_lifecycle(creation.own_container_id, Lifecycle.CREATING)


async def known(database: DatabaseService, creation: Job) -> list[KnownGuest]:
    async with database.transaction() as tx:
        return await tx.containers.known(creation.endpoint_id)


async def is_marked(database: DatabaseService, creation: Job) -> bool:
    async with database.transaction() as tx:
        return (await tx.containers.get(creation.own_container_id)).deleted_at is not None


@pytest.fixture
async def failed(database: DatabaseService, creation: Job) -> Job:
    await fail(database, creation)
    return creation


async def test_what_nobody_worked_on_since_is_marked(database: DatabaseService, failed: Job) -> None:
    await forget_lost(database, await known(database, failed), {failed.own_container_id: Standing.GONE})
    assert await is_marked(database, failed)


async def test_a_retry_that_began_and_ended_while_pve_was_asked_keeps_its_container(
    database: DatabaseService, failed: Job
) -> None:
    before = await known(database, failed)
    async with database.transaction() as tx:
        await retry(tx, failed)
    await fail(database, failed)
    await forget_lost(database, before, {failed.own_container_id: Standing.GONE})
    assert not await is_marked(database, failed)


async def test_a_retry_that_is_committed_while_its_container_is_marked_keeps_it(
    database: DatabaseService, failed: Job, lock_awaited: Callable[[], Awaitable[None]]
) -> None:
    before = await known(database, failed)
    async with database.transaction() as tx:
        await retry(tx, failed)
        marking = asyncio.create_task(forget_lost(database, before, {failed.own_container_id: Standing.GONE}))
        await lock_awaited()
    await marking
    assert not await is_marked(database, failed)
