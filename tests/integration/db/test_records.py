"""The audit log and presets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import AuditEntry, AuditResult, Preset, ProxmoxNode, new_id
from lxc_dashboard.errors import ConflictError, NotFoundError


@pytest.fixture
async def entries(database: DatabaseService) -> list[AuditEntry]:
    done = [
        ("root@pam", "container.start", "CT 101", AuditResult.OK),
        ("eve@pve", "container.start", "CT 102", AuditResult.REFUSED),
        ("root@pam", "container_x", "CT 101", AuditResult.OK),
        ("root@pam", "sign_in", "", AuditResult.FAILED),
    ]
    async with database.transaction() as tx:
        return [
            await tx.audit.append(userid=who, action=what, subject=on, result=result, endpoint_name="lab")
            for who, what, on, result in done
        ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [3, 2, 1, 0]),
        ({"userid": "root@pam"}, [3, 2, 0]),
        ({"action": "container"}, [1, 0]),
        ({"action": "container.start"}, [1, 0]),
        ({"action": "container_start"}, []),
        ({"subject": "CT 101"}, [2, 0]),
        ({"result": AuditResult.REFUSED}, [1]),
        ({"endpoint_name": "other"}, []),
        ({"limit": 2}, [3, 2]),
    ],
)
async def test_the_log_is_listed_newest_first_by_any_filter(
    database: DatabaseService, entries: list[AuditEntry], filters: dict[str, object], expected: list[int]
) -> None:
    async with database.transaction() as tx:
        found = await tx.audit.list(**filters)  # type: ignore[arg-type]  # the values' types differ by name
    assert [entries.index(entry) for entry in found] == expected


async def test_the_log_is_read_page_by_page_and_by_time(database: DatabaseService, entries: list[AuditEntry]) -> None:
    async with database.transaction() as tx:
        assert [row.id for row in await tx.audit.list(before=entries[2].id)] == [entries[1].id, entries[0].id]
        assert [row.id for row in await tx.audit.list(until=entries[1].at)] == [entries[0].id]
        assert len(await tx.audit.list(since=entries[1].at)) == 3
        assert await tx.audit.list(since=entries[3].at + timedelta(seconds=1)) == []


async def test_what_was_typed_never_stops_the_record(database: DatabaseService) -> None:
    async with database.transaction() as tx:
        entry = await tx.audit.append(
            userid="x\0" * 300,
            action="sign_in",
            subject="\ud800" * 300,
            address="1" * 99,
            result=AuditResult.REFUSED,
            detail={"typed": ["\0", {"\ud800": 1}]},
        )
    assert (len(entry.userid), len(entry.subject), len(entry.address)) == (255, 255, 64)
    assert entry.userid.endswith("…")


@pytest.mark.parametrize("forbidden", ["UPDATE audit_entry SET userid = 'x'", "DELETE FROM audit_entry"])
async def test_an_entry_can_be_neither_changed_nor_deleted(
    database: DatabaseService, entries: list[AuditEntry], forbidden: str
) -> None:
    with pytest.raises(ConflictError, match="cannot be changed"):
        async with database.transaction() as tx:
            await tx.session.execute(text(forbidden))


async def test_presets_are_seen_by_their_owner_and_shared_ones_by_all(
    database: DatabaseService, endpoint: ProxmoxNode
) -> None:
    async with database.transaction() as tx:
        await tx.presets.add(Preset(endpoint_id=endpoint.id, owner="root@pam", name="small", fields={"cores": 1}))
        await tx.presets.add(Preset(endpoint_id=endpoint.id, owner="root@pam", name="large", shared_path="/vms"))
        await tx.presets.add(Preset(endpoint_id=endpoint.id, owner="eve@pve", name="small"))
        other = await tx.nodes.add(ProxmoxNode(name="other", host="other.example"))
        await tx.presets.add(Preset(endpoint_id=other.id, owner="root@pam", name="foreign", shared_path="/vms"))
    async with database.transaction() as tx:
        assert [(row.owner, row.name) for row in await tx.presets.list(endpoint.id, "eve@pve")] == [
            ("root@pam", "large"),
            ("eve@pve", "small"),
        ]
        assert [row.name for row in await tx.presets.list(endpoint.id, "root@pam")] == ["large", "small"]


async def test_a_preset_changes_and_goes(database: DatabaseService, endpoint: ProxmoxNode) -> None:
    async with database.transaction() as tx:
        preset = await tx.presets.add(
            Preset(endpoint_id=endpoint.id, owner="root@pam", name="small", fields={"cores": 1})
        )
    async with database.transaction() as tx:
        await tx.presets.update(preset.id, fields={"cores": 2})
        await tx.presets.update(preset.id, name="tiny", shared_path="/vms")
    async with database.transaction() as tx:
        found = await tx.presets.get(preset.id)
        assert (found.name, found.shared_path, found.fields) == ("tiny", "/vms", {"cores": 2})
        await tx.presets.delete(preset.id)
    async with database.transaction() as tx:
        for call in (tx.presets.get, tx.presets.delete, tx.presets.update):
            with pytest.raises(NotFoundError, match="preset"):
                await call(preset.id)


async def test_one_owner_has_one_preset_of_a_name(database: DatabaseService, endpoint: ProxmoxNode) -> None:
    async with database.transaction() as tx:
        await tx.presets.add(Preset(endpoint_id=endpoint.id, owner="root@pam", name="small"))
    with pytest.raises(ConflictError, match="You already have a preset"):
        async with database.transaction() as tx:
            await tx.presets.add(Preset(id=new_id(), endpoint_id=endpoint.id, owner="root@pam", name="small"))
