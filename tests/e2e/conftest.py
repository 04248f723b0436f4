"""One running stack and one browser for all browser tests of a worker.

``stack`` is the whole product (see ``stack.py``). ``page`` is signed in as root@pam; ``fresh_page`` has no session.
A failed test leaves a screenshot and the page's text in ``tests/artefacts/``. Every page's console must stay clean.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect
from playwright.sync_api import Error as PlaywrightError

from lxc_dashboard import routes
from scripts.chromium import find
from tests.e2e import steady_chromium
from tests.e2e.chromium import Chromium
from tests.e2e.stack import Stack, running_stack

ARTEFACTS = Path(__file__).parents[1] / "artefacts"
# By default axe also describes each element that passes a rule.
AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
    "preload": False,
}
# Generous, as the test machine is shared. A test that claims a duration sets its own timeout.
PAGE_TIMEOUT_MS = 30_000
# Ends a test that hangs, not a slow one. The first test of a worker also starts the stack and builds the pages.
TEST_TIMEOUT_S = 600
expect.set_options(timeout=PAGE_TIMEOUT_MS)
# The product waits up to 15 s for a silent PVE.
SIGN_IN_TIMEOUT_MS = 60_000
POLL_MS = 100
NETWORK_CHANGES = 5
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
# The server sends a rendered page, which React hydrates later. Earlier input is lost, also a real user's.
# The sign-in page needs no hydration.
TAKES_INPUT = (
    """() => !window.__reactRouterContext || Object.keys(document.body).some((key) => key.startsWith("__reactFiber"))"""
)
LED_ON = "Execution context was destroyed"
IS_IDLE = "() => new Promise((idle) => requestIdleCallback(idle, { timeout: 10000 }))"

# What a browser logs about errors that a test provokes.
EXPECTED_IN_CONSOLE = re.compile(
    r"the server responded with a status of (401|403|404|422|429|502|503)"
    r"|WebSocket connection to"
    r"|net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|SOCKET_NOT_CONNECTED)"
    r"|net::ERR_(EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|CONTENT_LENGTH_MISMATCH)"
    # The sandbox's guests add and remove network interfaces, and Chromium then drops its connections.
    r"|net::ERR_NETWORK_CHANGED"
)

DESK = {"width": 1280, "height": 800}
# This worker's Chromium while it exists, else empty.
shared_chromium: list[Chromium] = []

NewPage = Callable[..., Page]
SignedInAs = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(shared_stack: Stack) -> Stack:
    return shared_stack


@pytest.fixture(scope="session")
def chromium(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One for all browser tests of a worker. The stack starts before it and stops after it."""
    assert shared_stack.port
    path = find()
    assert path, "There is no Chromium: scripts/chromium.py installs one"
    with contextlib.closing(Chromium(steady_chromium.launcher(path, tmp_path_factory.mktemp("chromium")))) as shared:
        shared_chromium.append(shared)
        yield shared
        shared_chromium.remove(shared)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Close Chromium before a test of another folder: Playwright blocks any other event loop in its thread."""
    yield
    if nextitem is not None and not nextitem.path.is_relative_to(Path(__file__).parent):
        for shared in shared_chromium:
            shared.close()


@pytest.fixture
def browser(chromium: Chromium) -> Browser:
    return chromium.browser


@pytest.fixture
def new_page(chromium: Chromium, stack: Stack, request: pytest.FixtureRequest) -> Iterator[NewPage]:
    """``new_page(**context options)``: a tab in its own context, with a watched console.

    The first page of a ``signed_in_as`` user gets the context that all tests share for this user: its cache is warm.
    Animations are off, as axe would measure the contrast of a colour in transition.
    """
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def make(**options: Any) -> Page:
        usual = {"base_url": stack.url, "viewport": DESK, "reduced_motion": "reduce"}
        context = chromium.lend(options) or chromium.browser.new_context(**(usual | options))
        context.set_default_timeout(PAGE_TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        if chromium.is_lent(context):
            page.set_viewport_size(options.get("viewport", DESK))
            page.emulate_media(color_scheme=options.get("color_scheme"), reduced_motion="reduce")
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        return page

    yield make
    failed = getattr(request.node, "failed", False)
    for number, context in enumerate(contexts):
        for page in context.pages if failed else []:
            keep_picture(page, f"{request.node.name}-{number}")
        chromium.take_back(context)
    # The browser logs a dropped module as an error, although the page loads it again.
    dropped = any(NETWORK_CHANGED in line for line in said)
    expected = re.compile(f"{EXPECTED_IN_CONSOLE.pattern}{'|dynamically imported module' * dropped}")
    unexpected = [line for line in said if not expected.search(line)]
    if not failed:
        assert unexpected == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined] # read by new_page
    return report


def keep_picture(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    place = ARTEFACTS / re.sub(r"[^A-Za-z0-9._-]", "_", name)
    page.screenshot(path=place.with_suffix(".png"), full_page=True)
    place.with_suffix(".html").write_text(page.content(), encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_drafts(stack: Stack) -> None:
    """Delete the wizard drafts of earlier tests."""
    with redis.Redis.from_url(stack.environ["REDIS_URL"]) as valkey:
        for key in valkey.scan_iter("wizard:draft:*", count=1000):
            valkey.delete(key)


@pytest.fixture
def fresh_page(new_page: NewPage) -> Page:
    """A tab that is not signed in."""
    return new_page()


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    """A tab signed in as root@pam, on the dashboard."""
    opened = new_page(storage_state=signed_in_as())
    visit(opened, routes.DASHBOARD)
    return opened


@pytest.fixture
def signed_in_as(chromium: Chromium, stack: Stack) -> SignedInAs:
    """A user's cookies, from one sign-in for all tests: ``new_page(storage_state=signed_in_as("viewer@pve"))``."""
    return lambda userid="root@pam": chromium.signed_in(
        stack.url, userid, lambda context: sign_in(context.new_page(), stack, userid)
    )


