"""The list of containers: live, restored from its address, operated by keyboard, with none to five thousand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import NewPage, SignedInAs, keep_picture, reload, until, visit
from tests.e2e.node_side import NodeSide
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.stack import Stack

WORDS = text.GUEST_WORDS
WHOLE = "element => element.scrollWidth <= element.clientWidth"
ACTED_WITHIN_MS = 60_000
TOLD_WITHIN_MS = 60_000
# Some of the first twelve, which no other test touches.
SEEDED = ["proxy-01", "web-01", "web-02", "db-01", "db-02", "cache-01", "mail", "git", "runner-01"]


@pytest.fixture
def at_rest(stack: Stack) -> Iterator[None]:
    """Return the containers that a test starts or stops to their first state, even if it fails."""
    yield
    node = NodeSide(stack)
    for name, status, verb in (("web-01", "running", "start"), ("runner-02", "stopped", "stop")):
        (guest,) = node.guests(name)
        if guest["status"] != status:
            node.act(guest["node"], guest["vmid"], verb)


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    opened = new_page(storage_state=signed_in_as())
    visit(opened, routes.CONTAINERS)
    expect(row(opened, 101)).to_be_visible()
    return opened


def row(page: Page, vmid: int) -> Locator:
    return page.locator(f'[data-vmid="{vmid}"]')


def rows(page: Page) -> Locator:
    return page.locator("[data-vmid]")


def names(page: Page) -> Locator:
    return page.locator("[data-vmid] .guest-name > :first-child")


def ask(page: Page, vmid: int, verb: str) -> None:
    row(page, vmid).get_by_role("button", name=re.compile(f"^{verb} ")).click()


@pytest.mark.usefixtures("at_rest")
def test_a_container_is_stopped_and_started_and_both_are_seen_and_told(page: Page) -> None:
    expect(row(page, 102)).to_have_attribute("data-status", "running", timeout=TOLD_WITHIN_MS)
    ask(page, 102, "Stop")
    dialog = page.get_by_role("dialog", name="Stop CT 102 web-01?")
    expect(dialog).to_contain_text("Unwritten data is lost")
    expect(dialog.get_by_role("button", name=text.CANCEL)).to_be_focused()
    dialog.get_by_role("button", name=text.CANCEL).click()
    expect(dialog).to_be_hidden()
    expect(row(page, 102)).to_have_attribute("data-status", "running")
    ask(page, 102, "Stop")
    dialog.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped CT 102 web-01")).to_be_visible(timeout=ACTED_WITHIN_MS)
    expect(row(page, 102)).to_have_attribute("data-status", "stopped", timeout=ACTED_WITHIN_MS)
    expect(row(page, 102).get_by_role("img", name="stopped")).to_be_visible()
    ask(page, 102, "Start")
    expect(page.get_by_text("Started CT 102 web-01")).to_be_visible(timeout=ACTED_WITHIN_MS)
    expect(row(page, 102)).to_have_attribute("data-status", "running", timeout=ACTED_WITHIN_MS)


@pytest.mark.usefixtures("at_rest")
def test_what_one_user_does_the_others_see(page: Page, new_page: NewPage, signed_in_as: SignedInAs) -> None:
    auditor = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(auditor, routes.CONTAINERS)
    expect(row(auditor, 110)).to_have_attribute("data-status", "stopped")
    ask(page, 110, "Start")
    expect(row(auditor, 110)).to_have_attribute("data-status", "running", timeout=ACTED_WITHIN_MS)
    barred = row(auditor, 110).get_by_role("button", name="You need VM.PowerMgmt at /vms/110")
    expect(barred.first).to_be_disabled(timeout=TOLD_WITHIN_MS)
    ask(page, 110, "Shut down")
    page.get_by_role("dialog", name="Shut down CT 110 runner-02?").get_by_role("button", name="Shut down").click()
    expect(row(auditor, 110)).to_have_attribute("data-status", "stopped", timeout=ACTED_WITHIN_MS)


def test_filters_and_order_are_in_the_address_and_survive_a_reload(page: Page) -> None:
    page.get_by_label(WORDS["filter"]).fill("WEB pve2")
    expect(page.locator(".count")).to_contain_text(re.compile(r"^\d+ of \d+ containers$"))
    page.get_by_label(WORDS["filter_tag"]).select_option("web")
    page.get_by_role("button", name="Name").click()
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    shown = names(page).all_inner_texts()
    assert shown == sorted(shown, reverse=True)
    assert {"web-01", "staging-web"} <= set(shown)
    expect(page).to_have_url(re.compile(r"\?q=WEB\+pve2&tag=web&sort=name&down=1$"))
    reload(page)
    expect(page.get_by_label(WORDS["filter"])).to_have_value("WEB pve2")
    expect(names(page)).to_have_text(shown)
    page.get_by_label(WORDS["filter"]).fill("nothing has this name")
    page.get_by_role("button", name=WORDS["clear"]).click()
    expect(row(page, 101)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/containers\?sort=name&down=1$"))


@pytest.mark.parametrize("column", ["vmid", "cpu", "mem", "disk", "since"])
def test_each_column_orders_the_rows(page: Page, column: str) -> None:
    page.get_by_label(WORDS["filter_status"]).select_option("running")
    page.get_by_label(WORDS["filter_pool"]).select_option("production")
    expect(row(page, 112)).to_have_count(0)
    header = page.locator(f".guest-head .col-{column}")
    if column != "vmid":  # the list is ordered by vmid at first
        header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    until(page, lambda: len(figures(page, column)) >= 6, "too few containers have a figure", TOLD_WITHIN_MS)
    # Retried: uptimes of two containers may be read at different seconds.
    until(page, lambda: (found := figures(page, column)) == sorted(found, reverse=True), "no order")


def figures(page: Page, column: str) -> list[int]:
    shown = page.locator(f"[data-vmid] .col-{column}").all_inner_texts()
    # A container that has just started shows no disk usage yet.
    told = [cell for cell in shown if "GiB" not in cell and cell]
    return [seconds(cell) if column == "since" else int(re.findall(r"\d+", cell)[0]) for cell in told]


def seconds(cell: str) -> int:
    number, unit = cell.split()
    return int(number) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]


def test_keys_alone_reach_the_filter_and_the_rows(page: Page) -> None:
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("/")
    expect(page.get_by_label(WORDS["filter"])).to_be_focused()
    page.keyboard.type("database")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("Enter")
    chosen = page.locator("[data-vmid][aria-current]")
    for key, vmid in (("j", 104), ("j", 105), ("j", 105), ("k", 104), ("k", 104)):
        page.keyboard.press(key)
        expect(chosen).to_have_count(1)
        expect(chosen).to_have_attribute("data-vmid", str(vmid))


def test_at_every_width_each_row_ends_with_what_can_be_done(page: Page) -> None:
    table = page.locator(".guest-table")
    for width in (710, 940, 1090, 1110, 1280, 1440, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        expect(row(page, 103).get_by_role("button", name="Stop")).to_be_in_viewport(ratio=1)
        until(page, lambda: table.evaluate(WHOLE), f"a row is cut at {width}px")


def test_the_status_line_tells_age_version_and_nodes(page: Page) -> None:
    expect(page.locator("#feed-status")).to_have_text(re.compile(r"^Feed age \d+ s · PVE \S+ · 3/3 nodes$"))


@pytest.fixture(scope="module")
def few(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherNode]:
    with other_node(stack, tmp_path_factory.mktemp("few"), "few", 3) as node:
        yield node


@pytest.mark.full
def test_a_node_that_is_down_is_named_and_its_guests_are_unknown(fresh_page: Page, few: OtherNode) -> None:
    sign_in_at(fresh_page, "few")
    expect(rows(fresh_page)).to_have_count(3)
    note = fresh_page.get_by_text(
        re.compile(r"^pve2 does not answer since .*\d\d:\d\d.*; 1 container on it is shown as unknown$")
    )
    few.let(lambda node: node.node_offline("pve2"))
    try:
        expect(note).to_be_visible(timeout=TOLD_WITHIN_MS)
        expect(row(fresh_page, 102).get_by_role("img", name="unknown")).to_be_visible()
        expect(row(fresh_page, 102).get_by_role("button", name=re.compile("^Start"))).to_be_disabled()
        expect(row(fresh_page, 101).get_by_role("img", name="running")).to_be_visible()
        expect(fresh_page.locator("#feed-status")).to_contain_text("2/3 nodes")
        keep_picture(fresh_page, "containers-node-down")
    finally:
        few.let(lambda node: node.node_offline("pve2", offline=False))
    expect(note).to_be_hidden(timeout=TOLD_WITHIN_MS)
    expect(row(fresh_page, 102).get_by_role("img", name="running")).to_be_visible(timeout=TOLD_WITHIN_MS)


def test_a_pve_that_falls_silent_is_named_and_the_last_list_stays(fresh_page: Page, few: OtherNode) -> None:
    sign_in_at(fresh_page, "few")
    expect(rows(fresh_page)).to_have_count(3)
    told = fresh_page.get_by_role("alert").filter(
        has_text="You see the last known state; its age is in the status line"
    )
    few.let(lambda node: node.mute())
    try:
        expect(told).to_be_visible(timeout=TOLD_WITHIN_MS)
        expect(rows(fresh_page)).to_have_count(3)
        expect(fresh_page.locator("#feed-status")).to_have_class(re.compile("stale"), timeout=TOLD_WITHIN_MS)
        keep_picture(fresh_page, "containers-silent")
    finally:
        few.let(lambda node: node.mute(muted=False))
    expect(fresh_page.get_by_role("alert")).to_have_count(0, timeout=TOLD_WITHIN_MS)


def test_no_containers_at_all_lead_to_the_wizard(fresh_page: Page, stack: Stack, tmp_path: Path) -> None:
    with other_node(stack, tmp_path, "none", 0):
        sign_in_at(fresh_page, "none")
        expect(fresh_page.get_by_text(WORDS["empty"])).to_be_visible()
        expect(fresh_page.locator(".count")).to_have_text("0 containers")
        expect(fresh_page.get_by_role("search")).to_have_count(0)
        keep_picture(fresh_page, "containers-none")
        create = fresh_page.get_by_role("link", name=text.NEW_CONTAINER)
        expect(create).to_have_count(1)
        visit(fresh_page, routes.JOBS)
        expect(fresh_page.get_by_text(text.NO_JOBS, exact=True)).to_be_visible()
        expect(create).to_have_count(1)
        create.click()
        expect(fresh_page.get_by_role("heading", level=1)).to_have_text(text.CREATE_TITLE)


def test_a_single_one_is_counted_as_one(fresh_page: Page, stack: Stack, tmp_path: Path) -> None:
    with other_node(stack, tmp_path, "single", 1, nodes=1):
        sign_in_at(fresh_page, "single")
        expect(fresh_page.locator(".count")).to_have_text("1 container")
        expect(fresh_page.locator("#feed-status")).to_have_text(re.compile("1/1 node$"))
        fresh_page.get_by_label(WORDS["filter"]).fill("nothing-of-this-name")
        expect(fresh_page.locator(".count")).to_have_text("0 of 1 container")


def test_five_thousand_are_listed_filtered_and_scrolled_with_few_rows_in_the_page(
    fresh_page: Page, stack: Stack, tmp_path: Path
) -> None:
    page = fresh_page
    with other_node(stack, tmp_path, "many", 5000):
        sign_in_at(page, "many")
        expect(page.locator(".count")).to_have_text("5,000 containers", timeout=TOLD_WITHIN_MS)
        assert rows(page).count() < 80
        box = page.locator(".guest-rows")
        box.evaluate("element => { element.scrollTop = element.scrollHeight }")
        expect(row(page, 5100)).to_be_visible()
        assert rows(page).count() < 80
        keep_picture(page, "containers-many")
        page.get_by_label(WORDS["filter"]).fill("5077")
        expect(rows(page)).to_have_count(1)
        expect(row(page, 5077)).to_be_visible()
        page.get_by_label(WORDS["filter"]).fill("")
        expect(page.locator(".count")).to_have_text("5,000 containers")
        # Retried, as other processes may slow the page down.
        until(page, lambda: page.evaluate(KEYSTROKE) <= 200, "a keystroke in the filter takes more than 200 ms")


# From the key to the next frame drawn.
KEYSTROKE = """async () => {
  const input = document.querySelector('.filter-row input');
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  const times = [];
  for (const typed of ['w', 'we', 'web', 'web-', 'web-0']) {
    const begun = performance.now();
    set.call(input, typed);
    input.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[2];
}"""
