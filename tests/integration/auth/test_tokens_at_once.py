"""Many callers with API tokens at once: PVE is rarely asked, and invalid tokens delay no valid one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from lxc_dashboard.errors import (
    RateLimitedError,
    ServiceUnavailableError,
    TokenRefusedError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import tokens
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.auth.sign_in import Origin
from pve_sandbox.node import SandboxNode
from tests.integration.auth.token_callers import ORIGIN, made, made_up, of_kind, outcomes


@dataclass
class Asked:
    """Counts the token checks at PVE, in all and at once. ``held`` delays those of invalid tokens until it is set."""

    held: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0
    now: int = 0
    most: int = 0

    async def __call__(self, rt: Runtime, session: Session) -> None:
        self.times, self.now = self.times + 1, self.now + 1
        self.most = max(self.most, self.now)
        try:
            if session.tokenid.startswith("root@pam!x"):
                await self.held.wait()
            await _ask(rt, session)
        finally:
            self.now -= 1


_ask = tokens._request


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    counted = Asked()
    monkeypatch.setattr(tokens, "_request", counted)
    return counted


@pytest.fixture
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every check ask PVE, as if no answer were kept."""
    monkeypatch.setattr(tokens, "_held", lambda _digest: f"auth:token:{uuid4()}")


@pytest.fixture
def long_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep accepted tokens long enough for a slow machine."""
    monkeypatch.setattr(tokens, "HOLDS_FOR_S", 600.0)


@pytest.mark.usefixtures("endpoint_id")
async def test_made_up_tokens_at_once_are_counted_before_pve_is_asked(
    rt: Runtime, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PLACE_WITHIN_S", 60.0)
    asked.held.set()
    found = await outcomes(rt, [made_up() for _ in range(2 * tokens.REFUSALS_PER_ADDRESS)])
    assert asked.times == of_kind(found, TokenRefusedError) == tokens.REFUSALS_PER_ADDRESS
    assert of_kind(found, RateLimitedError) == tokens.REFUSALS_PER_ADDRESS
    asked.times = 0
    found = await outcomes(rt, [made_up("xold") for _ in range(50)], [Origin("192.0.2.77")])
    assert asked.times == of_kind(found, TokenRefusedError) == tokens.REFUSALS_PER_TOKEN


@pytest.mark.usefixtures("endpoint_id", "asked_each_time")
async def test_made_up_tokens_from_everywhere_leave_pve_to_those_that_it_knows(
    rt: Runtime, sandbox: SandboxNode, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PLACE_WITHIN_S", 0.2)
    good = made(sandbox)
    await tokens.session_of(rt, good, "", ORIGIN)
    origins = [Origin(f"198.51.100.{number}") for number in range(40)]
    strangers = [asyncio.create_task(tokens.session_of(rt, made_up(), "", origin)) for origin in origins]

    async def known_ones_meanwhile() -> None:
        while asked.now < tokens.AT_ONCE:
            await asyncio.sleep(0.01)
        assert (await tokens.session_of(rt, good, "", ORIGIN)).userid == "root@pam"
        with pytest.raises(ServiceUnavailableError):
            await tokens.session_of(rt, made(sandbox, name="new"), "", ORIGIN)
        while sum(stranger.done() for stranger in strangers) < len(strangers) - tokens.AT_ONCE:
            await asyncio.sleep(0.01)
        asked.held.set()

    async with asyncio.timeout(60):
        await known_ones_meanwhile()
        found = await asyncio.gather(*strangers, return_exceptions=True)
    unavailable, refused = of_kind(found, ServiceUnavailableError), of_kind(found, TokenRefusedError)
    assert (unavailable, refused) == (40 - tokens.AT_ONCE, tokens.AT_ONCE)
    assert asked.most == tokens.AT_ONCE + 1
    assert (await tokens.session_of(rt, made(sandbox, name="newer"), "", ORIGIN)).userid == "root@pam"


@pytest.mark.usefixtures("endpoint_id", "long_held")
async def test_a_new_token_that_comes_a_hundred_times_at_once_is_asked_about_once(
    rt: Runtime, sandbox: SandboxNode, asked: Asked
) -> None:
    found = await outcomes(rt, [made(sandbox)] * 100)
    assert of_kind(found, Session) == 100
    assert asked.times == 1


@pytest.mark.usefixtures("endpoint_id", "long_held")
async def test_what_was_looked_up_before_the_answer_and_read_after_it_asks_no_second_time(
    rt: Runtime, sandbox: SandboxNode, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, get, first_answered = made(sandbox), rt.bus.get, asyncio.Event()
    looks: list[str] = []

    async def read_late(key: str) -> bytes | None:
        found, is_later = await get(key), bool(looks)
        if key.startswith("auth:token:"):
            looks.append(key)
            if is_later:
                await first_answered.wait()
        return found

    monkeypatch.setattr(rt.bus, "get", read_late)
    both = [asyncio.create_task(tokens.session_of(rt, header, "", ORIGIN)) for _ in range(2)]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    first_answered.set()
    assert {session.userid for session in await asyncio.gather(*both)} == {"root@pam"}
    assert looks
    assert asked.times == 1


@pytest.mark.usefixtures("endpoint_id", "asked_each_time")
async def test_who_shares_an_address_locks_out_no_token_that_pve_has_accepted(
    rt: Runtime, sandbox: SandboxNode
) -> None:
    for _ in range(tokens.REFUSALS_PER_ADDRESS + 1):
        with pytest.raises((TokenRefusedError, RateLimitedError)):
            await tokens.session_of(rt, "Bearer x", "", ORIGIN)
    good = made(sandbox)
    await tokens.session_of(rt, good, "", ORIGIN)
    for _ in range(tokens.REFUSALS_PER_ADDRESS):
        with pytest.raises(TokenRefusedError):
            await tokens.session_of(rt, made_up(), "", ORIGIN)
    with pytest.raises(RateLimitedError):
        await tokens.session_of(rt, made_up(), "", ORIGIN)
    assert (await tokens.session_of(rt, good, "", ORIGIN)).userid == "root@pam"
    del sandbox.api.directory.users["root@pam"].tokens["ci"]
    sandbox.api.directory.changed()
    with pytest.raises(TokenRefusedError):
        await tokens.session_of(rt, good, "", ORIGIN)
    with pytest.raises(RateLimitedError):
        await tokens.session_of(rt, good, "", ORIGIN)
