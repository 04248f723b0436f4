"""The live list when pushes are lost or late: it detects the gap, requests the whole list, and needs no reload."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from lxc_dashboard import routes
from tests.e2e.conftest import NewPage, SignedInAs, reload, until, visit
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.e2e.test_containers import ACTED_WITHIN_MS, TOLD_WITHIN_MS, row

VMID = 111  # staging-web, which no other test touches
# A hidden page does not watch for silence: it detects a gap only by the next push.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
UNSEEN = "Object.defineProperty(document, 'hidden', { get: () => true });"


def patch_of(message: str | bytes) -> dict[str, Any] | None:
    """The list's patch in a message of the server, if it has one."""
    text = message if isinstance(message, str) else message.decode()
    if not text.startswith("42/_event,"):
        return None
    _, update = json.loads(text.partition(",")[2])
    deltas = [value for state in (update.get("delta") or {}).values() for value in state.values()]
    return next((value for value in deltas if isinstance(value, dict) and {"v", "prev"} <= value.keys()), None)


@dataclass
class Wire:
    """Sits between the page and the web server. ``keep``: which patches to hold back until ``let_go``.

    ``holds_watch``: hold back the page's request to watch the list until ``say``.
    ``asked``: how often the page has requested the whole list.
    """

    keep: Callable[[dict[str, Any]], bool] = lambda _: False
    kept: list[tuple[dict[str, Any], str | bytes]] = field(default_factory=list)
    passed: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    holds_watch: bool = False
    unsaid: list[str | bytes] = field(default_factory=list)
    socket: WebSocketRoute | None = None
    server: WebSocketRoute | None = None

    def between(self, socket: WebSocketRoute) -> None:
        server, self.socket = socket.connect_to_server(), socket
        self.server = server

        def down(message: str | bytes) -> None:
            patch = patch_of(message)
            if patch and self.keep(patch):
                self.kept.append((patch, message))
                return
            if patch:
                self.passed.append(patch)
            socket.send(message)

        def up(message: str | bytes) -> None:
            if self.holds_watch and "feed_state.watch" in str(message):
                self.unsaid.append(message)
            else:
                server.send(message)

        server.on_message(down)
        socket.on_message(up)

    def let_go(self) -> None:
        """Deliver the held patches, after newer ones."""
        assert self.socket
        for _, message in self.kept:
            self.socket.send(message)
        self.kept.clear()

    def say(self) -> None:
        assert self.server
        self.holds_watch = False
        for message in self.unsaid:
            self.server.send(message)


def says(status: str) -> Callable[[dict[str, Any]], bool]:
    return lambda patch: patch.get("rows", {}).get(str(VMID), {}).get("status") == status


@pytest.fixture
def act(stack: Stack) -> Iterator[Callable[[str], None]]:
    """``start`` or ``stop`` the guest in PVE, outside the product."""
    node = NodeSide(stack)
    place = next(guest["node"] for guest in node.guests("staging-web"))
    yield lambda verb: node.ask("POST", f"/nodes/{place}/lxc/{VMID}/status/{verb}")
    (guest,) = node.guests("staging-web")
    if guest["status"] == "running":
        node.act(place, VMID, "stop")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs, wire: Wire) -> Page:
    opened = new_page(storage_state=signed_in_as())
    opened.add_init_script(UNSEEN)

    def count(request: Any) -> None:
        wire.asked += request.url.endswith(routes.FEED)

    opened.route_web_socket(lambda url: "_event" in url, wire.between)
    opened.on("request", count)
    visit(opened, routes.CONTAINERS)
    expect(row(opened, VMID)).to_have_attribute("data-status", "stopped", timeout=TOLD_WITHIN_MS)
    until(opened, lambda: bool(wire.passed), "no patch came", TOLD_WITHIN_MS)
    return opened


def test_a_push_that_was_lost_is_noticed_by_the_next_one(page: Page, wire: Wire, act: Callable[[str], None]) -> None:
    asked = wire.asked
    wire.keep = lambda patch: not wire.kept and says("running")(patch)
    act("start")
    until(page, lambda: bool(wire.kept), "no patch told of the start", TOLD_WITHIN_MS)
    lost, _ = wire.kept[0]
    expect(row(page, VMID)).to_have_attribute("data-status", "running", timeout=ACTED_WITHIN_MS)
    until(page, lambda: wire.asked > asked, "the whole was not asked for")
    follower = next(patch for patch in wire.passed if patch["v"] > lost["v"])
    assert follower["prev"] == lost["v"]
    assert "status" not in follower.get("rows", {}).get(str(VMID), {})


@pytest.mark.full
def test_a_push_that_comes_late_turns_nothing_back(page: Page, wire: Wire, act: Callable[[str], None]) -> None:
    before = wire.asked
    wire.keep = says("running")
    act("start")
    until(page, lambda: bool(wire.kept), "no patch told of the start", TOLD_WITHIN_MS)
    wire.keep = lambda _: False
    begun = len(wire.passed)
    act("stop")
    until(page, lambda: any(map(says("stopped"), wire.passed[begun:])), "no patch told of the stop", TOLD_WITHIN_MS)
    until(page, lambda: wire.asked > before, "the gap was not noticed")
    behind(page, wire, 2)  # by now it has the whole list and the patches after it
    expect(row(page, VMID)).to_have_attribute("data-status", "stopped", timeout=ACTED_WITHIN_MS)
    asked = wire.asked
    wire.let_go()
    page.evaluate(DRAWN)
    assert row(page, VMID).get_attribute("data-status") == "stopped"
    assert wire.asked == asked
    behind(page, wire, 2)
    assert row(page, VMID).get_attribute("data-status") == "stopped"


@pytest.mark.full
def test_what_changes_before_a_page_is_in_the_room_needs_no_second_snapshot(
    page: Page, wire: Wire, act: Callable[[str], None]
) -> None:
    other = page.context.new_page()
    visit(other, routes.CONTAINERS)
    wire.holds_watch, wire.asked = True, 0
    reload(page)
    expect(row(page, VMID)).to_have_attribute("data-status", "stopped", timeout=TOLD_WITHIN_MS)
    act("start")
    expect(row(other, VMID)).to_have_attribute("data-status", "running", timeout=ACTED_WITHIN_MS)
    assert row(page, VMID).get_attribute("data-status") == "stopped"
    begun = len(wire.passed)
    wire.say()
    expect(row(page, VMID)).to_have_attribute("data-status", "running", timeout=ACTED_WITHIN_MS)
    behind(page, wire, len(wire.passed) - begun + 2)
    assert wire.asked == 1


def test_a_list_that_could_not_be_read_at_first_comes_with_the_next_push(
    new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    page = new_page(storage_state=signed_in_as())
    page.add_init_script(UNSEEN)
    page.route(f"**{routes.FEED}", lambda route: route.abort("connectionreset"), times=1)
    visit(page, routes.CONTAINERS)
    expect(row(page, VMID)).to_be_visible(timeout=TOLD_WITHIN_MS)
    expect(page.get_by_role("alert")).to_have_count(0)


def behind(page: Page, wire: Wire, patches: int) -> None:
    """Wait until so many more patches have passed."""
    wanted = len(wire.passed) + patches
    until(page, lambda: len(wire.passed) >= wanted, "no patch came behind it", TOLD_WITHIN_MS)
    page.evaluate(DRAWN)
