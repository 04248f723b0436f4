"""Events over the real websocket: which ones a browser may call, and how sockets close when a session ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis
from reflex_base.registry import RegistrationContext

from lxc_dashboard import routes
from lxc_dashboard.app import app
from lxc_dashboard.db.models import AuditEntry
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.settings import Settings
from lxc_dashboard.state.containers.container_list import ContainersState
from lxc_dashboard.state.guard import access_of
from lxc_dashboard.state.jobs.job_list import DashboardJobsState
from lxc_dashboard.state.socket.sockets import SWEEP_S
from tests.e2e.stack import Stack
from tests.integration.web.conftest import HYDRATE, PATIENCE_S, QUIET_S, SETTLED_S, Tab, Visitor, redirects, tab

SESSION_STATE = "reflex___state____state.lxc_dashboard___state___session____session_state"
EDITOR_STATE = "reflex___state____state.lxc_dashboard___state___templates___editor___page____editor_state"
SAVE_STATE = f"{EDITOR_STATE}.lxc_dashboard___state___templates___editor___save____save_state"
BUCKETS_STATE = "reflex___state____state.lxc_dashboard___state___templates___buckets____buckets_state"
CONTAINERS_STATE = ContainersState.get_full_name()
DASHBOARD_STATE = DashboardJobsState.get_full_name()
FILLED = {"ready", "empty"}

ON_LOAD = "reflex___state____state.reflex___state____on_load_internal_state.on_load_internal"
SOON_OVER_S = 100


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


def app_events() -> dict[str, dict[str, Any]]:
    """All events of the app, with a value for each argument."""
    assert app
    found = {}
    for name, registered in RegistrationContext.get().event_handlers.items():
        if "tests___" not in name and "___dynamic___" not in name:
            arguments = list(inspect.signature(registered.handler.fn).parameters.values())[1:]
            found[name] = {each.name: something(str(each.annotation)) for each in arguments}
    return found


def something(annotation: str) -> Any:
    return {} if annotation.startswith("dict") else ["1"] if annotation.startswith("list") else "1"


def vars_of(updates: list[dict[str, Any]], state: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for update in updates:
        merged |= (update.get("delta") or {}).get(state, {})
    return {name.removesuffix("_rx_state_"): value for name, value in merged.items()}


async def everything(rt: Runtime) -> tuple[int, ...]:
    """Counts of all rows that an event could add. The audit counts root only, as others' entries may come late."""
    from sqlalchemy import text

    tables = (
        *(
            "audit_entry WHERE userid = 'root@pam'",
            "job",
            "container",
            "template",
            "template_revision",
            "proxmox_node",
            "preset",
        ),
        *("template_source", "template_draft", "package_bucket", "template_script", "template_file"),
    )
    async with rt.db.transaction() as tx:
        counts = [await tx.session.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables]  # noqa: S608
    return tuple(int(count or 0) for count in counts)


async def test_a_page_gets_its_state_but_never_the_cookie(signed_in: Visitor) -> None:
    async with tab(signed_in) as opened:
        updates = await opened.until(lambda found: vars_of(found, DASHBOARD_STATE).get("phase") in FILLED)
    assert vars_of(updates, SESSION_STATE)["userid"] == "root@pam"
    assert signed_in.cookie not in str(updates)
    assert "PVE:" not in str(updates)


@pytest.mark.full
async def test_when_the_session_is_gone_every_event_leads_to_sign_in_and_changes_nothing(
    stack: Stack, rt: Runtime
) -> None:
    left = {name: payload for name, payload in app_events().items() if access_of(name)}
    assert len(left) > 5
    while left:  # the server closes a tab of an ended session at its next sweep, so another tab goes on
        visitor = Visitor(stack)
        assert (await visitor.sign_in()).status_code == 303
        async with tab(visitor, "/templates") as opened:
            await opened.settled()
            before = await everything(rt)
            await rt.bus.delete(sessions._identity_key(sessions.key_of(visitor.cookie)))
            await _refused_one_by_one(opened, left)
            assert await everything(rt) == before


async def _refused_one_by_one(opened: Tab, left: dict[str, Any]) -> None:
    """Send the events and remove each refused one from ``left``, until the tab is closed."""
    for name, payload in list(left.items()):
        try:
            await opened.send(name, payload)
        except ConnectionError:
            return
        update = await opened.update(PATIENCE_S)
        if update is None:
            assert opened.ended or opened.socket.closed, name
            return
        assert redirects([update]) == [routes.sign_in("/templates")], (name, update)
        assert not update.get("delta"), name
        del left[name]


