"""How much a browser fetches that was never here before, as Chromium counts it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from tests.e2e.conftest import NewPage, SignedInAs, visit
from tests.unit.services.monitor.test_rows import LIST_BYTES

pytestmark = pytest.mark.full

# With 5,000 containers: the list of a few is no more than a page's own, see LIST_BYTES.
FIRST_LOAD_BYTES = 350_000 - LIST_BYTES
SIGN_IN_BYTES = 20_000
# What happens in PVE is told as long as a page is open: of its load it is nothing, and more where that takes longer.
CHANGES = '"prev":'


def weigh(page: Page) -> list[int]:
    """Grows by what each answer and each frame weighs on the wire."""
    seen: list[int] = []
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})  # the browser of the tests was here before

    def answered(event: dict[str, Any]) -> None:
        seen.append(int(event["encodedDataLength"]))

    def pushed(event: dict[str, Any]) -> None:
        payload = event["response"]["payloadData"]
        if CHANGES not in payload:
            seen.append(len(payload.encode()))

    wire.on("Network.loadingFinished", answered)
    wire.on("Network.webSocketFrameReceived", pushed)
    return seen


@pytest.mark.parametrize("path", [routes.DASHBOARD, routes.CONTAINERS])
def test_a_first_load_is_light(new_page: NewPage, signed_in_as: SignedInAs, path: str) -> None:
    page = new_page(storage_state=signed_in_as())
    seen = weigh(page)
    visit(page, path)
    expect(page.locator(".user")).to_have_text("root@pam")
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert 100_000 < sum(seen) <= FIRST_LOAD_BYTES


def test_the_sign_in_page_is_lighter_still(fresh_page: Page) -> None:
    seen = weigh(fresh_page)
    visit(fresh_page, routes.sign_in("/"))
    fresh_page.wait_for_load_state("networkidle")
    assert 1_000 < sum(seen) <= SIGN_IN_BYTES
