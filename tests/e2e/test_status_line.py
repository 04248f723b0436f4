"""The status line: on every page, live, and correct while a node or all of PVE is silent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, until, visit
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.screens import SIZES, small_screen
from tests.e2e.stack import Stack

ID = "00000000-0000-0000-0000-000000000000"
PAGES = (
    routes.DASHBOARD,
    routes.CONTAINERS,
    routes.CREATE,
    routes.TEMPLATES,
    routes.TEMPLATE_NEW,
    routes.template(ID),
    routes.edit_template(ID),
    routes.BUCKETS,
    routes.SOURCES,
    routes.JOBS,
    routes.job(ID),
    routes.batch(ID),
    routes.console(101),
    "/there-is-no-such-page",
)
ONE_LINE_AT_THE_END = """element => {
  const box = element.getBoundingClientRect();
  return box.height < 32 && box.bottom === innerHeight;
}"""
NOT_CUT = "element => element.scrollWidth <= element.clientWidth"
WHOLE = re.compile(r"^Feed age \d+ s · PVE \S+ · 3/3 nodes$")
QUIET_S = 60
# The tasks are read every 3 s; the rest is for a busy machine.
FRESH_S = 8
SAMPLE = """() => {
  window.samples = [];
  const line = () => document.querySelector("#feed-status");
  setInterval(() => window.samples.push([line().textContent, line().classList.contains("stale")]), 500);
}"""
# All of PVE is read every 12 s; after a silence it is retried within 10 s.
TOLD_WITHIN_MS = 90_000


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[OtherNode]:
    with other_node(stack, tmp_path / "node", f"elsewhere-{secrets.token_hex(3)}", 3) as node:
        yield node


@pytest.fixture
def alone(stack: Stack, tmp_path: Path) -> Iterator[OtherNode]:
    with other_node(stack, tmp_path / "node", f"alone-{secrets.token_hex(3)}", 3, nodes=1) as node:
        yield node


def line(page: Page) -> Locator:
    return page.locator(".status-left")


def age(page: Page) -> int:
    """The age shown, in seconds; -1 if none is shown."""
    shown = re.match(r"Feed age (\d+) s", line(page).inner_text())
    return int(shown[1]) if shown else -1


def begins_anew(page: Page) -> None:
    """Wait until the age falls by at least 2 s, more than rounding explains. A busy machine need not show 0."""
    highest = age(page)

    def has_fallen() -> bool:
        nonlocal highest
        now = age(page)
        highest = max(highest, now)
        return 0 <= now <= highest - 2

    until(page, has_fallen, "it only grows", TOLD_WITHIN_MS)


def test_it_stands_on_every_page(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as())
    for address in PAGES:
        visit(page, address)
        expect(line(page), address).to_have_text(WHOLE)


def test_its_age_begins_anew_with_each_look_at_pve(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as())
    visit(page, routes.SOURCES)
    for _ in range(2):
        begins_anew(page)


@pytest.mark.full
def test_it_stays_fresh_while_looks_at_pve_bring_no_news(new_page: NewPage, elsewhere: OtherNode) -> None:
    elsewhere.let(lambda node: node.freeze_statistics())
    page = new_page()
    sign_in_at(page, elsewhere.name)
    expect(line(page)).to_have_text(WHOLE)
    page.evaluate(SAMPLE)
    page.wait_for_function(f"() => window.samples.length >= {2 * QUIET_S}", timeout=TOLD_WITHIN_MS + 1000 * QUIET_S)
    samples = page.evaluate("window.samples")
    ages = [int(re.sub(r"\D*(\d+).*", r"\1", shown)) for shown, _ in samples]
    assert max(ages) <= FRESH_S, ages
    assert not any(stale for _, stale in samples)


def test_the_next_page_begins_with_what_is_known(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as())
    visit(page, routes.JOBS)
    expect(line(page)).to_have_text(WHOLE)
    page.evaluate(
        """() => {
            window.seen = [];
            const note = () => window.seen.push(document.querySelector('#feed-status')?.textContent);
            new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true });
        }"""
    )
    page.get_by_role("link", name="Templates", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Templates")
    expect(line(page)).to_have_text(WHOLE)
    assert "" not in page.evaluate("window.seen")


@small_screen
def test_a_node_that_is_down_is_counted_and_nothing_is_pushed_away(
    new_page: NewPage, elsewhere: OtherNode, scheme: str, size: str
) -> None:
    page = new_page(viewport=SIZES[size], color_scheme=scheme)
    sign_in_at(page, elsewhere.name)
    visit(page, routes.JOBS)
    expect(line(page)).to_have_text(WHOLE)
    elsewhere.let(lambda node: node.node_offline("pve2"))
    expect(line(page)).to_contain_text("2/3 nodes", timeout=TOLD_WITHIN_MS)
    keep_picture(page, f"status-line-node-down-{size}-{scheme}")
    assert accessibility_faults(page) == []
    fits(page)
    status_line = page.locator(".status-line")
    until(page, lambda: status_line.evaluate(ONE_LINE_AT_THE_END), "it is not one line at the window's end")


@pytest.mark.parametrize(("size", "scheme"), [("desk", "dark"), pytest.param("phone", "light", marks=pytest.mark.full)])
def test_a_silent_pvedaemon_is_named_while_pve_answers(
    new_page: NewPage, alone: OtherNode, scheme: str, size: str
) -> None:
    page = new_page(viewport=SIZES[size], color_scheme=scheme)
    sign_in_at(page, alone.name)
    alone.let(lambda node: node.pvedaemon_down())
    stale = page.locator("#feed-status.stale")
    expect(stale).to_have_text(
        re.compile(r"^Feed age \d s · pvedaemon does not answer on pve1$"), timeout=TOLD_WITHIN_MS
    )
    note = page.get_by_text(re.compile(r"^pvedaemon on pve1 does not answer since .*: systemctl restart pvedaemon$"))
    expect(note).to_be_visible()
    keep_picture(page, f"status-line-pvedaemon-{size}-{scheme}")
    until(page, lambda: line(page).evaluate(NOT_CUT), "the cause is cut")
    assert accessibility_faults(page) == []
    fits(page)
    alone.let(lambda node: node.heal())
    expect(line(page)).to_have_text(re.compile(r"1/1 node$"), timeout=TOLD_WITHIN_MS)
    expect(note).to_have_count(0)


def test_a_page_whose_ticket_pve_refuses_is_led_to_the_sign_in(new_page: NewPage, elsewhere: OtherNode) -> None:
    page = new_page()
    sign_in_at(page, elsewhere.name)
    visit(page, routes.JOBS)
    expect(line(page)).to_have_text(WHOLE)
    elsewhere.let(lambda node: node.expire_tickets())
    page.wait_for_url(re.compile(r"/sign-in\?"), timeout=TOLD_WITHIN_MS)


def test_a_silent_pve_is_named_with_how_old_all_is(new_page: NewPage, elsewhere: OtherNode) -> None:
    page = new_page(viewport=SIZES["phone"])
    sign_in_at(page, elsewhere.name)
    visit(page, routes.JOBS)
    expect(line(page)).to_have_text(WHOLE)
    elsewhere.let(lambda node: node.mute())
    stale = page.locator("#feed-status.stale")
    try:
        expect(stale).to_have_text(re.compile(r"^Feed age \d\d+ s · PVE [^/]+$"), timeout=TOLD_WITHIN_MS)
        keep_picture(page, "status-line-silent-phone")
        until(page, lambda: line(page).evaluate(NOT_CUT), "the cause is cut")
        assert accessibility_faults(page) == []
        fits(page)
    finally:
        elsewhere.let(lambda node: node.mute(muted=False))
    expect(line(page)).to_have_text(WHOLE, timeout=TOLD_WITHIN_MS)
    expect(stale).to_have_count(0)
