"""The log of a job in a browser, of any length: searched, filtered, wrapped, copied, followed or scrolled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from tests.e2e.conftest import NewPage, sign_in, until, visit
from tests.e2e.job_runs import RUN_MS, begin, line, printed, state, step, write
from tests.e2e.stack import Stack

SEEN = """() => {
  const box = document.querySelector(".log-box")?.getBoundingClientRect() || { top: 0, bottom: 0 };
  return [...document.querySelectorAll(".log-line")]
    .filter((line) => { const own = line.getBoundingClientRect(); return own.bottom > box.top + 1 && own.top < box.bottom - 1; })
    .map((line) => line.querySelector(".log-text").textContent);
}"""

LOOKS_AT_REST = 5


def seen(page: Page) -> list[str]:
    """The texts of the lines in the log's visible part."""
    found: list[str] = page.evaluate(SEEN)
    return found


def until_seen(page: Page, text: str) -> None:
    until(page, lambda: text in seen(page), f"{text} is not seen")


def at_rest(page: Page) -> list[str]:
    """The visible lines once nothing scrolls or loads: a busy browser may go on scrolling after the command."""
    shown: list[list[str]] = []

    def rests() -> bool:
        shown.append(seen(page))
        last = shown[-LOOKS_AT_REST:]
        return bool(last[-1]) and last == [last[-1]] * LOOKS_AT_REST and "…" not in last[-1]

    until(page, rests, "the log does not come to rest")
    return shown[-1]


def number_of(text: str) -> int:
    """17 for the text "line 17"; 0 for any other text."""
    return int(text.removeprefix("line ")) if re.fullmatch(r"line \d+", text) else 0


LONG = 200_000


def test_a_long_log_is_scrolled_searched_and_filtered_with_few_lines_in_the_page(page: Page, stack: Stack) -> None:
    begins = NewEvent(EventType.STEP, Phase.CREATING, 1, "Creating the container")
    job = write(stack, page, 9001, [begins, *printed(LONG)], hostname="long-01")
    visit(page, routes.job(job))
    until_seen(page, f"line {LONG}")
    box = page.get_by_role("log")
    box.focus()
    page.keyboard.press("Home")
    until_seen(page, "Creating the container")
    box.evaluate("box => { box.scrollTop = box.scrollHeight / 2; }")
    until(page, lambda: abs(max(map(number_of, seen(page)), default=0) - LONG / 2) < LONG / 100, "no middle is seen")
    first = number_of(at_rest(page)[0])
    assert [number_of(text) for text in at_rest(page)[:5]] == list(range(first, first + 5))
    assert page.locator(".log-line").count() < 200
    page.get_by_label("Search the log").fill("LINE 123456")
    expect(page.locator(".log-found")).to_have_text("1 of 1")
    expect(page.locator(".log-line.current mark")).to_have_text("line 123456")
    page.get_by_label("Phase").select_option("creating")
    expect(page.locator(".log-line")).to_have_count(1)
    page.get_by_label("Phase").select_option("")
    page.get_by_role("button", name="Follow").click()
    until_seen(page, f"line {LONG}")


# Counts streams, and holds reads of the log until the test releases them.
HELD = """
  window.made = 0; window.read = 0; window.held = [];
  window.EventSource = class extends EventSource { constructor(...all) { super(...all); window.made += 1; } };
  const own = window.fetch;
  window.fetch = async (address, ...rest) => {
    if (!String(address).includes("/log?")) return own(address, ...rest);
    await new Promise((go) => window.held.push(go));
    const answer = await own(address, ...rest);
    const body = await answer.json();
    return { ok: true, json: async () => { window.read += 1; return body; } };
  };
"""
LOOKED_AWAY = """() => {
  for (const hidden of [true, false]) {
    Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }
}"""


def test_who_looks_away_while_the_log_is_read_has_one_stream_of_it(page: Page, stack: Stack) -> None:
    page.add_init_script(HELD)
    job = write(stack, page, 9012, printed(3), hostname="long-12")
    visit(page, routes.job(job))
    until(page, lambda: page.evaluate("window.held.length") == 1, "the log is not asked for")
    page.evaluate(LOOKED_AWAY)
    until(page, lambda: page.evaluate("window.held.length") == 2, "the log is not asked for again")
    page.evaluate("window.held[1]()")
    until(page, lambda: page.evaluate("window.read") == 1, "the log is not read")
    page.evaluate("window.held[0]()")
    until(page, lambda: page.evaluate("window.read") == 2, "the log is not read again")
    until_seen(page, "line 3")
    assert page.evaluate("window.made") == 1


