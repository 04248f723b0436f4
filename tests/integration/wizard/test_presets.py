"""Presets at one endpoint: who owns, sees and may change them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    PrivilegeError,
    SessionExpiredError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME, Session
from lxc_dashboard.services.creation.form import presets
from lxc_dashboard.services.creation.form.filled import Filled
from pve_sandbox.node import SandboxNode
from tests.integration.wizard.people import People

FORM = {"cores": "4", "storage": "fast", "mounts": '[{"path": "/data"}]'}
SMALL = Filled(form=FORM, template_id=uuid4(), extras=(("apt", "htop"),), scripts=("10-a.sh",))
Change = Callable[[Runtime, Session, UUID], Awaitable[None]]
CHANGES: list[Change] = [
    lambda rt, who, preset: presets.rename(rt, who, preset, "stolen"),
    lambda rt, who, preset: presets.share(rt, who, preset, shared=True),
    lambda rt, who, preset: presets.share(rt, who, preset, shared=False),
    lambda rt, who, preset: presets.overwrite(rt, who, preset, Filled()),
    presets.delete,
]


async def names(rt: Runtime, who: Session) -> list[tuple[str, str, bool, bool]]:
    return [(p.name, p.owner, p.shared_path != "", p.mine) for p in await presets.list_presets(rt, who)]


async def content(rt: Runtime, who: Session, preset: UUID) -> tuple[str, Filled]:
    summary, filled = await presets.read(rt, who, preset)
    return summary.name, filled


async def audited(rt: Runtime) -> list[tuple[str, str, str]]:
    async with rt.db.transaction() as tx:
        entries = await tx.audit.list()
    return sorted((entry.action, entry.subject, entry.userid) for entry in entries)


async def test_a_preset_comes_back_without_what_is_one_containers_alone_and_without_a_secret(
    rt: Runtime, ann: Session
) -> None:
    alone = {
        "hostname": "web-01",
        "hostname_pattern": "w{1..2}",
        "vmid": "105",
        "ipv4_address": "10.0.0.5/24",
        "password": "hunter2",
    }
    preset = await presets.save(rt, ann, "  small   web ", replace_form(SMALL, FORM | alone))
    assert await content(rt, ann, preset) == ("small web", SMALL)
    async with rt.db.transaction() as tx:
        assert "hunter2" not in str((await tx.presets.get(preset)).fields)


async def test_what_cannot_stand_in_the_database_is_replaced(rt: Runtime, ann: Session) -> None:
    preset = await presets.save(rt, ann, "odd", Filled(form={"description": "a\0b"}))
    _, filled = await presets.read(rt, ann, preset)
    assert filled.form["description"].startswith("a")


async def test_others_see_a_preset_while_it_is_shared_and_only_at_its_endpoint(
    rt: Runtime, ann: Session, ben: Session, people: People
) -> None:
    mine = await presets.save(rt, ann, "mine", SMALL)
    ours = await presets.save(rt, ann, "ours", SMALL, shared=True)
    assert await names(rt, ann) == [("mine", ann.userid, False, True), ("ours", ann.userid, True, True)]
    assert await names(rt, ben) == [("ours", ann.userid, True, False)]
    assert await content(rt, ben, ours) == ("ours", SMALL)
    elsewhere = people(ann.userid, "other")
    assert await names(rt, elsewhere) == []
    for stranger, preset in ((ben, mine), (elsewhere, mine), (elsewhere, ours)):
        with pytest.raises(NotFoundError):
            await presets.read(rt, stranger, preset)
    await presets.share(rt, ann, ours, shared=False)
    assert await names(rt, ben) == []


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shared", [True, False])
async def test_only_its_owner_changes_a_preset(
    rt: Runtime, ann: Session, ben: Session, *, change: Change, shared: bool
) -> None:
    preset = await presets.save(rt, ann, "ours", SMALL, shared=shared)
    with pytest.raises(ConflictError if shared else NotFoundError):
        await change(rt, ben, preset)
    assert await names(rt, ann) == [("ours", ann.userid, shared, True)]
    assert await content(rt, ann, preset) == ("ours", SMALL)


async def test_a_name_is_used_once_by_each_user(rt: Runtime, ann: Session, ben: Session) -> None:
    first = await presets.save(rt, ann, "web", SMALL)
    second = await presets.save(rt, ann, "db", SMALL)
    await presets.save(rt, ben, "web", SMALL, shared=True)
    for act in (presets.save(rt, ann, " web", SMALL), presets.rename(rt, ann, second, "web")):
        with pytest.raises(InvalidInputError) as refused:
            await act
        assert refused.value.reasons == {"name": Message.of(DatabaseCode.PRESET_NAME)}
    await presets.rename(rt, ann, first, "web")
    await presets.rename(rt, ann, first, "www")
    await presets.rename(rt, ann, second, "web")
    assert [name for name, *_ in await names(rt, ann)] == ["web", "web", "www"]


async def test_of_two_saves_of_one_name_at_once_one_is_refused(rt: Runtime, ann: Session) -> None:
    saves = (presets.save(rt, ann, "web", SMALL) for _ in range(4))
    found = await asyncio.gather(*saves, return_exceptions=True)
    refused = [error for error in found if isinstance(error, InvalidInputError)]
    assert len(refused) == len(found) - 1


@pytest.mark.parametrize("name", ["", " \t", "x" * 64, "a\0b", "a\x1bb", "\ud800"])
async def test_a_name_that_is_none_is_refused_beside_its_field(rt: Runtime, ann: Session, name: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await presets.save(rt, ann, name, SMALL)
    assert list(refused.value.fields) == ["name"]
    assert await names(rt, ann) == []


async def test_changes_are_kept_and_those_of_shared_ones_audited(rt: Runtime, ann: Session) -> None:
    mine = await presets.save(rt, ann, "mine", SMALL)
    await presets.overwrite(rt, ann, mine, Filled(form={"cores": "8"}))
    await presets.rename(rt, ann, mine, "own")
    assert await content(rt, ann, mine) == ("own", Filled(form={"cores": "8"}))
    await presets.delete(rt, ann, mine)
    assert await audited(rt) == []
    ours = await presets.save(rt, ann, "ours", SMALL, shared=True)
    await presets.overwrite(rt, ann, ours, Filled(form={"cores": "2"}))
    await presets.rename(rt, ann, ours, "team")
    await presets.share(rt, ann, ours, shared=False)
    await presets.share(rt, ann, ours, shared=True)
    await presets.share(rt, ann, ours, shared=True)
    await presets.delete(rt, ann, ours)
    assert await names(rt, ann) == []
    assert await audited(rt) == [
        ("preset.change", "preset ours", ann.userid),
        ("preset.delete", "preset team", ann.userid),
        ("preset.rename", "preset team", ann.userid),
        ("preset.share", "preset ours", ann.userid),
        ("preset.share", "preset team", ann.userid),
        ("preset.unshare", "preset team", ann.userid),
    ]


async def test_who_may_create_no_container_shares_nothing_and_the_try_is_audited(
    rt: Runtime, eve: Session, ben: Session
) -> None:
    own = await presets.save(rt, eve, "mine", SMALL)
    tries: list[Awaitable[object]] = [
        presets.save(rt, eve, "Company standard", SMALL, shared=True),
        presets.share(rt, eve, own, shared=True),
    ]
    for act in tries:
        with pytest.raises(PrivilegeError) as refused:
            await act
        assert refused.value.privilege == "VM.Allocate"
    assert await names(rt, ben) == []
    assert await names(rt, eve) == [("mine", eve.userid, False, True)]
    async with rt.db.transaction() as tx:
        entries = [(e.action, e.subject, e.result) for e in await tx.audit.list()]
    assert sorted(entries) == [
        ("preset.share", "preset Company standard", "refused"),
        ("preset.share", "preset mine", "refused"),
    ]


async def test_a_pool_in_which_one_may_create_is_enough_and_others_see_which(
    rt: Runtime, eve: Session, ben: Session, sandbox: SandboxNode
) -> None:
    sandbox.api.grant(eve.userid, "/pool/staging", "VM.Allocate")
    await presets.save(rt, eve, "team", SMALL, shared=True)
    await presets.save(rt, ben, "all", SMALL, shared=True)
    found = {p.name: (p.owner, p.shared_path) for p in await presets.list_presets(rt, ben)}
    assert found == {"team": (eve.userid, "/pool/staging"), "all": (ben.userid, "/vms")}


async def test_who_has_lost_the_right_changes_no_shared_preset_and_can_withdraw_it(
    rt: Runtime, eve: Session, ben: Session, sandbox: SandboxNode
) -> None:
    sandbox.api.grant(eve.userid, "/pool/staging", "VM.Allocate")
    team = await presets.save(rt, eve, "team", SMALL, shared=True)
    sandbox.api.directory.drop_path("/pool/staging")
    for change in (
        presets.overwrite(rt, eve, team, Filled(form={"ssh_keys": "ssh-ed25519 AAAA eve"})),
        presets.rename(rt, eve, team, "Company standard"),
        presets.share(rt, eve, team, shared=True),
    ):
        with pytest.raises(PrivilegeError):
            await change
    assert await content(rt, ben, team) == ("team", SMALL)
    await presets.share(rt, eve, team, shared=False)
    assert await names(rt, ben) == []
    await presets.rename(rt, eve, team, "own")


async def test_a_user_has_a_bounded_number(rt: Runtime, ann: Session, ben: Session) -> None:
    for number in range(presets.MAX_PRESETS):
        await presets.save(rt, ann, f"p{number}", Filled())
    with pytest.raises(InvalidInputError, match="Delete one first"):
        await presets.save(rt, ann, "one more", Filled())
    await presets.save(rt, ben, "mine", Filled())


async def test_one_that_cannot_be_read_any_more_is_told_and_can_be_deleted(rt: Runtime, ann: Session) -> None:
    preset = await presets.save(rt, ann, "old", SMALL)
    async with rt.db.transaction() as tx:
        await tx.presets.update(preset, fields={"form": {"cores": 4}})
    with pytest.raises(InvalidInputError):
        await presets.read(rt, ann, preset)
    await presets.delete(rt, ann, preset)


async def test_a_session_that_has_ended_does_nothing(rt: Runtime, ann: Session) -> None:
    preset = await presets.save(rt, ann, "web", SMALL)
    ended = replace(ann, signed_in_at=ann.signed_in_at - ABSOLUTE_LIFETIME - timedelta(seconds=1))
    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: presets.list_presets(rt, ended),
        lambda: presets.read(rt, ended, preset),
        lambda: presets.save(rt, ended, "other", SMALL),
        *(lambda change=change: change(rt, ended, preset) for change in CHANGES),
    ]
    for use in uses:
        with pytest.raises(SessionExpiredError):
            await use()


async def test_a_preset_that_was_deleted_is_not_there(rt: Runtime, ann: Session) -> None:
    preset = await presets.save(rt, ann, "web", SMALL)
    await presets.delete(rt, ann, preset)
    for change in CHANGES:
        with pytest.raises(DashboardError):
            await change(rt, ann, preset)


def replace_form(filled: Filled, form: dict[str, str]) -> Filled:
    return Filled(form, filled.template_id, filled.template_name, filled.packages_off, filled.extras, filled.scripts)
