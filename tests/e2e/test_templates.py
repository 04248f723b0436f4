"""The list of templates: search, filters, order, its address, choosing templates, and reports of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from tests.e2e import recipes
from tests.e2e.conftest import NewPage, SignedInAs, keep_picture, visit
from tests.e2e.page_wire import PageWire
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("own")
    with recipes.served(stack, root):
        yield root


@pytest.fixture
def page(folder: Path, new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    assert folder.is_dir()
    opened = new_page(storage_state=signed_in_as(), viewport={"width": 1440, "height": 900})
    visit(opened, routes.TEMPLATES)
    expect(line(opened, "web")).to_be_visible()
    return opened


def line(page: Page, name: str) -> Locator:
    """The template's row or card."""
    return page.locator("[data-line]").filter(has=page.get_by_role("link", name=name, exact=True))


def search(page: Page) -> Locator:
    return page.get_by_label(text.SEARCH_TEMPLATES)


def query(page: Page, pattern: str) -> None:
    expect(page).to_have_url(re.compile(rf"/templates\?{pattern}$"))


def test_a_row_says_what_its_template_is(page: Page) -> None:
    web = line(page, "web")
    for shown in ("Answers the world", "debian 13", "templates-dir", "r1"):
        expect(web).to_contain_text(shown)
    expect(line(page, "db")).to_contain_text(text.PRIVILEGED_MARK)
    web.get_by_role("link", name=f"{text.CREATE_CONTAINER} web").click()
    expect(page).to_have_url(re.compile(r"/containers/new\?template="))


@pytest.mark.parametrize(
    ("typed", "found"),
    [("ANSWERS edge", "web"), ("postgresql17", "db"), ("frobnicated", "web"), ("world frobnicator nginx", "web")],
)
def test_search_finds_words_of_what_is_shown_of_packages_and_of_scripts(page: Page, typed: str, found: str) -> None:
    search(page).press_sequentially(typed, delay=20)
    other = "db" if found == "web" else "web"
    expect(line(page, other)).to_have_count(0)
    expect(line(page, found)).to_be_visible()
    expect(page.locator(".list-bar")).to_have_text(re.compile(r"^1 of \d+ templates$"))
    expect(search(page)).to_have_value(typed)
    expect(page).to_have_url(re.compile(r"\?q="))


def test_a_search_without_a_match_can_be_cleared(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("zz qqxx")
    expect(page.get_by_text(text.NO_TEMPLATE_MATCHES)).to_be_visible()
    page.get_by_role("link", name=text.CLEAR_FILTER).click()
    expect(line(page, "web")).to_be_visible()
    expect(search(page)).to_have_value("")


def test_the_address_tells_all_that_is_shown_and_the_way_back(page: Page, new_page: NewPage) -> None:
    page.get_by_label(text.BY_SOURCE).select_option("templates-dir")
    query(page, "source=templates-dir")
    expect(line(page, "hello")).to_have_count(0)
    page.get_by_label(text.BY_TAG).select_option("data")
    query(page, "tag=data&source=templates-dir")
    expect(line(page, "web")).to_have_count(0)
    expect(line(page, "db")).to_be_visible()
    page.go_back()
    query(page, "source=templates-dir")
    expect(line(page, "web")).to_be_visible()
    page.get_by_label(text.BY_OS).select_option("debian 13")
    query(page, "source=templates-dir&os=debian\\+13")
    expect(line(page, "db")).to_have_count(0)
    search(page).fill("web")
    query(page, "source=templates-dir&os=debian\\+13&q=web")
    shared = new_page(storage_state=page.context.storage_state())
    visit(shared, page.url)
    expect(line(shared, "web")).to_be_visible()
    expect(search(shared)).to_have_value("web")
    expect(shared.get_by_label(text.BY_OS)).to_have_value("debian 13")
    page.go_back()
    query(page, "source=templates-dir")
    expect(search(page)).to_have_value("")


def test_what_is_typed_before_the_page_has_followed_a_choice_stays(page: Page) -> None:
    wire = PageWire(page)
    visit(page, routes.TEMPLATES)
    expect(line(page, "web")).to_be_visible()
    wire.hold()
    page.get_by_label(text.BY_TAG).select_option("team")
    search(page).fill("web")
    wire.let_go()
    query(page, "q=web&tag=team")
    expect(line(page, "db")).to_have_count(0)
    expect(line(page, "web")).to_be_visible()
    expect(search(page)).to_have_value("web")
    expect(page.get_by_label(text.BY_TAG)).to_have_value("team")


def test_rows_are_sorted_by_their_heads_and_by_the_choice(page: Page) -> None:
    visit(page, f"{routes.TEMPLATES}?tag=team")
    expect(page.locator("[data-line] .row-name a")).to_have_text(["db", "web"])
    head = page.get_by_role("columnheader", name=text.TEMPLATE)
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    query(page, "tag=team&down=1")
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(page.locator("[data-line]").first).to_contain_text("web")
    page.get_by_label(text.SORT_TEMPLATES).select_option("os")
    query(page, "tag=team&sort=os")
    expect(page.locator("[data-line]").first).to_contain_text("db")


def test_cards_are_remembered(page: Page) -> None:
    page.get_by_role("button", name=text.TEMPLATE_LAYOUTS["cards"]).click()
    query(page, "layout=cards")
    expect(page.locator(".recipe-card").filter(has_text="Answers the world")).to_contain_text("debian 13")
    visit(page, routes.TEMPLATES)
    expect(page.locator(".recipe-card").first).to_be_visible()
    visit(page, f"{routes.TEMPLATES}?layout=table")
    expect(page.get_by_role("columnheader", name=text.TEMPLATE)).to_be_visible()


def test_keys_go_through_the_list_and_choose(page: Page) -> None:
    visit(page, f"{routes.TEMPLATES}?tag=team")
    expect(page.locator("[data-line]")).to_have_count(2)
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="db", exact=True)).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", name=f"{text.CHOOSE_TEMPLATE} db")).to_be_checked()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("web")


