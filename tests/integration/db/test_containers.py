"""One existing container per vmid; its secrets are encrypted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import text

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import Container, Lifecycle, ProxmoxNode, new_id
from lxc_dashboard.errors import ConflictError, NotFoundError

CREDENTIALS = {"postgres": {"USER": "app", "PASSWORD": "hunter2"}}


def guest(endpoint_id: UUID, vmid: int) -> Container:
    return Container(endpoint_id=endpoint_id, vmid=vmid, node="pve1", hostname=f"ct{vmid}")


async def test_a_taken_vmid_conflicts_and_the_transaction_goes_on(
    database: DatabaseService, container: Container
) -> None:
    async with database.transaction() as tx:
        with pytest.raises(ConflictError, match="vmid 101 is taken"):
            await tx.containers.reserve(guest(container.endpoint_id, 101))
        next_one = await tx.containers.reserve(guest(container.endpoint_id, 102))
    async with database.transaction() as tx:
        assert (await tx.containers.get(next_one.id)).lifecycle == "creating"
        assert await tx.jobs.reserved_vmids(container.endpoint_id) == {101, 102}


async def test_of_many_that_want_one_vmid_one_gets_it(database: DatabaseService, endpoint: ProxmoxNode) -> None:
    async def reserve() -> UUID:
        async with database.transaction() as tx:
            return (await tx.containers.reserve(guest(endpoint.id, 200))).id

    results = await asyncio.gather(*(reserve() for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(result, UUID) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 11


class GivenUp(Exception):  # noqa: N818 - it is no error of anything
    """Ends a transaction without a commit."""


@pytest.mark.parametrize("commits", [True, False])
async def test_a_reservation_under_way_is_waited_for(
    database: DatabaseService, endpoint: ProxmoxNode, lock_awaited: Callable[[], Awaitable[None]], commits: bool
) -> None:
    async def reserve() -> Container:
        async with database.transaction() as tx:
            return await tx.containers.reserve(guest(endpoint.id, 200))

    late: list[asyncio.Task[Container]] = []
    with suppress(GivenUp):
        async with database.transaction() as tx:
            await tx.containers.reserve(guest(endpoint.id, 200))
            late.append(asyncio.create_task(reserve()))
            await lock_awaited()
            if not commits:
                raise GivenUp
    results = await asyncio.gather(*late, return_exceptions=True)
    assert [type(result) for result in results] == [ConflictError if commits else Container]


async def test_two_endpoints_may_have_the_same_vmid(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        other = await tx.nodes.add(ProxmoxNode(name="other", host="b"))
        await tx.containers.reserve(guest(other.id, 101))
        assert await tx.jobs.reserved_vmids(other.id) == {101}


async def test_a_vmid_is_given_out_again_after_a_delete(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        await tx.containers.set_credentials(container.id, CREDENTIALS)
        gone = await tx.containers.mark_deleted(container.id)
        assert gone.credentials_enc is None
        assert await tx.containers.by_vmid(container.endpoint_id, 101) is None
        new = await tx.containers.reserve(guest(container.endpoint_id, 101))
    async with database.transaction() as tx:
        found = await tx.containers.by_vmid(container.endpoint_id, 101)
        assert found is not None
        assert found.id == new.id
        assert found.marker != container.marker
        assert (await tx.containers.mark_deleted(gone.id)).deleted_at == gone.deleted_at
        assert (await tx.containers.get(gone.id)).deleted_at is not None


async def test_a_known_marker_is_not_adopted_twice(database: DatabaseService, container: Container) -> None:
    twin = guest(container.endpoint_id, 300)
    twin.marker = container.marker
    with pytest.raises(ConflictError, match="already registered"):
        async with database.transaction() as tx:
            await tx.containers.reserve(twin)


async def test_what_is_learned_of_a_container_is_kept(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        await tx.containers.set_lifecycle(container.id, Lifecycle.READY)
        await tx.containers.set_node(container.id, "pve2")
        await tx.containers.set_address(container.id, "10.0.0.11")
        await tx.containers.set_revision(container.id, None)
        changed = await tx.containers.set_services(container.id, [{"name": "web\0", "port": 80}])
        assert changed.lifecycle == "ready"
    async with database.transaction() as tx:
        found = await tx.containers.get(container.id)
    assert (found.lifecycle, found.node, found.address) == ("ready", "pve2", "10.0.0.11")
    assert found.services == [{"name": "web\N{REPLACEMENT CHARACTER}", "port": 80}]


async def test_credentials_and_passwords_are_encrypted(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        assert tx.containers.credentials(container) == {}
        assert tx.containers.root_password(container) is None
        await tx.containers.set_credentials(container.id, CREDENTIALS)
        changed = await tx.containers.set_root_password(container.id, "hunter2")
        stored = await tx.session.scalar(text("SELECT to_json(c)::text FROM container c"))
        assert tx.containers.credentials(changed) == CREDENTIALS
        assert tx.containers.root_password(changed) == "hunter2"
    assert stored.count("v1.") == 2
    assert "hunter2" not in stored


async def test_a_root_password_is_kept_from_the_reservation_on(
    database: DatabaseService, endpoint: ProxmoxNode
) -> None:
    async with database.transaction() as tx:
        row = await tx.containers.reserve(guest(endpoint.id, 101), root_password="hunter2")
    async with database.transaction() as tx:
        assert tx.containers.root_password(await tx.containers.get(row.id)) == "hunter2"


async def test_events_are_listed_newest_first_and_page_by_page(database: DatabaseService, container: Container) -> None:
    async with database.transaction() as tx:
        for kind in ("created", "started", "stopped"):
            await tx.containers.add_event(container.id, kind, f"{kind} CT 101", userid="root@pam", detail={"n": 1})
    async with database.transaction() as tx:
        events = await tx.containers.events(container.id, limit=2)
        older = await tx.containers.events(container.id, before=events[-1].id)
    assert [event.kind for event in (*events, *older)] == ["stopped", "started", "created"]
    assert events[0].detail == {"n": 1}


async def test_an_unknown_container_is_not_found(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        with pytest.raises(NotFoundError):
            await tx.containers.get(new_id())
        with pytest.raises(NotFoundError):
            await tx.containers.set_address(new_id(), "10.0.0.1")
