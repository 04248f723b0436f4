"""Callers with an API token of their own: PVE decides on it, and refusals are limited."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from lxc_dashboard.errors import InvalidInputError, RateLimitedError, TokenRefusedError, UnreachableError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.sandbox.directory import Token
from lxc_dashboard.sandbox.node import SandboxNode
from lxc_dashboard.services.auth import privileges, tokens
from lxc_dashboard.services.auth.sign_in import Origin

ORIGIN = Origin("192.0.2.9", "ci")


def made(sandbox: SandboxNode, userid: str = "root@pam", name: str = "ci", *, privsep: int = 0, expire: int = 0) -> str:
    """The header of a new token."""
    secret = str(uuid4())
    sandbox.api.directory.users[userid].tokens[name] = Token(secret, privsep, expire)
    sandbox.api.directory.changed()
    return f"PVEAPIToken={userid}!{name}={secret}"


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
    assert refused.value.user_message == TokenRefusedError.default_message


@pytest.mark.usefixtures("endpoint_id")
async def test_a_token_that_was_changed_or_has_expired_is_refused(rt: Runtime, sandbox: SandboxNode) -> None:
    header = made(sandbox)
    with pytest.raises(TokenRefusedError):
        await tokens.session_of(rt, header[:-4] + "ffff", "", ORIGIN)
    with pytest.raises(TokenRefusedError):
        await tokens.session_of(rt, made(sandbox, name="old", expire=1), "", ORIGIN)


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
        await tokens.session_of(rt, header, "", ORIGIN)


@pytest.mark.usefixtures("endpoint_id")
@pytest.mark.parametrize("name", ["elsewhere", "nul\0", "x" * 5000])
async def test_an_endpoint_that_is_not_registered_is_named_as_the_field(
    rt: Runtime, sandbox: SandboxNode, name: str
) -> None:
    with pytest.raises(InvalidInputError) as unknown:
        await tokens.session_of(rt, made(sandbox), name, ORIGIN)
    assert set(unknown.value.fields) == {"endpoint"}


@pytest.mark.usefixtures("endpoint_id")
async def test_a_pve_that_is_away_refuses_no_token(rt: Runtime, sandbox: SandboxNode) -> None:
    header = made(sandbox)
    await sandbox.close()
    with pytest.raises(UnreachableError):
        await tokens.session_of(rt, header, "", ORIGIN)
