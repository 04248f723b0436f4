from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from lxc_dashboard.db.models import AuditEntry
from lxc_dashboard.errors import (
    InvalidCredentialsError,
    NotFoundError,
    RateLimitedError,
    SessionExpiredError,
    UnreachableError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import limits, sessions, sign_in
from lxc_dashboard.services.auth.sign_in import Origin, SecondStep, SignedIn
from pve_sandbox.demo_cluster import DEMO_PASSWORD, RECOVERY_KEYS
from pve_sandbox.node import SandboxNode

HERE = Origin("192.0.2.7", "a browser")
SLOW_MACHINE_S = 60


@pytest.fixture
def soon_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten refusals, for tests that do not measure their time."""
    monkeypatch.setattr(sign_in, "REFUSAL_DELAY_S", 0.2)


async def tried(
    rt: Runtime,
    endpoint_id: UUID,
    user: str = "root",
    realm: str = "pam",
    password: str = DEMO_PASSWORD,
    *,
    origin: Origin = HERE,
) -> SignedIn | SecondStep:
    return await sign_in.sign_in(rt, endpoint_id, user=user, realm=realm, password=password, origin=origin)


async def guessed(rt: Runtime, endpoint_id: UUID, origin: Origin) -> type[BaseException]:
    """Try a wrong password of root@pam; return the type of the refusal."""
    with pytest.raises((InvalidCredentialsError, RateLimitedError)) as refused:
        await tried(rt, endpoint_id, password="wrong", origin=origin)
    return refused.type


async def audited(rt: Runtime) -> Sequence[AuditEntry]:
    async with rt.db.transaction() as tx:
        return await tx.audit.list()


async def test_the_right_password_opens_a_session(rt: Runtime, endpoint_id: UUID) -> None:
    result = await tried(rt, endpoint_id, " root ")
    assert isinstance(result, SignedIn)
    assert result.session.userid == "root@pam"
    assert result.session.endpoint_name == "sandbox"
    assert result.session.address == HERE.address
    assert await sessions.find(rt, result.cookie_value) == result.session
    (entry,) = await audited(rt)
    assert (entry.action, entry.result, entry.userid, entry.address) == ("auth.sign_in", "ok", "root@pam", "192.0.2.7")


@pytest.mark.parametrize("realm", ["pam", "pve"])
async def test_who_types_his_realm_behind_his_name_is_signed_in_and_counted_as_who_does_not(
    rt: Runtime, endpoint_id: UUID, realm: str
) -> None:
    result = await tried(rt, endpoint_id, " root@pam ", realm)
    assert isinstance(result, SignedIn)
    assert result.session.userid == "root@pam"
    (entry,) = await audited(rt)
    assert (entry.result, entry.userid) == ("ok", "root@pam")


async def test_every_refusal_is_one_error_with_one_message_after_one_time(
    rt: Runtime, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_s: list[float] = []
    until_refusal_s = sign_in._until_refusal_s

    def noted(elapsed_s: float) -> float:
        taken_s.append(elapsed_s + until_refusal_s(elapsed_s))
        return taken_s[-1] - elapsed_s

    monkeypatch.setattr(sign_in, "_until_refusal_s", noted)
    wrong = {
        "password": ("root", "pam", "wrong"),
        "user": ("nobody", "pam", "wrong"),
        "realm": ("root", "nowhere", DEMO_PASSWORD),
        "long user": ("r" * 70, "pam", "wrong"),
        "long password": ("root", "pam", "x" * 5000),
        "ticket as password": ("root", "pam", "PVE:root@pam:67000000::x"),
    }

    async def refusal(user: str, realm: str, password: str) -> tuple[str, float]:
        began = time.monotonic()
        with pytest.raises(InvalidCredentialsError) as refused:
            await tried(rt, endpoint_id, user, realm, password)
        return refused.value.user_message, time.monotonic() - began

    found = await asyncio.gather(*(refusal(*parts) for parts in wrong.values()))
    assert {message for message, _ in found} == {InvalidCredentialsError().user_message}
    times_s = [elapsed for _, elapsed in found]
    multiples = [taken / sign_in.REFUSAL_DELAY_S for taken in taken_s]
    assert multiples == pytest.approx([round(multiple) for multiple in multiples]), "each at the next whole multiple"
    assert min(multiples) > 0.9
    assert len(taken_s) == len(times_s)
    assert all(told >= due for told, due in zip(sorted(times_s), sorted(taken_s), strict=True))
    assert {entry.result for entry in await audited(rt)} == {"refused"}
    assert not any("wrong" in str(entry) for entry in await audited(rt))


@pytest.mark.usefixtures("soon_refused")
@pytest.mark.parametrize("hidden", ["\u202emap@toor", "ro\u200bot", "root\x1b[2J", "ro\not"])
async def test_a_name_with_characters_that_do_not_show_is_refused_and_stands_escaped_in_the_audit(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode, hidden: str
) -> None:
    asked = len(sandbox.api.requests)
    with pytest.raises(InvalidCredentialsError) as refused:
        await tried(rt, endpoint_id, hidden)
    assert refused.value.user_message == InvalidCredentialsError().user_message
    assert len(sandbox.api.requests) == asked
    (entry,) = await audited(rt)
    assert entry.result == "refused"
    assert entry.userid.isprintable()
    assert entry.userid == f"{hidden.encode('unicode_escape').decode().replace(chr(92) + 'n', chr(92) + 'x0a')}@pam"


async def test_a_pve_that_cannot_be_reached_is_told_apart(rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode) -> None:
    await sandbox.close()
    with pytest.raises(UnreachableError):
        await tried(rt, endpoint_id)
    (entry,) = await audited(rt)
    assert entry.result == "failed"


async def test_a_pve_that_takes_the_connection_and_says_nothing_is_not_reached_either(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "ANSWER_WITHIN_S", 1.0)
    sandbox.mute()
    async with asyncio.timeout(sign_in.ANSWER_WITHIN_S + SLOW_MACHINE_S):
        with pytest.raises(UnreachableError):
            await tried(rt, endpoint_id)


async def test_only_a_registered_endpoint_is_asked(rt: Runtime, endpoint_id: UUID) -> None:
    with pytest.raises(NotFoundError):
        await tried(rt, uuid4())
    assert endpoint_id


async def test_the_second_factor_is_asked_for_and_opens_a_session(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode, redis_url: str
) -> None:
    step = await tried(rt, endpoint_id, "tfa", "pve")
    assert isinstance(step, SecondStep)
    assert (step.userid, step.kinds) == ("tfa@pve", ("totp", "recovery"))
    assert await sign_in.second_step(rt, step.token) == step
    async with Redis.from_url(redis_url) as redis:
        stored = b" ".join([await redis.get(key) or b"" async for key in redis.scan_iter("auth:challenge:*")])
        ttls_s = [await redis.ttl(key) async for key in redis.scan_iter("auth:challenge:*")]
    assert b"tfa" not in stored
    assert step.token.encode() not in stored
    assert max(ttls_s) <= sign_in.LIFETIME_S
    result = await sign_in.answer(rt, step.token, "totp", sandbox.totp_code(), HERE)
    assert result.session.userid == "tfa@pve"
    assert await sign_in.second_step(rt, step.token) is None


@pytest.mark.usefixtures("soon_refused")
async def test_a_wrong_code_is_refused_and_may_be_mended_with_a_recovery_key(rt: Runtime, endpoint_id: UUID) -> None:
    step = await tried(rt, endpoint_id, "tfa", "pve")
    assert isinstance(step, SecondStep)
    with pytest.raises(InvalidCredentialsError) as refused:
        await sign_in.answer(rt, step.token, "totp", "000000", HERE)
    assert refused.value.user_message == InvalidCredentialsError().user_message
    result = await sign_in.answer(rt, step.token, "recovery", RECOVERY_KEYS[0], HERE)
    assert result.session.userid == "tfa@pve"


@pytest.mark.usefixtures("soon_refused")
async def test_a_kind_that_was_not_asked_for_is_refused(rt: Runtime, endpoint_id: UUID) -> None:
    step = await tried(rt, endpoint_id, "tfa", "pve")
    assert isinstance(step, SecondStep)
    with pytest.raises(InvalidCredentialsError):
        await sign_in.answer(rt, step.token, "yubico", "x", HERE)


@pytest.mark.usefixtures("soon_refused")
async def test_a_challenge_that_is_over_or_invented_is_none(rt: Runtime, endpoint_id: UUID, redis_url: str) -> None:
    step = await tried(rt, endpoint_id, "tfa", "pve")
    assert isinstance(step, SecondStep)
    for token in ("", "x", "A" * sessions.COOKIE_CHARS):
        assert await sign_in.second_step(rt, token) is None
    async with Redis.from_url(redis_url) as redis:
        (key,) = [key async for key in redis.scan_iter("auth:challenge:*")]
        await redis.set(key, b"v1.altered")
        assert await sign_in.second_step(rt, step.token) is None
        await redis.delete(key)
    with pytest.raises(SessionExpiredError):
        await sign_in.answer(rt, step.token, "totp", "000000", HERE)


@pytest.mark.usefixtures("soon_refused")
async def test_wrong_passwords_from_one_address_keep_nobody_else_out_of_the_account(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode
) -> None:
    there = Origin("203.0.113.1")
    guesses = [guessed(rt, endpoint_id, there) for _ in range(limits.TRIES_PER_ACCOUNT_AND_ADDRESS + 5)]
    assert (await asyncio.gather(*guesses)).count(RateLimitedError) == 5
    asked = len(sandbox.api.requests)
    with pytest.raises(RateLimitedError) as limited:
        await tried(rt, endpoint_id, "ROOT", origin=there)
    assert len(sandbox.api.requests) == asked, "one who is over the limit waits for nothing"
    assert 0 < limited.value.retry_after_s <= limits.TRIES_WINDOW_S
    async with asyncio.timeout(limits.ACCOUNT_TRY_EVERY_S / 2):
        assert isinstance(await tried(rt, endpoint_id, origin=Origin("198.51.100.1")), SignedIn)


@pytest.mark.usefixtures("soon_refused")
async def test_many_addresses_together_are_slowed_at_an_account_but_not_one_that_signed_in_before(
    rt: Runtime, endpoint_id: UUID, sandbox: SandboxNode
) -> None:
    assert isinstance(await tried(rt, endpoint_id, origin=HERE), SignedIn)
    at_once = limits.ACCOUNT_TRIES_AT_ONCE - 1  # that sign-in was one of them
    guesses = [
        asyncio.create_task(guessed(rt, endpoint_id, Origin(f"203.0.113.{number}"))) for number in range(at_once + 9)
    ]
    try:
        # One waits for its turn in ACCOUNT_TRY_EVERY_S. The others are refused at once.
        async with asyncio.timeout(limits.ACCOUNT_TRY_EVERY_S / 2):
            while len(ended := [guess for guess in guesses if guess.done()]) < len(guesses) - 1:
                await asyncio.wait(set(guesses) - set(ended), return_when=asyncio.FIRST_COMPLETED)
            outcomes = [guess.result() for guess in ended]
            assert outcomes.count(InvalidCredentialsError) == at_once
            assert outcomes.count(RateLimitedError) == 8
            asked = len(sandbox.api.requests)
            there = Origin("198.51.100.1")
            for _ in range(limits.TRIES_PER_ADDRESS + 1):
                assert await guessed(rt, endpoint_id, there) is RateLimitedError
            assert len(sandbox.api.requests) == asked
            assert isinstance(await tried(rt, endpoint_id, "viewer", "pve", origin=there), SignedIn)
            assert isinstance(await tried(rt, endpoint_id, origin=HERE), SignedIn)
    finally:
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)


@pytest.mark.usefixtures("soon_refused")
async def test_an_address_that_signed_in_before_has_its_own_limit_at_the_account(
    rt: Runtime, endpoint_id: UUID
) -> None:
    assert isinstance(await tried(rt, endpoint_id), SignedIn)
    guesses = [guessed(rt, endpoint_id, HERE) for _ in range(limits.TRIES_PER_ACCOUNT_AND_ADDRESS + 2)]
    assert (await asyncio.gather(*guesses)).count(RateLimitedError) == 2


@pytest.mark.usefixtures("soon_refused")
async def test_an_address_tries_only_so_often_whatever_account(rt: Runtime, endpoint_id: UUID) -> None:
    async def refused(number: int) -> type[Exception]:
        with pytest.raises((InvalidCredentialsError, RateLimitedError)) as caught:
            await tried(rt, endpoint_id, f"user{number}", password="wrong")
        return caught.type

    found = await asyncio.gather(*(refused(number) for number in range(limits.TRIES_PER_ADDRESS + 3)))
    assert found.count(RateLimitedError) == 3
    with pytest.raises(RateLimitedError):
        await tried(rt, endpoint_id)
    assert isinstance(await tried(rt, endpoint_id, origin=Origin("192.0.2.99")), SignedIn)


async def test_a_sign_in_clears_the_count_of_its_account_at_its_address(rt: Runtime, endpoint_id: UUID) -> None:
    for _ in range(3 * limits.TRIES_PER_ACCOUNT_AND_ADDRESS):
        assert isinstance(await tried(rt, endpoint_id), SignedIn)


@pytest.mark.usefixtures("soon_refused")
async def test_a_sign_in_gives_an_address_its_own_try_back_and_no_other(
    rt: Runtime, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRIES_PER_ADDRESS", 4)
    guesses = [tried(rt, endpoint_id, f"user{number}", password="wrong") for number in range(3)]
    await asyncio.gather(*guesses, return_exceptions=True)
    for _ in range(3):
        assert isinstance(await tried(rt, endpoint_id), SignedIn)
    with pytest.raises(InvalidCredentialsError):
        await tried(rt, endpoint_id, "user4", password="wrong")
    with pytest.raises(RateLimitedError):
        await tried(rt, endpoint_id, "user5", password="wrong")


@pytest.mark.usefixtures("soon_refused")
async def test_a_whole_ipv6_site_counts_as_one_address(
    rt: Runtime, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRIES_PER_ADDRESS", 2)

    async def guess(address: str) -> type[BaseException]:
        with pytest.raises((InvalidCredentialsError, RateLimitedError)) as caught:
            await tried(rt, endpoint_id, f"of{address}", password="wrong", origin=Origin(address))
        return caught.type

    found = await asyncio.gather(*(guess(f"2001:db8:0:1::{number}") for number in range(1, 5)))
    assert found.count(RateLimitedError) == 2
    assert await guess("2001:db8:0:2::1") is InvalidCredentialsError


@pytest.mark.usefixtures("soon_refused")
async def test_who_is_over_the_limit_of_his_address_locks_nobody_out(
    rt: Runtime, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRIES_PER_ADDRESS", 1)
    with pytest.raises(InvalidCredentialsError):
        await tried(rt, endpoint_id, "nobody", password="wrong")
    for _ in range(limits.TRIES_PER_ACCOUNT_AND_ADDRESS + 1):
        with pytest.raises(RateLimitedError):
            await tried(rt, endpoint_id, password="wrong")
    assert isinstance(await tried(rt, endpoint_id, origin=Origin("192.0.2.99")), SignedIn)


async def test_signing_out_ends_the_session_and_is_recorded(rt: Runtime, endpoint_id: UUID) -> None:
    result = await tried(rt, endpoint_id)
    assert isinstance(result, SignedIn)
    await sign_in.sign_out(rt, result.session, HERE)
    assert await sessions.find(rt, result.cookie_value) is None
    assert [entry.action for entry in await audited(rt)] == ["auth.sign_out", "auth.sign_in"]


def test_secrets_do_not_show_in_what_is_printed() -> None:
    step = SecondStep("a@pve", ("totp",), "token-secret")
    assert "token-secret" not in repr(step)