async def test_what_is_not_marked_is_refused_even_to_root(signed_in: Visitor, rt: Runtime) -> None:
    refused = {name: payload for name, payload in app_events().items() if not access_of(name)}
    refused |= {
        f"{SESSION_STATE}.setvar": {"var_name": "userid", "value": "mallory@pve"},
        f"{DASHBOARD_STATE}._show": {},
        f"{DASHBOARD_STATE}.reset": {},
        f"{SESSION_STATE}.set_userid": {"value": "mallory@pve"},
        "nothing.at.all": {},
    }
    assert len(refused) > 15
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        before = await everything(rt)
        for name, payload in refused.items():
            await opened.send(name, payload)
        assert [update for update in await opened.updates(1.0) if update.get("delta") or update.get("events")] == []
        assert await everything(rt) == before
        await opened.send(f"{SESSION_STATE}.enter")
        await opened.updates()
    async with tab(signed_in, "/", opened.token) as again:
        assert vars_of(await again.settled(), SESSION_STATE)["userid"] == "root@pam"


async def test_with_too_few_privileges_no_event_changes_anything(stack: Stack, rt: Runtime) -> None:
    viewer = Visitor(stack)
    await viewer.sign_in("viewer@pve")
    async with tab(viewer, "/templates/new") as opened:
        await opened.settled()
        before = await everything(rt)
        allowed = {name: payload for name, payload in app_events().items() if access_of(name)}
        for name, payload in allowed.items():
            await opened.send(name, payload)
            await opened.update(QUIET_S)
        await opened.updates(SETTLED_S)
        # Refusals add audit entries, which are the first count.
        assert (await everything(rt))[1:] == before[1:]
        assert await sessions.is_open(rt, sessions.key_of(viewer.cookie))


async def test_the_audit_names_a_guest_as_pve_does_whatever_the_browser_calls_it(
    signed_in: Visitor, rt: Runtime
) -> None:
    forged = {"vmid": 101, "node": "nowhere", "name": "web\nCT 999 forged", "action": "stop"}
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        earlier = await stops(rt)
        await opened.send(f"{CONTAINERS_STATE}.act", forged)
        async with asyncio.timeout(PATIENCE_S):
            while len(entries := await stops(rt)) == len(earlier):
                await asyncio.sleep(0.05)
    entry = entries[0]
    assert entry.subject.startswith("CT 101 ")
    assert "forged" not in entry.subject
    assert entry.detail["node"] != "nowhere"


async def stops(rt: Runtime) -> Sequence[AuditEntry]:
    """Audit entries of stops, newest first."""
    async with rt.db.transaction() as tx:
        return await tx.audit.list(action="container.stop", limit=1000)


async def test_a_long_text_does_not_cost_the_socket(signed_in: Visitor) -> None:
    async with tab(signed_in, "/templates/new") as opened:
        await opened.settled()
        await opened.send(f"{EDITOR_STATE}.typed", {"epoch": "none", "path": "name", "value": "\n" * (1 << 20)})
        await opened.updates()
        assert not opened.socket.closed
        await opened.send(f"{SESSION_STATE}.enter")
        assert await opened.update() is not None


async def test_connecting_again_is_no_use_of_the_session_and_going_to_another_page_is(
    signed_in: Visitor, settings: Settings
) -> None:
    key = sessions._identity_key(sessions.key_of(signed_in.cookie))
    async with Redis.from_url(settings.REDIS_URL.get_secret_value()) as redis:
        await redis.expire(key, SOON_OVER_S)
        async with tab(signed_in, "/templates") as opened:
            assert vars_of(await opened.settled(), SESSION_STATE)["userid"] == "root@pam"
        async with tab(signed_in, "/templates", opened.token) as again:
            await again.until(lambda found: bool(vars_of(found, SESSION_STATE).get("userid")))
            assert await redis.ttl(key) <= SOON_OVER_S
            await again.send(ON_LOAD)
            async with asyncio.timeout(PATIENCE_S):
                while await redis.ttl(key) <= SOON_OVER_S:
                    await again.update(QUIET_S)


async def test_a_tab_that_lost_its_connection_for_a_moment_finds_what_was_typed(signed_in: Visitor) -> None:
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        await opened.send(f"{BUCKETS_STATE}.search", {"query": "typed before"})
        await opened.until(lambda found: vars_of(found, BUCKETS_STATE).get("query") == "typed before")
    async with tab(signed_in, "/nowhere", opened.token) as again:
        assert vars_of(await again.settled(), BUCKETS_STATE)["query"] == "typed before"


