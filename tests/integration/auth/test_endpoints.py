from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings

SettingsWith = Callable[..., Settings]
FINGERPRINT = ":".join(["AB"] * 32)


async def names(rt: Runtime) -> list[str]:
    return [choice.name for choice in await endpoints.choices(rt)]


async def test_without_pve_host_nothing_is_registered(settings_with: SettingsWith) -> None:
    async with Runtime.open(settings_with()) as rt:
        await endpoints.ensure_endpoint_from_settings(rt)
        assert await names(rt) == []


async def test_the_endpoint_of_the_settings_is_registered_once_by_many(settings_with: SettingsWith) -> None:
    async with Runtime.open(settings_with(PVE_HOST="192.0.2.9", PVE_FINGERPRINT=FINGERPRINT)) as rt:
        await asyncio.gather(*(endpoints.ensure_endpoint_from_settings(rt) for _ in range(5)))
        (choice,) = await endpoints.choices(rt)
        assert choice.name == "192.0.2.9"
        found = await endpoints.endpoint(rt, choice.id)
        assert (found.host, found.port, found.fingerprint, found.verify_tls) == ("192.0.2.9", 8006, FINGERPRINT, True)


async def test_changed_settings_bring_the_registration_up_to_date(settings_with: SettingsWith, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("a CA")
    async with Runtime.open(settings_with(PVE_HOST="192.0.2.9", PVE_FINGERPRINT=FINGERPRINT)) as rt:
        await endpoints.ensure_endpoint_from_settings(rt)
    async with Runtime.open(settings_with(PVE_HOST="192.0.2.9", PVE_CA_FILE=str(ca_file))) as rt:
        await endpoints.ensure_endpoint_from_settings(rt)
        (choice,) = await endpoints.choices(rt)
        found = await endpoints.endpoint(rt, choice.id)
        assert (found.fingerprint, found.ca_pem) == (None, "a CA")


async def test_a_name_that_is_taken_gets_the_port_beside_it(settings_with: SettingsWith) -> None:
    async with Runtime.open(settings_with(PVE_HOST="pve.example", PVE_PORT="8007")) as rt:
        async with rt.db.transaction() as tx:
            await tx.nodes.add(ProxmoxNode(name="pve.example", host="pve.example", port=8006, is_default=True))
        await endpoints.ensure_endpoint_from_settings(rt)
        assert await names(rt) == ["pve.example", "pve.example:8007"]


async def test_an_endpoint_registered_by_hand_keeps_its_name(settings_with: SettingsWith) -> None:
    async with Runtime.open(settings_with(PVE_HOST="192.0.2.9")) as rt:
        async with rt.db.transaction() as tx:
            await tx.nodes.add(ProxmoxNode(name="home", host="192.0.2.9", port=8006))
        await endpoints.ensure_endpoint_from_settings(rt)
        assert await names(rt) == ["home"]


async def test_the_others_are_those_where_one_is_not_signed_in_and_none_while_the_database_is_away(
    settings_with: SettingsWith,
) -> None:
    async with Runtime.open(settings_with()) as rt:
        async with rt.db.transaction() as tx:
            here = await tx.nodes.add(ProxmoxNode(name="here", host="192.0.2.9", port=8006))
            await tx.nodes.add(ProxmoxNode(name="there", host="192.0.2.10", port=8006))
        ann = Session(here.id, here.id, "here", "ann@pve", datetime.now(UTC))
        assert [choice.name for choice in await endpoints.others(rt, ann)] == ["there"]
    async with Runtime.open(settings_with(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")) as rt:
        assert await endpoints.others(rt, ann) == []


async def test_an_unknown_endpoint_is_not_found(settings_with: SettingsWith) -> None:
    async with Runtime.open(settings_with()) as rt:
        with pytest.raises(NotFoundError):
            await endpoints.endpoint(rt, uuid4())