def test_chosen_templates_are_exported(page: Page) -> None:
    visit(page, f"{routes.TEMPLATES}?tag=team")
    expect(page.locator("[data-line]")).to_have_count(2)
    page.get_by_role("checkbox", name=text.CHOOSE_PAGE).click()
    expect(page.locator(".list-bar")).to_contain_text(f"2 {text.CHOSEN}")
    page.get_by_role("checkbox", name=f"{text.CHOOSE_TEMPLATE} db").click()
    expect(page.locator(".list-bar")).to_contain_text(f"1 {text.CHOSEN}")
    page.locator(".list-bar").get_by_role("button", name=text.EXPORT_TEMPLATES).click()
    with page.expect_download() as downloading:
        page.get_by_role("dialog").get_by_role("button", name=text.EXPORT_WORDS["send"]).click()
    assert downloading.value.suggested_filename.endswith((".zip", ".tar.gz"))


def test_who_may_not_change_templates_is_not_offered_to(
    folder: Path, new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    assert folder.is_dir()
    page = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(page, routes.TEMPLATES)
    expect(line(page, "web")).to_be_visible()
    expect(page.get_by_role("link", name=text.SOURCES)).to_be_visible()
    page.wait_for_load_state("networkidle")
    for offered in (text.READ_FOLDERS, text.IMPORT_TEMPLATES):
        expect(page.get_by_role("button", name=offered)).to_have_count(0)
    expect(page.get_by_role("link", name=text.NEW_TEMPLATE)).to_have_count(0)


def test_what_cannot_be_read_is_named_with_file_and_line_and_hides_no_other(page: Page, folder: Path) -> None:
    recipes.write(folder, {"broken/template.conf": 'TEMPLATE_APP="Broken"\nTEMPLATE_CPU=$(nproc)\n'})
    page.get_by_role("button", name=text.READ_FOLDERS).click()
    expect(page.get_by_text("0 added, 0 changed, 0 removed, 1 refused")).to_be_visible()
    refused = page.locator(".panel", has=page.get_by_role("heading", name=text.REFUSED_TITLE))
    expect(refused.get_by_text("broken/template.conf:2")).to_be_visible()
    keep_picture(page, "templates-refused")
    expect(line(page, "web")).to_be_visible()

    recipes.write(folder, {"broken/template.conf": 'TEMPLATE_APP="Mended"\nTEMPLATE_CPU=2\n'})
    page.get_by_role("button", name=text.READ_FOLDERS).click()
    expect(page.get_by_text("1 added, 0 changed, 0 removed, 0 refused")).to_be_visible()
    expect(refused.get_by_text("broken/template.conf")).to_have_count(0)
    expect(line(page, "broken")).to_be_visible()

    recipes.write(folder, {"broken/template.conf": "TEMPLATE_APP=`id`\n"})
    page.get_by_role("button", name=text.READ_FOLDERS).click()
    expect(line(page, "broken")).to_contain_text(text.REFUSED_MARK)
    page.get_by_role("link", name="broken", exact=True).click()
    expect(page.locator(".note")).to_contain_text("The last valid revision is shown")
    page.go_back()

    (folder / "broken" / "template.conf").unlink()
    (folder / "broken").rmdir()
    page.get_by_role("button", name=text.READ_FOLDERS).click()
    expect(line(page, "broken")).to_contain_text(text.MISSING_MARK)
    page.get_by_role("link", name="broken", exact=True).click()
    expect(page.locator(".note")).to_contain_text(text.MISSING_NOTE)