def test_matches_are_stepped_through(page: Page, stack: Stack) -> None:
    job = write(stack, page, 9002, printed(3000), hostname="long-02")
    visit(page, routes.job(job))
    field = page.get_by_label("Search the log")
    field.fill("line 100")
    count = page.locator(".log-found")
    expect(count).to_have_text("1 of 11")
    field.press("Enter")
    expect(count).to_have_text("2 of 11")
    expect(page.locator(".log-line.current .log-text")).to_have_text("line 1000")
    page.get_by_role("button", name="Previous match").click()
    page.get_by_role("button", name="Previous match").click()
    expect(count).to_have_text("11 of 11")
    field.fill("nowhere to be found")
    expect(count).to_have_text("Nothing found")
    field.press("Escape")
    expect(count).to_have_text("")


SCROLLED_TO_THE_END = """() => {
  const box = document.querySelector("[role=log]");
  box.scrollTop = box.scrollHeight;
  return document.querySelector(".log-bar button").getAttribute("aria-pressed") === "true";
}"""


def test_scrolling_up_pauses_and_scrolling_down_again_follows(page: Page, stack: Stack, tmp_path: Path) -> None:
    script = "for n in $(seq 1 100000); do echo line $n; sleep 0.05; done\n"
    job = begin(stack, page, tmp_path, {"10-prints.sh": script}, hostname="web-08")
    visit(page, routes.job(job))
    # Not one certain line, which may have scrolled past before the page is read.
    until(page, lambda: any(number_of(text) >= 60 for text in seen(page)), "too little was printed", RUN_MS)
    box = page.get_by_role("log")
    box.hover()
    page.mouse.wheel(0, -300)
    follow = page.get_by_role("button", name=re.compile("^Follow"))
    expect(follow).to_have_attribute("aria-pressed", "false")
    before = at_rest(page)
    told = re.compile(r"Follow, ([1-9]\d*) new")
    expect(follow).to_have_text(told)
    expect(follow).not_to_have_text(follow.inner_text())
    expect(follow).to_have_text(told)
    assert seen(page) == before
    # Scroll until the end is reached: a growing log may have moved it.
    page.wait_for_function(SCROLLED_TO_THE_END)
    expect(follow).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the creation").click()
    expect(state(page)).to_have_text("Cancelled", timeout=RUN_MS)


@pytest.mark.parametrize("count", [40, 3000])
def test_long_lines_are_wrapped_on_demand_and_the_ends_stay_reachable(page: Page, stack: Stack, count: int) -> None:
    wide = "word " * 100
    events = [NewEvent(EventType.LOG, Phase.SYNCING, 70, f"{number} {wide}") for number in range(1, count + 1)]
    job = write(stack, page, 9100 + count, events, hostname="wide-01")
    visit(page, routes.job(job))
    expect(page.locator(".log-line").last).to_be_visible()
    box = page.get_by_role("log")
    until(page, lambda: box.evaluate("box => box.scrollWidth > box.clientWidth"), "the lines are not wide")
    page.get_by_role("button", name="Wrap").click()
    expect(page.get_by_role("button", name="Wrap ✓")).to_be_visible()
    until(page, lambda: box.evaluate("box => box.scrollWidth <= box.clientWidth"), "the lines are not wrapped")
    until(page, lambda: "".join(seen(page)[-1:]).startswith(f"{count} "), "the end is not seen")
    box.evaluate("box => { box.scrollTop = 0; }")
    until(page, lambda: "".join(seen(page)[:1]).startswith("1 "), "the beginning is not seen")


def test_a_step_leads_to_its_lines(page: Page, stack: Stack, tmp_path: Path) -> None:
    scripts = {"10-first.sh": "seq 1 300\n", "20-second.sh": "seq 1 300\n"}
    job = begin(stack, page, tmp_path, scripts, hostname="web-09")
    visit(page, routes.job(job))
    expect(state(page)).to_have_text("Ready", timeout=RUN_MS)
    step(page, "10-first.sh, 1 of 2").click()
    expect(line(page, "Running 10-first.sh")).to_be_visible()
    expect(page.locator(".log-line.current .log-text")).to_have_text("Running 10-first.sh")


# Recorded in the page, as the text shows for a moment only.
RECORD_COPIED = """() => {
  const said = () => [...document.querySelectorAll(".log-bar button")].some((button) => button.textContent === "Copied");
  new MutationObserver(() => { window.copied ||= said(); }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def test_the_log_is_copied_and_downloaded(new_page: NewPage, stack: Stack) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, stack)
    job = write(stack, page, 9003, printed(5), hostname="copy-01")
    visit(page, routes.job(job))
    expect(line(page, "line 5")).to_be_visible()
    page.evaluate(RECORD_COPIED)
    page.get_by_role("button", name="Copy", exact=True).last.click()
    until(page, lambda: page.evaluate("window.copied"), "nothing says that it was copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == "line 1\nline 2\nline 3\nline 4\nline 5"
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    page.get_by_title(text.LOG_WORDS["copy_hint"]).click()
    expect(page.get_by_role("button", name=text.NOT_COPIED)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"job-{job}.log"
    assert download.value.path().read_text(encoding="utf-8").count("\n") == 5
