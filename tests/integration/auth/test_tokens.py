"""Callers with their own API token: PVE checks it, and refusals are limited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.errors import (
    ApiError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    TlsError,
    TokenRefusedError,
    UnreachableError,
)
from lxc_dashboard.proxmox import ProxmoxClient
from lxc_dashboard.proxmox.schemas import Version
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import privileges, tokens
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.auth.sign_in import Origin
from lxc_dashboard.settings import Settings
from pve_sandbox.api.access.directory import User
from pve_sandbox.node import SandboxNode
from tests.integration.auth.token_callers import ORIGIN, made, made_up, of_kind, outcomes
from tests.integration.endpoints import runtime_over


async def test_a_token_that_pve_takes_acts_as_its_user_with_its_own_rights(
    rt: Runtime, sandbox: SandboxNode, endpoint_id: UUID
) -> None:
    whole = await tokens.session_of(rt, made(sandbox), "", ORIGIN)
    assert (whole.endpoint_id, whole.userid, whole.authid) == (endpoint_id, "root@pam", "root@pam!ci")
    assert "VM.Allocate" in await privileges.held(rt, whole, "/vms")
    parted = await tokens.session_of(rt, made(sandbox, name="parted", privsep=1), "sandbox", ORIGIN)
    assert not await privileges.held(rt, parted, "/vms")
    assert whole.token_secret not in repr(whole)


@pytest.mark.usefixtures("endpoint_id")
@pytest.mark.parametrize("userid", ["a!b@pve", "ann@example.com@pve", "auth0|a=1;b,c@pve"])
async def test_a_users_own_name_may_hold_any_mark(rt: Runtime, sandbox: SandboxNode, userid: str) -> None:
    sandbox.api.directory.users[userid] = User()
    found = await tokens.session_of(rt, made(sandbox, userid), "", ORIGIN)
    assert (found.userid, found.authid) == (userid, f"{userid}!ci")


@pytest.mark.usefixtures("endpoint_id")
@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "PVEAPIToken=root@pam!ci",
        "PVEAPIToken=root@pam!ci=not-a-uuid",
        "PVEAPIToken=root@pam!ghost=01a20ac9-09fe-7108-a38a-673353762100",
        "PVEAPIToken=ghost@pve!ci=01a20ac9-09fe-7108-a38a-673353762100",
        "PVEAPIToken=" + "a" * 5000,
    ],
)
async def test_any_other_header_is_refused_with_one_message(rt: Runtime, header: str) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        await tokens.session_of(rt, header, "", ORIGIN)
    assert refused.value.user_message == TokenRefusedError().user_message


@pytest.mark.usefixtures("endpoint_id")
async def test_a_token_that_was_changed_or_has_expired_is_refused(rt: Runtime, sandbox: SandboxNode) -> None:
    for header in (made(sandbox)[:-4] + "ffff", made(sandbox, name="old", expire=1)):
        with pytest.raises(TokenRefusedError):
            await tokens.session_of(rt, header, "", ORIGIN)


@pytest.mark.usefixtures("endpoint_id")
async def test_refusals_are_limited_by_token_and_address_and_hold_up_nobody_else(
    rt: Runtime, sandbox: SandboxNode
) -> None:
    header = made(sandbox)
    wrong = header[:-36] + str(uuid4())
    for _ in range(tokens.REFUSALS_PER_TOKEN):
        with pytest.raises(TokenRefusedError):
            await tokens.session_of(rt, wrong, "", ORIGIN)
    with pytest.raises(RateLimitedError) as limited:
        await tokens.session_of(rt, wrong, "", ORIGIN)
    assert limited.value.retry_after_s > 0
    assert (await tokens.session_of(rt, header, "", Origin("192.0.2.10"))).userid == "root@pam"
    assert (await tokens.session_of(rt, made(sandbox, name="other"), "", ORIGIN)).userid == "root@pam"


@pytest.mark.usefixtures("endpoint_id")
async def test_another_address_of_the_same_ipv6_network_is_no_other_caller(rt: Runtime) -> None:
    for number in range(tokens.REFUSALS_PER_ADDRESS):
        with pytest.raises(TokenRefusedError):
            await tokens.session_of(rt, "Bearer x", "", Origin(f"2001:db8:7::{number:x}"))
    with pytest.raises(RateLimitedError):
        await tokens.session_of(rt, "Bearer x", "", Origin("2001:db8:7::ffff"))
    with pytest.raises(TokenRefusedError):
        await tokens.session_of(rt, "Bearer x", "", Origin("2001:db8:8::1"))


@pytest.mark.usefixtures("endpoint_id")
async def test_calls_with_a_good_token_are_not_counted(rt: Runtime, sandbox: SandboxNode) -> None:
    header = made(sandbox)
    for _ in range(tokens.REFUSALS_PER_ADDRESS * 2):
        assert (await tokens.session_of(rt, header, "", ORIGIN)).authid == "root@pam!ci"


async def test_where_no_endpoint_is_registered_one_is_to_be_named(rt: Runtime) -> None:
    with pytest.raises(NotFoundError, match="Name one with"):
        await tokens.session_of(rt, made_up(), "", ORIGIN)


@pytest.mark.usefixtures("endpoint_id")
@pytest.mark.parametrize("name", ["elsewhere", "nul\0", "x" * 5000])
async def test_an_endpoint_that_is_not_registered_is_named_as_the_field(
    rt: Runtime, sandbox: SandboxNode, name: str
) -> None:
    with pytest.raises(InvalidInputError) as unknown:
        await tokens.session_of(rt, made(sandbox), name, ORIGIN)
    assert set(unknown.value.fields) == {"endpoint"}


async def test_a_question_that_was_cancelled_is_forgotten_like_any_other(rt: Runtime) -> None:
    asked = rt.verifying["x"] = asyncio.create_task(asyncio.sleep(3600))
    asked.cancel()
    await asyncio.wait([asked])
    tokens._settle(rt, "x", asked)
    assert not rt.verifying


@pytest.mark.usefixtures("endpoint_id")
async def test_a_pve_that_is_away_refuses_no_token(rt: Runtime, sandbox: SandboxNode) -> None:
    header = made(sandbox)
    await sandbox.close()
    with pytest.raises(UnreachableError):
        await tokens.session_of(rt, header, "", ORIGIN)


@pytest.mark.usefixtures("endpoint_id")
@pytest.mark.parametrize(
    "said",
    [
        lambda: TlsError("issued by the secret CA", node="10.1.2.3:8006"),
        lambda: ApiError(500, "unable to open /etc/pve/secret", node="10.1.2.3:8006"),
    ],
)
async def test_words_of_pve_are_not_for_who_it_has_not_let_in(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch, said: Callable[[], Exception]
) -> None:
    async def version(_: ProxmoxClient) -> Version:
        raise said()

    monkeypatch.setattr(ProxmoxClient, "version", version)
    with pytest.raises((TlsError, ApiError)) as raised:
        await tokens.session_of(rt, made_up(), "", ORIGIN)
    assert "secret" not in raised.value.user_message
    assert raised.value.user_message


async def test_without_redis_pve_decides_on_tokens_all_the_same(
    settings_with: Callable[..., Settings], sandbox: SandboxNode
) -> None:
    async with runtime_over(settings_with(REDIS_URL="redis://127.0.0.1:1/0"), sandbox) as rt:
        good, wrong, none = await outcomes(rt, [made(sandbox), made_up(), "Bearer x"])
    assert isinstance(good, Session)
    assert of_kind([wrong, none], TokenRefusedError) == 2
