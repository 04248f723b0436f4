"""Endpoints: their secrets are encrypted, one is the default, and none is deleted while in use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import Container, CreationBatch, Job, ProxmoxNode, new_id
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, TamperedError

SECRETS = NodeSecrets(token_secret="token-hunter2", ssh_key="key-hunter2")


def node(name: str, **values: Any) -> ProxmoxNode:
    return ProxmoxNode(name=name, host=f"{name}.example", tokenid="root@pam!x", **values)


async def test_an_endpoint_comes_back_with_its_secrets(database: DatabaseService) -> None:
    door = {"*": {"host": "10.0.0.1", "port": 22, "host_key": "ssh-ed25519 AAAA"}}
    async with database.transaction() as tx:
        added = await tx.nodes.add(node("lab", doors=door, fingerprint="AA:BB"), SECRETS)
    async with database.transaction() as tx:
        found = await tx.nodes.get(added.id)
        assert tx.nodes.secrets(found) == SECRETS
    assert (found.name, found.doors, found.fingerprint, found.verify_tls) == ("lab", door, "AA:BB", True)


async def test_secrets_stand_nowhere_in_plain_text(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        await tx.nodes.add(node("lab"), SECRETS)
        stored = await tx.session.scalar(text("SELECT to_json(n)::text FROM proxmox_node n"))
    assert stored.count("v1.") == 2
    assert "hunter2" not in stored
    assert "hunter2" not in repr(SECRETS)


async def test_a_secret_copied_to_another_endpoint_is_noticed(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        await tx.nodes.add(node("a"), SECRETS)
        other = await tx.nodes.add(node("b"), SECRETS)
        copied = "UPDATE proxmox_node SET ssh_key_enc = (SELECT ssh_key_enc FROM proxmox_node WHERE name = 'a')"
        await tx.session.execute(text(copied))
    async with database.transaction() as tx:
        with pytest.raises(TamperedError):
            tx.nodes.secrets(await tx.nodes.get(other.id))


async def test_a_token_needs_its_secret(database: DatabaseService) -> None:
    with pytest.raises(InvalidInputError):
        async with database.transaction() as tx:
            await tx.nodes.add(node("lab"))


async def test_an_endpoint_is_found_by_name_and_by_address(database: DatabaseService, endpoint: ProxmoxNode) -> None:
    async with database.transaction() as tx:
        assert await tx.nodes.by_name("lab") == endpoint
        assert await tx.nodes.by_name("LAB") is None
        assert await tx.nodes.by_address("pve.example", 8006) == endpoint
        assert await tx.nodes.by_address("pve.example", 8007) is None


async def test_changes_leave_the_rest_and_the_secrets_alone(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        added = await tx.nodes.add(node("lab"), SECRETS)
    async with database.transaction() as tx:
        changed = await tx.nodes.update(added.id, host="new.example", fingerprint="CC")
        assert tx.nodes.secrets(changed) == SECRETS
    async with database.transaction() as tx:
        found = await tx.nodes.get(added.id)
    assert (found.name, found.host, found.fingerprint) == ("lab", "new.example", "CC")
    assert found.updated_at > found.created_at


async def test_given_secrets_replace_all_of_them(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        added = await tx.nodes.add(node("lab"), SECRETS)
    async with database.transaction() as tx:
        await tx.nodes.update(added.id, secrets=NodeSecrets(ssh_key="new"), tokenid=None)
    async with database.transaction() as tx:
        found = await tx.nodes.get(added.id)
        assert tx.nodes.secrets(found) == NodeSecrets(ssh_key="new")
        assert found.token_secret_enc is None


async def test_an_update_to_a_taken_name_conflicts(database: DatabaseService, endpoint: ProxmoxNode) -> None:
    async with database.transaction() as tx:
        other = await tx.nodes.add(ProxmoxNode(name="other", host="b"))
    with pytest.raises(ConflictError, match="name"):
        async with database.transaction() as tx:
            await tx.nodes.update(other.id, name="lab")
    with pytest.raises(ConflictError, match="host and port"):
        async with database.transaction() as tx:
            await tx.nodes.update(other.id, host="pve.example")


async def test_one_endpoint_is_the_default(database: DatabaseService, endpoint: ProxmoxNode) -> None:
    async with database.transaction() as tx:
        assert await tx.nodes.default() is None
        second = await tx.nodes.add(ProxmoxNode(name="b", host="b", is_default=True))
    async with database.transaction() as tx:
        third = await tx.nodes.add(ProxmoxNode(name="a", host="a", is_default=True))
        assert await tx.nodes.default() == third
        await tx.nodes.make_default(second.id)
        await tx.nodes.make_default(second.id)
    async with database.transaction() as tx:
        default = await tx.nodes.default()
        assert default is not None
        assert default.name == "b"
        assert [row.name for row in await tx.nodes.list()] == ["b", "a", "lab"]


async def test_a_race_for_the_default_leaves_one(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        nodes = [await tx.nodes.add(ProxmoxNode(name=f"n{i}", host=f"h{i}")) for i in range(8)]

    async def make_default(row: ProxmoxNode) -> None:
        async with database.transaction() as tx:
            await tx.nodes.make_default(row.id)

    results = await asyncio.gather(*(make_default(row) for row in nodes), return_exceptions=True)
    assert {type(result) for result in results if result is not None} <= {ConflictError}
    assert None in results
    async with database.transaction() as tx:
        assert sum(row.is_default for row in await tx.nodes.list()) == 1


async def test_an_endpoint_in_use_stays_and_its_users_are_named(
    database: DatabaseService, endpoint: ProxmoxNode, creation: Job
) -> None:
    async with database.transaction() as tx:
        for vmid in range(102, 106):
            row = Container(endpoint_id=endpoint.id, vmid=vmid, node="pve1", hostname=f"web-{vmid}")
            await tx.containers.reserve(row)
    with pytest.raises(ConflictError, match=r"CT 101 web-01, CT 102 web-102, CT 103 web-103 and 2 more"):
        async with database.transaction() as tx:
            await tx.nodes.delete(endpoint.id)


async def test_an_endpoint_goes_with_what_is_remembered_of_deleted_containers(
    database: DatabaseService, endpoint: ProxmoxNode, creation: Job
) -> None:
    async with database.transaction() as tx:
        await tx.containers.add_event(creation.own_container_id, "created", "Created CT 101")
        await tx.containers.mark_deleted(creation.own_container_id)
    async with database.transaction() as tx:
        await tx.nodes.delete(endpoint.id)
    async with database.transaction() as tx:
        assert await tx.nodes.list() == []
        with pytest.raises(NotFoundError):
            await tx.jobs.get(creation.id)


async def test_an_endpoint_goes_with_the_batches_that_were_asked_for_at_it(
    database: DatabaseService, endpoint: ProxmoxNode, creation: Job
) -> None:
    batch = CreationBatch(endpoint_id=endpoint.id, userid="ann@pve", pattern="web-{01..20}")
    async with database.transaction() as tx:
        await tx.batches.add(batch)
        (await tx.jobs.get(creation.id)).batch_id = batch.id
        await tx.containers.mark_deleted(creation.own_container_id)
    async with database.transaction() as tx:
        await tx.nodes.delete(endpoint.id)
    async with database.transaction() as tx:
        assert await tx.nodes.list() == []
        with pytest.raises(NotFoundError):
            await tx.batches.get(batch.id)


async def test_a_container_made_while_its_endpoint_is_deleted_is_refused(
    database: DatabaseService, endpoint: ProxmoxNode
) -> None:
    async def reserve() -> None:
        async with database.transaction() as tx:
            row = Container(endpoint_id=endpoint.id, vmid=101, node="pve1", hostname="x")
            await tx.containers.reserve(row)

    async with database.transaction() as tx:
        await tx.nodes.delete(endpoint.id)
        late = asyncio.create_task(reserve())
    with pytest.raises(NotFoundError):
        await late


@pytest.mark.parametrize("call", ["get", "update", "make_default", "delete"])
async def test_an_unknown_endpoint_is_not_found(database: DatabaseService, call: str) -> None:
    async with database.transaction() as tx:
        with pytest.raises(NotFoundError, match="endpoint"):
            await getattr(tx.nodes, call)(new_id())
