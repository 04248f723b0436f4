"""One template's tabs: its config, scripts, packages and files, as in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.state.templates.rows import counted
from tests.e2e import recipes, wizard
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, reload, visit
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("own")
    with recipes.served(stack, root):
        yield root


@pytest.fixture
def page(folder: Path, new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    """The tab Config of the template ``web``."""
    assert folder.is_dir()
    opened = new_page(storage_state=signed_in_as(), permissions=["clipboard-read", "clipboard-write"])
    visit(opened, f"{routes.TEMPLATES}?q=world")
    opened.get_by_role("link", name="web", exact=True).click()
    expect(opened.get_by_role("heading", level=1)).to_have_text("web")
    return opened


def tab(page: Page, name: str) -> None:
    page.locator(".tabs").get_by_role("link", name=text.TEMPLATE_TABS[name]).click()
    expect(page).to_have_url(re.compile(rf"\?tab={name}"))
    expect(page.locator(".tab.current")).to_contain_text(text.TEMPLATE_TABS[name])


def shown(page: Page) -> Locator:
    return page.locator(".panel .cm-content")


def test_config_tells_each_field_with_its_unit_and_what_pve_makes_of_it(page: Page) -> None:
    table = page.get_by_role("table", name=text.CONFIG)
    for field, value in (("Cores", "2 cores"), ("Memory", "1,024 MiB"), ("Disk", "8 GiB"), ("OS", "debian 13")):
        row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=field, exact=True))
        expect(row).to_contain_text(value)
    storage = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Storage"))
    expect(storage).to_contain_text(text.CONFIG_ASKED)
    expect(table).to_contain_text("rootfs: size of the volume")
    expect(page.get_by_text(text.NO_FINDINGS)).to_be_visible()


def test_a_privileged_template_says_so_with_its_findings(page: Page) -> None:
    visit(page, f"{routes.TEMPLATES}?q=rows")
    page.get_by_role("link", name="db", exact=True).click()
    unprivileged = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Unprivileged"))
    expect(unprivileged.locator(".badge.warm")).to_have_text(text.NO)
    expect(page.locator(".findings li")).not_to_have_count(0)


def test_scripts_stand_in_order_are_copied_and_downloaded(page: Page, folder: Path) -> None:
    tab(page, "scripts")
    listed = page.get_by_role("list", name=text.SCRIPTS_ORDER)
    expect(listed.get_by_role("listitem")).to_have_count(2)
    expect(listed.get_by_role("listitem").first).to_contain_text("1. 10-check.sh")
    second = listed.get_by_role("listitem").nth(1)
    for said in ("Installs the frobnicator", text.SCRIPT_OPTIONAL, "timeout 60 s"):
        expect(second).to_contain_text(said)
    expect(shown(page)).to_contain_text("true")
    second.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"item=20-install\.sh$"))
    expect(shown(page)).to_contain_text("echo frobnicated")
    expect(shown(page)).to_have_attribute("aria-readonly", "true")
    page.get_by_role("button", name=text.COPY).click()
    expect(page.get_by_role("button", name=text.COPIED)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == recipes.INSTALL
    with page.expect_download() as downloading:
        page.get_by_role("link", name=text.DOWNLOAD).click()
    assert downloading.value.suggested_filename == "20-install.sh"
    assert downloading.value.path().read_text() == recipes.INSTALL
    reload(page)
    expect(shown(page)).to_contain_text("echo frobnicated")
    page.go_back()
    expect(shown(page)).to_contain_text("true")
    assert folder.is_dir()


def test_packages_stand_by_bucket_with_pins_and_commands(page: Page) -> None:
    tab(page, "packages")
    base = page.locator(".panel").filter(has=page.get_by_role("heading", name="base"))
    expect(base).to_contain_text("apt")
    expect(base.get_by_role("listitem")).to_have_text(["nginx", "curl=8.14.1-2"])
    base.get_by_role("button", name=text.COPY).click()
    expect(base.get_by_role("button", name=text.COPIED)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "nginx\ncurl=8.14.1-2\n"
    tools = page.locator(".panel").filter(has=page.get_by_role("heading", name="tools"))
    expect(tools.get_by_role("row").filter(has_text="frob")).to_contain_text("command -v frob")
    expect(tools).to_contain_text("600 s")


def test_files_tell_where_they_go_and_binary_ones_are_only_downloaded(page: Page) -> None:
    tab(page, "files")
    site = page.get_by_role("row").filter(has=page.get_by_role("link", name="site.conf"))
    for said in ("/etc/web/site.conf", "backup", "0644", text.OWNER_OF_FOLDER, "11 B", text.KIND_TEXT):
        expect(site).to_contain_text(said)
    logo = page.get_by_role("row").filter(has=page.get_by_role("link", name="logo.gz"))
    expect(logo).to_contain_text(text.KIND_BINARY)
    logo.get_by_role("link").click()
    expect(page.locator(".panel")).to_contain_text(text.BINARY_FILE.format(size=counted(len(recipes.BINARY), "byte")))
    with page.expect_download() as downloading:
        page.get_by_role("link", name=text.DOWNLOAD).click()
    assert downloading.value.suggested_filename == "logo.gz"
    assert downloading.value.path().read_bytes() == recipes.BINARY
    site.get_by_role("link").click()
    expect(shown(page)).to_contain_text("listen 80;")


def test_a_template_is_downloaded_whole(page: Page) -> None:
    page.get_by_role("button", name=text.EXPORT_TEMPLATES).click()
    with page.expect_download() as downloading:
        page.get_by_role("dialog").get_by_role("button", name=text.EXPORT_WORDS["send"]).click()
    assert downloading.value.path().stat().st_size > 100


def test_create_container_begins_with_the_template(page: Page) -> None:
    page.get_by_role("link", name=text.CREATE_CONTAINER, exact=True).click()
    expect(page.locator("#hostname")).to_have_value("web")
    wizard.back(page, "template")
    expect(wizard.radio(page, "web")).to_be_checked()


def test_a_template_of_a_folder_is_edited_as_a_copy_and_not_deleted(page: Page) -> None:
    expect(page.get_by_role("link", name=text.EDIT_COPY)).to_have_attribute(
        "href", re.compile(r"/templates/new\?copy=")
    )
    expect(page.get_by_role("button", name=text.DELETE_TEMPLATE)).to_have_count(0)


def test_an_address_of_no_template_says_so(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as())
    visit(page, "/templates/nothing")
    expect(page.get_by_role("alert")).to_contain_text(text.NO_SUCH_TEMPLATE)


def test_a_download_of_no_revision_and_of_nobody_is_refused(page: Page, fresh_page: Page) -> None:
    tab(page, "scripts")
    expect(shown(page)).to_contain_text("true")
    address = page.get_by_role("link", name=text.DOWNLOAD).get_attribute("href") or ""
    assert page.request.get(address).status == 200
    assert page.request.get(f"{address}x").status == 404
    assert page.request.get(f"{routes.TEMPLATE_REVISIONS}/none/scripts/x").status == 404
    assert fresh_page.request.get(address, headers={"Accept": "application/json"}).status == 401


def test_on_a_phone_the_lesser_actions_are_in_a_menu(page: Page) -> None:
    more = page.get_by_role("button", name=text.MORE_ACTIONS)
    export = page.get_by_role("button", name=text.EXPORT_TEMPLATES)
    expect(export).to_be_visible()
    expect(more).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(export).to_be_hidden()
    expect(page.get_by_role("link", name=text.CREATE_CONTAINER, exact=True)).to_be_visible()
    assert accessibility_faults(page) == []
    more.click()
    expect(export).to_be_visible()
    assert accessibility_faults(page, within=".more.open") == []  # the menu covers the rest until it closes
    page.keyboard.press("Escape")
    expect(export).to_be_hidden()
    expect(more).to_be_focused()
    more.click()
    export.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("heading", level=1).click()
    expect(export).to_be_hidden()
