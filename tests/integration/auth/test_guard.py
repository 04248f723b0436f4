"""The guard over a real session: which events it lets through, and with which session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import reflex as rx
from redis.asyncio import Redis
from reflex.event import Event
from reflex.state import State

from lxc_dashboard.api.middleware.access import accepts_origin
from lxc_dashboard.app import app
from lxc_dashboard.errors import PrivilegeError, SessionExpiredError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.state.base import session
from lxc_dashboard.state.guard import Guard, caller, public, requires
from lxc_dashboard.state.process import WebProcess
from lxc_dashboard.state.socket.tabs import StateOwner
from tests.integration.auth.conftest import Begin


class ForSomeState(rx.State):
    """Handlers with different requirements."""

    remembered: str = ""

    @requires(("Sys.PowerMgmt", "/nodes/pve1"))
    def reboot(self) -> None:
        """Requires a privilege."""

    @requires(unattended=True)
    def refresh(self) -> None:
        """Called by an open page itself."""

    @public
    def anybody(self) -> None:
        """Requires nothing."""


@pytest.fixture
async def guard(rt: Runtime) -> AsyncIterator[Guard]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Runtime]:
        yield rt

    process = WebProcess(opened)
    process.attach(app, accepts_origin(process))
    async with process.running():
        yield Guard(process)


def root_state(cookie: str = "") -> Any:
    state = State(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    state.router_data = {"headers": {"cookie": f"{sessions.COOKIE_NAME}={cookie}"}, "asPath": "/templates", "sid": ""}
    return state


def event(handler: str) -> Event:
    return Event(name=f"{ForSomeState.get_full_name()}.{handler}")


async def test_a_privilege_is_asked_of_pve_before_the_handler_runs(guard: Guard, begin: Begin) -> None:
    (root, root_cookie), (_, viewer_cookie) = await begin(), await begin("viewer@pve")
    assert await guard.preprocess(app, root_state(root_cookie), event("reboot")) is None
    assert caller().session == root
    assert session() == root
    with pytest.raises(PrivilegeError) as refused:
        await guard.preprocess(app, root_state(viewer_cookie), event("reboot"))
    assert (refused.value.privilege, refused.value.path) == ("Sys.PowerMgmt", "/nodes/pve1")


@pytest.mark.parametrize(("handler", "is_use"), [("reboot", True), ("refresh", False)])
async def test_only_what_its_user_does_keeps_a_session_open(
    guard: Guard, rt: Runtime, begin: Begin, redis_url: str, handler: str, *, is_use: bool
) -> None:
    session, cookie = await begin()
    async with Redis.from_url(redis_url) as redis:
        key = sessions._identity_key(session.key)
        await redis.expire(key, 100)
        assert await guard.preprocess(app, root_state(cookie), event(handler)) is None
        assert caller().session == session
        assert (await redis.ttl(key) > 100) is is_use


async def test_a_public_handler_runs_for_nobody(guard: Guard) -> None:
    assert await guard.preprocess(app, root_state(), event("anybody")) is None
    assert caller().session is None
    with pytest.raises(SessionExpiredError):
        session()


async def test_nobody_is_led_to_sign_in(guard: Guard) -> None:
    update = await guard.preprocess(app, root_state("A" * sessions.COOKIE_CHARS), event("reboot"))
    assert update is not None
    assert [found.payload["path"] for found in update.events] == ["/sign-in?next=%2Ftemplates"]


async def test_an_unmarked_event_ends_in_silence(guard: Guard, begin: Begin) -> None:
    _, cookie = await begin()
    update = await guard.preprocess(app, root_state(cookie), event("setvar"))
    assert update is not None
    assert (update.events, update.delta) == ([], {})


async def test_state_goes_to_another_session_as_new(guard: Guard, begin: Begin) -> None:
    (first, one), (second, two) = await begin(), await begin("viewer@pve")
    state = root_state(one)
    await guard.preprocess(app, state, event("anybody"))
    mine = await state.get_state(ForSomeState)
    mine.remembered = "a secret of the first"
    await guard.preprocess(app, state, event("anybody"))
    assert mine.remembered == "a secret of the first"
    assert (await state.get_state(StateOwner))._session_id == str(first.id)
    state.router_data["headers"]["cookie"] = f"{sessions.COOKIE_NAME}={two}"
    await guard.preprocess(app, state, event("anybody"))
    assert (await state.get_state(ForSomeState)).remembered == ""
    assert (await state.get_state(StateOwner))._session_id == str(second.id)
