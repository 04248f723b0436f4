"""The template editor: WCAG 2.2 AA by axe, nothing wider than the screen, in both themes and sizes.

Also which of its files a browser loads.
"""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import editor
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, visit
from tests.e2e.screens import SIZES, each_screen
from tests.e2e.stack import Stack

IDLE_WITHIN_MS = 60_000


def look(page: Page, name: str) -> None:
    keep_picture(page, name)
    assert accessibility_faults(page) == []
    fits(page)


@each_screen
def test_each_part_of_the_editor(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack, scheme: str, size: str
) -> None:
    page = new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])
    editor.without_drafts(stack, page)
    editor.begin(page, routes.new_template(editor.id_of(stack, page, "hello")))
    editor.fill(page, cpu="0")
    field = editor.field(page, "config.unprivileged")
    field.uncheck()
    expect(page.get_by_text(text.PRIVILEGED_WARNING)).to_be_visible()
    expect(editor.fault(page, "config.cpu")).not_to_be_empty()
    look(page, f"editor-config-{size}-{scheme}")
    editor.part(page, "scripts")
    editor.write(
        page, '#!/bin/bash\n# Says what it does\nset -euo pipefail\necho $1 "$(uname -a)"\nif [ -f /x ]; then\n'
    )
    expect(page.locator(".findings li").first).to_be_visible(timeout=editor.SHELLCHECK_WITHIN_MS)
    look(page, f"editor-scripts-{size}-{scheme}")
    editor.part(page, "packages")
    page.get_by_role("button", name=text.PACKAGES_ADD_LIST).click()
    expect(page.get_by_text("packages.apt", exact=True)).to_be_visible()
    look(page, f"editor-packages-{size}-{scheme}")
    editor.part(page, "files")
    look(page, f"editor-files-{size}-{scheme}")


def test_a_press_counts_though_an_error_moves_the_page_before_the_release(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    page = new_page(storage_state=signed_in_as())
    editor.without_drafts(stack, page)
    editor.begin(page, routes.new_template(editor.id_of(stack, page, "hello")))
    box = editor.field(page, "config.unprivileged")
    box.scroll_into_view_if_needed()
    before = box.bounding_box()
    assert before
    editor.fill(page, cpu="0")
    page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    page.mouse.down()
    expect(editor.fault(page, "config.cpu")).not_to_be_empty()
    page.mouse.up()
    expect(box).not_to_be_checked()
    after = box.bounding_box()
    assert after
    assert after["y"] >= before["y"] + before["height"]


def test_an_editor_of_code_that_does_not_come_is_fetched_again(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as())
    page.route(re.compile("code_mirror"), lambda route: route.abort("connectionreset"), times=1)
    editor.begin(page)
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    expect(page.locator(".cm-content").locator("visible=true")).to_be_visible()


def test_only_pages_with_code_fetch_the_editor_of_code(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as())
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    for address in (routes.DASHBOARD, routes.CONTAINERS, routes.JOBS, routes.CREATE, routes.TEMPLATES):
        visit(page, address)
        page.wait_for_load_state("networkidle", timeout=IDLE_WITHIN_MS)
    assert not [url for url in fetched if "code_mirror" in url]
    visit(page, routes.TEMPLATE_NEW)
    expect(page.locator(".editor-tabs")).to_be_visible()
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    expect(page.locator(".cm-content").locator("visible=true")).to_be_visible()
    assert [url for url in fetched if "code_mirror" in url]