async def test_signing_out_leads_every_tab_of_the_session_away_and_closes_it(stack: Stack) -> None:
    mine, theirs = Visitor(stack), Visitor(stack)
    await mine.sign_in()
    await theirs.sign_in("operator@pve")
    async with tab(mine, "/templates") as one, tab(mine, "/") as two, tab(theirs, "/") as other:
        for opened in (one, two, other):
            await opened.settled()
        await mine.post(routes.SIGN_OUT)
        assert redirects(await one.until(lambda _: one.ended)) == [routes.sign_in("/templates")]
        assert redirects(await two.until(lambda _: two.ended)) == [routes.SIGN_IN]
        assert one.ended
        assert two.ended
        await one.send(f"{SESSION_STATE}.enter")
        assert await one.updates() == []
        assert redirects(await other.updates()) == []
        assert not other.ended


async def test_a_session_that_is_ended_elsewhere_leads_all_its_tabs_away_within_seconds(
    stack: Stack, rt: Runtime
) -> None:
    here, there = Visitor(stack), Visitor(stack)
    await here.sign_in("operator@pve")
    await there.sign_in("operator@pve")
    session = await sessions.find(rt, here.cookie)
    assert session is not None
    async with tab(here, "/templates") as one, tab(there, "/jobs") as two:
        for opened in (one, two):
            await opened.settled()
        # From the test's process, not the web server's. Other tests may have left sessions of this user.
        assert await sessions.end_all(rt, session.endpoint_id, session.userid) >= 2
        assert redirects(await one.updates(PATIENCE_S)) == [routes.sign_in("/templates")]
        assert redirects(await two.updates(PATIENCE_S)) == [routes.sign_in("/jobs")]
        assert one.ended
        assert two.ended
    for visitor in (here, there):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with tab(visitor, "/templates"):
                pytest.fail("it was let in")


async def test_a_session_that_ended_by_time_ends_its_tabs_though_nobody_announced_it(stack: Stack, rt: Runtime) -> None:
    visitor = Visitor(stack)
    await visitor.sign_in("operator@pve")
    async with tab(visitor, "/templates") as opened:
        await opened.settled()
        await rt.bus.delete(sessions._identity_key(sessions.key_of(visitor.cookie)))
        assert redirects(await opened.updates(2 * SWEEP_S)) == [routes.sign_in("/templates")]
        assert opened.ended


async def test_a_tab_that_another_user_takes_over_holds_nothing_of_the_first(stack: Stack) -> None:
    root, viewer = Visitor(stack), Visitor(stack)
    await root.sign_in()
    await viewer.sign_in("viewer@pve")
    async with tab(root) as first:
        updates = await first.until(lambda found: vars_of(found, DASHBOARD_STATE).get("phase") in FILLED)
        assert vars_of(updates, SESSION_STATE)["userid"] == "root@pam"
    async with tab(viewer, "/nowhere", first.token) as second:
        updates = await second.settled()
    assert "root@pam" not in str(updates)
    assert vars_of(updates, DASHBOARD_STATE).get("phase") == "loading"


async def test_a_stolen_client_token_brings_nothing_without_the_session(stack: Stack) -> None:
    root, viewer = Visitor(stack), Visitor(stack)
    await root.sign_in()
    await viewer.sign_in("viewer@pve")
    async with tab(root) as first:
        await first.settled()
        async with tab(viewer, "/nowhere", first.token) as second:
            await second.send(f"{DASHBOARD_STATE}.load")
            found = await second.settled()
            # Both users see jobs of root on guests that the viewer may see.
            assert vars_of(found, SESSION_STATE).get("userid") != "root@pam"
            assert root.cookie not in str(found)


async def test_what_a_browser_sent_does_not_reach_the_log(signed_in: Visitor, stack: Stack) -> None:
    async with tab(signed_in) as opened:
        await opened.settled()
        await opened.send("no.such.handler", {"password": "hunter2-payload"})
        await opened.send(HYDRATE, {"vars": "hunter2-vars"})
        await opened.socket.send_str('42/_event,["event","hunter2-text"]')
        await opened.updates(1.0)
    said = stack.children["web"].said()
    assert signed_in.cookie not in said
    assert "hunter2" not in said