def sign_in(page: Page, stack: Stack, userid: str = "root@pam", path: str = "/") -> None:
    """Sign in through the form. Ends on ``path``, when the page takes input."""
    for left in reversed(range(NETWORK_CHANGES)):
        visit(page, path)
        with dropped_requests(page) as dropped:
            fill_sign_in(page, userid, stack.users[userid])
            try:
                expect(page.locator(".user")).to_have_text(userid, timeout=SIGN_IN_TIMEOUT_MS)
            except AssertionError:
                if not dropped or not left:
                    raise
                page.context.clear_cookies()
            else:
                until_it_takes_input(page)
                return


def fill_sign_in(page: Page, userid: str, password: str) -> None:
    user, _, realm = userid.partition("@")
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Realm").select_option(realm)
    page.get_by_role("button", name="Sign in").click(timeout=SIGN_IN_TIMEOUT_MS)


def visit(page: Page, path: str) -> None:
    """``goto``, repeated when Chromium dropped its connections because a guest's network interface changed.

    Returns when the page takes keys and clicks.
    """
    _until_nothing_is_dropped(page, lambda: page.goto(path))
    until_it_takes_input(page)


def reload(page: Page) -> None:
    """Like ``visit``, for the page that is open."""
    _until_nothing_is_dropped(page, page.reload)
    until_it_takes_input(page)


def until_it_takes_input(page: Page) -> None:
    """Wait until the page takes input. If it is redirecting, wait for the new page."""
    for left in reversed(range(NETWORK_CHANGES)):
        try:
            page.wait_for_function(TAKES_INPUT)
            page.evaluate(IS_IDLE)
        except PlaywrightError as error:
            if LED_ON not in str(error) or not left:
                raise
        else:
            return


def _until_nothing_is_dropped(page: Page, go: Callable[[], object]) -> None:
    for left in reversed(range(NETWORK_CHANGES)):
        with dropped_requests(page) as dropped:
            try:
                go()
            except PlaywrightError as error:
                if NETWORK_CHANGED not in str(error) or not left:
                    raise
                continue
        if not dropped:
            return


@contextlib.contextmanager
def dropped_requests(page: Page) -> Iterator[list[str]]:
    """The URLs that the page failed to load within this block because a network interface changed."""
    dropped: list[str] = []

    def look(request: Request) -> None:
        if NETWORK_CHANGED in (request.failure or ""):
            dropped.append(request.url)

    page.on("requestfailed", look)
    try:
        yield dropped
    finally:
        page.remove_listener("requestfailed", look)


def fits(page: Page) -> None:
    """Wait until nothing is wider than the screen."""
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is too wide")


def until(page: Page, holds: Callable[[], bool], why: str, within_ms: float = PAGE_TIMEOUT_MS) -> None:
    """Poll a condition that no locator can express. The page and its event handlers keep running."""
    for _ in range(int(within_ms // POLL_MS)):
        if holds():
            return
        page.wait_for_timeout(POLL_MS)
    pytest.fail(why)


def accessibility_faults(page: Page, within: str | None = None) -> list[str]:
    """WCAG 2.2 A and AA, by axe: rule, element and failure. ``within``: a selector; default: the whole page."""
    found = Axe().run(page, within, options=AXE_OPTIONS)
    return [
        f"{violation['id']}: {node['target']} {node.get('failureSummary', '')}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]
