"""What a page shows at a glance: its name in the tab, whole addresses, and tables that fit a phone."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import EventType, PackageManager, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from tests.e2e import buckets, editor, recipes
from tests.e2e.conftest import NewPage, SignedInAs, until, visit
from tests.e2e.job_runs import write
from tests.e2e.stack import Stack

PHONE = {"width": 390, "height": 844}
# Whether the cell is at least as wide as the longest IPv4 address.
ADDRESS_FITS = """cell => {
  const probe = document.createElement('span');
  probe.textContent = '255.255.255.255';
  cell.append(probe);
  const fits = probe.offsetWidth <= cell.clientWidth;
  probe.remove();
  return fits;
}"""
# Whether each tag is within its cell, or in a line below it that is hidden.
TAGS_WHOLE = """cell => {
  const box = cell.getBoundingClientRect();
  return [...cell.querySelectorAll('.badge')].map((tag) => tag.getBoundingClientRect()).every(
    (tag) => tag.right <= box.right || tag.top >= box.bottom);
}"""
# Whether the element at the field's centre is the field itself.
SEEN = """field => {
  const box = field.getBoundingClientRect();
  return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2) === field;
}"""
TOO_WIDE = "found => found.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)"


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def none_too_wide(page: Page) -> None:
    """Wait until no table is wider than its place."""
    tables = page.locator(".table-scroll")
    until(page, lambda: tables.evaluate_all(TOO_WIDE) == [], "a table is too wide")


def no_higher(shown: Locator, px: int) -> None:
    until(shown.page, lambda: shown.evaluate("one => one.offsetHeight") <= px, f"it is higher than {px}px")


def ended_job(stack: Stack, page: Page, hostname: str) -> str:
    visit(page, routes.CONTAINERS)
    events = [NewEvent(EventType.STEP, Phase.CREATING, 5, "Creating the container")]
    return write(stack, page, 400_000 + secrets.randbelow(99_999), events, hostname=hostname)


def test_the_tab_names_what_its_page_is_about(page: Page, stack: Stack) -> None:
    name = f"tab-{secrets.token_hex(3)}"
    visit(page, routes.job(ended_job(stack, page, name)))
    expect(page).to_have_title(f"{name} · {text.PRODUCT}")
    page.get_by_role("link", name=text.NAV_JOBS).first.click()
    expect(page).to_have_title(f"{text.NAV_JOBS} · {text.PRODUCT}")
    template_id, template = recipes.custom(stack, page)
    visit(page, routes.template(template_id))
    expect(page).to_have_title(f"{template} · {text.PRODUCT}")
    visit(page, routes.console(101))
    expect(page).to_have_title(f"CT 101 proxy-01 · {text.PRODUCT}")


def test_a_page_that_may_not_be_seen_has_its_heading_all_the_same(
    new_page: NewPage, signed_in_as: SignedInAs, page: Page, stack: Stack
) -> None:
    visit(page, routes.DASHBOARD)
    template_id, _ = recipes.custom(stack, page)
    viewer = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(viewer, routes.edit_template(template_id))
    expect(viewer.get_by_role("alert")).to_contain_text("VM.Allocate")
    expect(viewer.get_by_role("heading", level=1)).to_have_text(text.EDITOR_EDIT)


def test_an_address_is_never_cut_off(page: Page) -> None:
    visit(page, routes.CONTAINERS)
    row = page.locator('[data-vmid="103"]')
    for width in (1440, 1280, 1000):
        page.set_viewport_size({"width": width, "height": 800})
        expect(row).to_be_visible()
        until(page, lambda: row.locator(".col-address").evaluate(ADDRESS_FITS), f"the address is cut off at {width}px")


def test_a_tag_is_shown_whole_or_not_at_all(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 800})
    visit(page, f"{routes.CONTAINERS}?q=staging-web")
    name = page.locator('[data-vmid="111"] .guest-name')
    expect(name).to_have_attribute("title", "staging-web, staging, web")
    until(page, lambda: name.evaluate(TAGS_WHOLE), "a tag is cut off")


@pytest.mark.parametrize("address", [routes.DASHBOARD, routes.JOBS, routes.TEMPLATES + "?layout=table", routes.BUCKETS])
def test_a_phone_holds_each_table_of(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack, address: str) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    ended_job(stack, page, "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst")
    buckets.made(stack, f"phone-{secrets.token_hex(3)}", "jq\n", manager=PackageManager.APT)
    visit(page, address)
    tables = page.locator(".table-scroll")
    expect(tables.first).to_be_visible()
    none_too_wide(page)


def test_a_small_window_holds_the_list_of_templates(page: Page, stack: Stack) -> None:
    page.set_viewport_size({"width": 900, "height": 800})
    visit(page, routes.DASHBOARD)
    _, name = recipes.custom(stack, page)
    visit(page, f"{routes.TEMPLATES}?layout=table&q={name}")
    expect(page.locator("[data-line]")).to_have_count(1)
    none_too_wide(page)


def test_a_small_window_holds_nodes_and_jobs(page: Page, stack: Stack) -> None:
    name = f"small-window-{secrets.token_hex(3)}"
    ended_job(stack, page, name)
    page.set_viewport_size({"width": 760, "height": 800})
    visit(page, f"{routes.JOBS}?q={name}")
    jobs = page.get_by_role("table", name=text.NAV_JOBS)
    expect(jobs.get_by_role("link", name=name)).to_be_visible()
    shown = [text.JOB_STATE, text.JOB_KIND, text.JOB_NAME, text.CT, text.TEMPLATE, text.STARTED, text.TOOK]
    expect(jobs.get_by_role("columnheader")).to_have_text(shown)
    none_too_wide(page)
    visit(page, routes.DASHBOARD)
    nodes = page.get_by_role("table", name=text.NODES_TITLE)
    expect(nodes.get_by_role("link", name="pve1")).to_be_visible()
    expect(nodes.get_by_role("columnheader", name=text.NODE_WORDS["mem_total"])).to_have_count(0)
    expect(nodes.get_by_role("columnheader", name=text.NODE_WORDS["uptime"])).to_be_visible()


def test_a_phone_holds_the_log_with_its_bar(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.job(ended_job(stack, page, "phone-log")))
    bar = page.get_by_role("toolbar", name=text.LOG_WORDS["log"])
    expect(bar).to_be_visible()
    no_higher(bar, 88)


def test_a_phone_holds_the_config_of_a_template(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.DASHBOARD)
    template_id, _ = recipes.custom(stack, page)
    visit(page, routes.template_tab(template_id, "config"))
    expect(page.get_by_role("table", name=text.CONFIG)).to_be_visible()
    none_too_wide(page)


def test_what_a_job_has_made_is_named_in_one_line_on_a_phone(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.job(ended_job(stack, page, "phone-01")))
    title = page.get_by_role("heading", level=2, name=re.compile("phone-01 is ready$"))
    expect(title).to_be_visible()
    no_higher(title, 24)


def test_a_name_keeps_its_line_beside_what_can_be_done(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.DASHBOARD)
    template_id, name = recipes.custom(stack, page)
    visit(page, routes.edit_template(template_id))
    title = page.get_by_role("heading", level=1, name=name)
    expect(title).to_be_visible()
    expect(page.locator("#save")).to_be_visible()
    no_higher(title, 28)


def test_a_template_of_no_known_os_shows_no_empty_mark(page: Page, stack: Stack) -> None:
    name = f"no-os-{secrets.token_hex(3)}"
    buckets.made(stack, f"of-{name}", "jq\n", name)
    visit(page, routes.CREATE)
    card = page.locator(".template-card", has_text=name)
    expect(card).to_be_visible()
    marks = card.locator(".badge")
    expect(marks.first).to_be_visible()
    assert "" not in [mark.strip() for mark in marks.all_inner_texts()]


def test_what_a_page_belongs_to_is_named_whole_on_a_phone(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.BUCKETS)
    crumb = page.locator(".crumbs li").first
    expect(crumb).to_have_text(text.NAV_TEMPLATES)
    # After this nothing more appears beside it.
    expect(page.locator(".button.running .num")).not_to_be_empty()
    until(page, lambda: crumb.evaluate("one => one.scrollWidth <= one.clientWidth"), "it is cut off")


def test_a_phone_holds_all_that_can_be_done_with_templates(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.TEMPLATES)
    expect(page.get_by_role("link", name=text.NEW_TEMPLATE)).to_be_visible()
    no_higher(page.locator(".page-actions"), 40)
    page.get_by_role("button", name=text.MORE_ACTIONS).click()
    page.get_by_role("button", name=text.IMPORT_TEMPLATES, exact=True).click()
    expect(page.get_by_role("dialog", name=text.IMPORT_WORDS["title"])).to_be_visible()
    template_id, _ = recipes.custom(stack, page)
    visit(page, routes.template(template_id))
    tabs = page.locator(".tabs")
    expect(tabs.get_by_role("link", name=text.TEMPLATE_TABS["containers"])).to_be_visible()
    until(page, lambda: tabs.evaluate("one => one.scrollWidth <= one.clientWidth"), "the tabs are cut off")


def test_the_list_beside_an_open_bucket_is_not_too_wide(page: Page, stack: Stack) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    bucket = buckets.made(
        stack, f"a-bucket-with-a-long-name-{secrets.token_hex(3)}", "jq\n", manager=PackageManager.APT
    )
    visit(page, routes.bucket(bucket))
    expect(page.locator(".table-scroll").first).to_be_visible()
    none_too_wide(page)


def test_a_wrong_field_is_led_to_where_a_phone_shows_it(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=PHONE)
    visit(page, routes.DASHBOARD)
    editor.without_drafts(stack, page)
    editor.begin(page, routes.new_template(editor.id_of(stack, page, "nginx-web")))
    editor.fill(page, cpu="0")
    editor.kept(page)
    page.evaluate("scrollTo(0, 0)")
    page.locator("#save").click()
    wrong = editor.field(page, "config.cpu")
    expect(wrong).to_be_focused()
    until(page, lambda: wrong.evaluate(SEEN), "the field is hidden")
    tabs = page.locator(".editor-tabs")
    until(page, lambda: tabs.evaluate("one => one.scrollWidth <= one.clientWidth"), "the parts are cut off")
    editor.without_drafts(stack, page)
