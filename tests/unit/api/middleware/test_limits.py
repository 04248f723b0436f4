"""How many requests and sockets one caller may hold at a time. Other callers are not affected."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from lxc_dashboard import routes
from lxc_dashboard.api.middleware import limits
from lxc_dashboard.api.middleware.limits import Limit, Limits
from lxc_dashboard.errors import ErrorCode, RateLimitedError, TooManyAtOnceError
from lxc_dashboard.services.auth.model import Session


async def test_one_more_than_a_caller_may_hold_is_refused_until_he_lets_one_go() -> None:
    places, one, other = Limit(2, code=ErrorCode.TOO_MANY_LOGS), uuid4(), uuid4()
    async with AsyncExitStack() as held:
        await held.enter_async_context(places.hold(one))
        async with places.hold(one):
            with pytest.raises(TooManyAtOnceError, match="You have 2 open logs"):
                await held.enter_async_context(places.hold(one))
            await held.enter_async_context(places.hold(other))
        await held.enter_async_context(places.hold(one))
    assert places._slots == {}


async def test_some_wait_for_their_turn_and_come_in_order() -> None:
    places, who, served = Limit(1, code=ErrorCode.TOO_MANY_REQUESTS, waiting=2, within_s=60.0), uuid4(), list[int]()

    async def ask(number: int) -> None:
        async with places.hold(who):
            served.append(number)
            await asyncio.sleep(0)

    outcomes = await asyncio.gather(*(ask(number) for number in range(4)), return_exceptions=True)
    assert served == [0, 1, 2]
    assert [type(each) for each in outcomes] == [type(None)] * 3 + [TooManyAtOnceError]
    assert places._slots == {}


async def test_who_waits_too_long_is_told_when_to_come_again() -> None:
    places, who = Limit(1, code=ErrorCode.TOO_MANY_REQUESTS, waiting=2, within_s=0.01), uuid4()
    async with places.hold(who):
        with pytest.raises(RateLimitedError) as late:
            async with places.hold(who):
                raise AssertionError
    assert late.value.retry_after_s > 0
    async with places.hold(who):
        pass


@pytest.mark.parametrize(
    ("path", "most"),
    [
        (f"{routes.CREATIONS}/01/events", limits.STREAMS),
        (f"{routes.API_CREATIONS}/01/log", limits.STREAMS),
        (f"{routes.CREATIONS}/01/log.txt", limits.STREAMS),
        (routes.TEMPLATE_EXPORT, limits.EXPORTS + limits.EXPORTS_WAITING),
        (routes.TEMPLATE_IMPORT, limits.UPLOADS + limits.UPLOADS_WAITING),
        (f"{routes.DRAFTS}/01/files", limits.UPLOADS + limits.UPLOADS_WAITING),
        (routes.API_CREATIONS, limits.REQUESTS + limits.REQUESTS_WAITING),
    ],
)
async def test_each_kind_of_request_has_its_own_bound(path: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAIT_AT_MOST_S", 60.0)
    held, who, go = Limits(), uuid4(), asyncio.Event()

    async def ask() -> None:
        async with held.request(path, who):
            await go.wait()

    asking = [asyncio.create_task(ask()) for _ in range(most)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyAtOnceError):
        async with held.request(path, who):
            raise AssertionError
    async with held.request(routes.JOBS, who), held.request(path, uuid4()):
        go.set()
    await asyncio.gather(*asking)


def session_of(userid: str) -> Session:
    return Session(uuid4(), UUID(int=1), "pve", userid, datetime.now(UTC))


async def test_sockets_are_counted_by_session_and_by_user() -> None:
    held, one, other = Limits(), session_of("op@pve"), session_of("op@pve")
    async with AsyncExitStack() as open_:
        for _ in range(limits.SOCKETS):
            await open_.enter_async_context(held.socket(one))
        with pytest.raises(TooManyAtOnceError):
            await open_.enter_async_context(held.socket(one))
        for _ in range(limits.SOCKETS_PER_USER - limits.SOCKETS):
            await open_.enter_async_context(held.socket(other))
        with pytest.raises(TooManyAtOnceError):
            await open_.enter_async_context(held.socket(session_of("op@pve")))
        await open_.enter_async_context(held.socket(session_of("viewer@pve")))
    async with held.socket(one):
        """All places are free again."""
