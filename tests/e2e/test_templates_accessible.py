"""The pages of templates: WCAG 2.2 AA by axe, and nothing wider than the screen, in both themes and sizes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import recipes
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, visit
from tests.e2e.screens import SIZES, each_screen
from tests.e2e.stack import Stack

pytestmark = each_screen


@pytest.fixture(scope="module", autouse=True)
def folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with recipes.served(stack, tmp_path_factory.mktemp("own")):
        yield


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs, scheme: str, size: str) -> Page:
    return new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])


class Look:
    """Checks what a page shows now, and stores a screenshot."""

    def __init__(self, page: Page, suffix: str) -> None:
        self._page = page
        self._suffix = suffix

    def at(self, name: str) -> None:
        keep_picture(self._page, f"{name}-{self._suffix}")
        assert accessibility_faults(self._page) == []
        fits(self._page)


@pytest.fixture
def look(page: Page, scheme: str, size: str) -> Look:
    return Look(page, f"{size}-{scheme}")


def test_the_list(page: Page, look: Look) -> None:
    visit(page, f"{routes.TEMPLATES}?layout=table")
    expect(page.get_by_role("link", name="web", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=text.NEW_TEMPLATE)).to_be_visible()
    look.at("templates")
    page.get_by_role("checkbox", name=f"{text.CHOOSE_TEMPLATE} db").click()
    expect(page.locator(".list-bar")).to_contain_text(text.CHOSEN)
    look.at("templates-chosen")
    page.get_by_role("button", name=text.TEMPLATE_LAYOUTS["cards"]).click()
    expect(page.locator(".recipe-card").first).to_be_visible()
    look.at("templates-cards")
    page.get_by_label(text.SEARCH_TEMPLATES).fill("zzqqxx")
    expect(page.get_by_text(text.NO_TEMPLATE_MATCHES)).to_be_visible()
    look.at("templates-no-match")


def test_one_template(page: Page, look: Look) -> None:
    visit(page, f"{routes.TEMPLATES}?q=world&layout=table")
    page.get_by_role("link", name="web", exact=True).click()
    expect(page.get_by_role("table", name=text.CONFIG)).to_be_visible()
    expect(page.get_by_text(text.EDIT_COPY)).to_be_attached()  # on a phone it is in the menu of further acts
    look.at("template-config")
    tabs = page.locator(".tabs")
    tabs.get_by_role("link", name=text.SCRIPTS).click()
    expect(page.locator(".cm-content")).to_contain_text("true")
    look.at("template-scripts")
    tabs.get_by_role("link", name=text.PACKAGES).click()
    expect(page.get_by_role("heading", name="tools")).to_be_visible()
    look.at("template-packages")
    tabs.get_by_role("link", name=text.FILES).click()
    expect(page.get_by_role("table", name=text.FILES)).to_be_visible()
    look.at("template-files")


def test_its_history(page: Page, look: Look, stack: Stack) -> None:
    template_id, _ = recipes.custom(stack, page)
    visit(page, routes.template_tab(template_id, "revisions", old=1, new=3))
    expect(page.locator(".compared")).to_contain_text("notes.txt")
    expect(page.get_by_role("button", name=text.RESTORE).first).to_be_visible()
    look.at("template-revisions")
    page.get_by_role("button", name=text.RESTORE).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look.at("template-restore")
    page.get_by_role("dialog").get_by_role("button", name=text.CANCEL).click()
    visit(page, routes.template_tab(template_id, "config", revision=1))
    expect(page.locator(".note")).to_be_visible()
    look.at("template-older")
    visit(page, routes.template_tab(template_id, "containers"))
    expect(page.get_by_text(text.NOTHING_BUILT)).to_be_visible()
    look.at("template-containers")
