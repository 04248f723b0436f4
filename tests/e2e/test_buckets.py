"""Shared package buckets in a browser: created by pasting, renamed, deleted, and the effect on templates."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import PackageManager, new_id
from tests.e2e.buckets import (
    button,
    delete,
    emptied,
    listing,
    made,
    open_bucket,
    rename_table,
    revisions,
    row,
    write,
)
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, reload, visit
from tests.e2e.screens import SIZES, each_screen
from tests.e2e.stack import Stack

PASTED = "# web servers\nnginx=1.26.3-3  # pinned: 1.27 breaks us\n\ncurl\n"


@pytest.fixture(autouse=True)
def _emptied(stack: Stack) -> Iterator[None]:
    yield from emptied(stack)


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def test_the_list_of_templates_leads_to_the_buckets(page: Page) -> None:
    visit(page, routes.TEMPLATES)
    page.get_by_role("link", name=text.BUCKETS).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(text.BUCKETS)
    expect(page.get_by_role("heading", name=text.BUCKETS_NONE)).to_be_visible()
    page.locator(".block").get_by_role("link", name=text.BUCKET_NEW).click()
    expect(page.get_by_label(text.BUCKET_FIELDS["name"], exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=text.BUCKET_NEW)).to_have_count(0)


def test_a_list_is_pasted_with_comments_and_pins_and_kept_so(page: Page) -> None:
    visit(page, routes.bucket("new"))
    page.get_by_label(text.BUCKET_FIELDS["name"], exact=True).fill("web")
    page.get_by_label(text.BUCKET_FIELDS["manager"]).select_option("apt")
    write(page, PASTED)
    expect(page.get_by_text("2 packages", exact=True)).to_be_visible()
    button(page, text.BUCKET_CREATE).click()
    expect(page.get_by_text(text.BUCKET_CREATED.format(name="web.apt"))).to_be_visible()
    expect(row(page, "web.apt")).to_contain_text("2")
    expect(page).to_have_url(re.compile(r"\?bucket=[0-9a-f-]{36}$"))
    reload(page)
    expect(page.get_by_role("heading", level=2, name="web.apt")).to_be_visible()
    expect(listing(page)).to_contain_text("nginx=1.26.3-3  # pinned: 1.27 breaks us")
    expect(page.get_by_label(text.BUCKET_FIELDS["manager"])).to_be_disabled()


def test_what_cannot_be_is_told_beside_its_line_and_refused(page: Page) -> None:
    visit(page, routes.bucket("new"))
    page.get_by_label(text.BUCKET_FIELDS["name"], exact=True).fill("web")
    write(page, "nginx=1.26.3-3\n# more\n-y\nnginx\ncurl\n")
    faults = page.locator("#bucket-faults")
    expect(faults.get_by_role("listitem")).to_have_count(2)
    expect(faults).to_contain_text("-y is an option")
    expect(faults).to_contain_text("nginx is also in line 1, as nginx=1.26.3-3")
    expect(page.locator(".cm-lint-marker-error")).to_have_count(2)
    button(page, text.BUCKET_CREATE).click()
    expect(page.locator(".cm-activeLineGutter").first).to_have_text("3")
    expect(listing(page)).to_be_focused()
    faults.get_by_role("button", name="Line 4").click()
    expect(page.locator(".cm-activeLineGutter").first).to_have_text("4")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text("htop")
    expect(faults.get_by_role("listitem")).to_have_count(1)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text("vim")
    expect(faults.get_by_role("listitem")).to_have_count(0)
    page.keyboard.press("Control+s")
    expect(page.get_by_text(text.BUCKET_CREATED.format(name="web.apt"))).to_be_visible()


def test_a_name_that_is_taken_or_none_is_told_beside_its_field(page: Page, stack: Stack) -> None:
    made(stack, "base", "curl\n")
    visit(page, routes.bucket("new"))
    name = page.get_by_label(text.BUCKET_FIELDS["name"], exact=True)
    write(page, "vim\n")
    button(page, text.BUCKET_CREATE).click()
    expect(page.locator("#bucket-name-error")).not_to_be_empty()
    expect(name).to_be_focused()
    name.fill("base")
    name.press("Enter")
    expect(page.locator("#bucket-name-error")).to_contain_text("A shared apt bucket of this name already exists")
    expect(name).to_have_attribute("aria-invalid", "true")
    page.get_by_label(text.BUCKET_FIELDS["manager"]).select_option("apk")
    name.press("Enter")
    expect(page.get_by_text(text.BUCKET_CREATED.format(name="base.apk"))).to_be_visible()


def test_the_templates_that_a_save_touches_are_named_before_it_and_get_a_revision(page: Page, stack: Stack) -> None:
    suffix = new_id().hex[-8:]
    names = [f"one-{suffix}", f"two-{suffix}"]
    bucket_id = made(stack, "base", "curl\nvim\n", *names)
    open_bucket(page, bucket_id, "base.apt")
    for name in names:
        expect(page.locator(".bucket-uses")).to_contain_text(f"{name} custom r1")
    write(page, "curl # for the checks\nvim\n")
    expect(page.get_by_text(text.BUCKET_TOUCHES_NONE)).to_be_visible()
    write(page, "curl # for the checks\nhtop\n")
    expect(page.locator(".bucket-touches")).to_have_text(
        f"Saving gives 2 templates a new revision: {names[0]}, {names[1]}."
    )
    button(page, text.BUCKET_SAVE).click()
    expect(page.get_by_text(f"Saved base.apt. New revisions: {names[0]} r2, {names[1]} r2")).to_be_visible()
    expect(page.locator(".bucket-uses")).to_contain_text(f"{names[0]} custom r2")
    expect(page.get_by_text(text.BUCKET_UNSAVED, exact=True)).to_have_count(0)
    for name in names:
        newest, oldest = revisions(stack, name)
        assert newest == (2, "root@pam", "Shared bucket base.apt: added htop; removed vim")
        assert oldest[0] == 1


def test_a_bucket_is_renamed(page: Page, stack: Stack) -> None:
    template = f"web-{new_id().hex[-8:]}"
    open_bucket(page, made(stack, "base", "curl\n", template), "base.apt")
    name = page.get_by_label(text.BUCKET_FIELDS["name"], exact=True)
    name.fill("tools")
    name.press("Enter")
    expect(page.get_by_role("heading", level=2, name="tools.apt")).to_be_visible()
    expect(row(page, "tools.apt")).to_be_visible()
    expect(row(page, "base.apt")).to_have_count(0)
    assert revisions(stack, template)[0][2] == "Shared bucket base.apt: now called tools"


def test_what_was_typed_stays_in_each_bucket_and_over_a_reload(page: Page, stack: Stack) -> None:
    base = made(stack, "base", "curl\n")
    made(stack, "web", "nginx\n")
    open_bucket(page, base, "base.apt")
    write(page, "curl\nvim\n")
    expect(row(page, "base.apt")).to_contain_text(text.BUCKET_UNSAVED)
    page.get_by_role("link", name="web.apt").click()
    expect(listing(page)).to_have_text("nginx")
    expect(row(page, "base.apt")).to_contain_text(text.BUCKET_UNSAVED)
    page.on("dialog", lambda dialog: dialog.accept())
    reload(page)
    expect(row(page, "base.apt")).to_contain_text(text.BUCKET_UNSAVED)
    page.get_by_role("link", name="base.apt").click()
    expect(listing(page)).to_have_text("curlvim")
    button(page, text.BUCKET_DISCARD).click()
    page.get_by_role("dialog").get_by_role("button", name=text.BUCKET_DISCARD).click()
    expect(listing(page)).to_have_text("curl")
    expect(page.get_by_text(text.BUCKET_UNSAVED, exact=True)).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", level=2, name="web.apt")).to_be_visible()


def test_deleting_names_the_templates_and_leaves_them_their_packages(page: Page, stack: Stack) -> None:
    template = f"web-{new_id().hex[-8:]}"
    open_bucket(page, made(stack, "base", "curl\n", template), "base.apt")
    button(page, text.BUCKET_DELETE).click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Its packages stay in 1 template: {template}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    delete(page, "base")
    expect(page.get_by_role("heading", name=text.BUCKETS_NONE)).to_be_visible()
    assert [number for number, _, _ in revisions(stack, template)] == [1]


def test_the_list_is_filtered_as_one_types(page: Page, stack: Stack) -> None:
    template = f"web-{new_id().hex[-8:]}"
    made(stack, "base", "curl\n", template)
    made(stack, "python", "flask\n", manager=PackageManager.PIP)
    visit(page, routes.BUCKETS)
    find = page.get_by_label(text.BUCKETS_FILTER)
    find.fill("pip")
    expect(row(page, "base.apt")).to_have_count(0)
    expect(row(page, "python.pip")).to_be_visible()
    find.fill(template)
    expect(row(page, "base.apt")).to_be_visible()
    find.fill("nothing like it")
    expect(page.get_by_text(text.BUCKETS_NO_MATCH)).to_be_visible()


def test_a_bucket_is_opened_changed_and_saved_from_the_keyboard(page: Page, stack: Stack) -> None:
    made(stack, "base", "curl\n")
    made(stack, "web", "nginx\n")
    visit(page, routes.BUCKETS)
    expect(row(page, "web.apt")).to_be_visible()
    for key in ("j", "j", "k", "j", "Enter"):
        page.keyboard.press(key)
    expect(listing(page)).to_have_text("nginx")
    page.get_by_label(text.BUCKET_FIELDS["name"], exact=True).focus()
    page.keyboard.press("Tab")
    expect(listing(page)).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("jq\n")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(text.BUCKET_SAVED.format(name="web.apt"))).to_be_visible()
    expect(row(page, "web.apt")).to_contain_text("2")


def test_who_may_make_no_containers_reads_buckets_and_is_offered_no_change(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    bucket_id = made(stack, "base", "curl # always\n")
    page = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(page, routes.bucket(bucket_id))
    expect(listing(page)).to_have_text("curl # always")
    expect(page.get_by_text(text.BUCKET_READ_ONLY)).to_be_visible()
    expect(listing(page)).to_have_attribute("aria-readonly", "true")
    for verb in (text.BUCKET_SAVE, text.BUCKET_DELETE):
        expect(button(page, verb)).to_have_count(0)
    expect(page.get_by_role("link", name=text.BUCKET_NEW)).to_have_count(0)
    assert accessibility_faults(page) == []


def test_a_bucket_that_is_not_there_is_said_to_be_gone(page: Page) -> None:
    visit(page, routes.bucket(new_id()))
    expect(page.get_by_text(text.BUCKET_GONE)).to_be_visible()


def test_a_list_that_cannot_be_read_says_so_and_is_tried_again(page: Page, stack: Stack) -> None:
    made(stack, "base", "curl\n")
    rename_table(stack, "package_bucket", "package_bucket_away")
    try:
        visit(page, routes.BUCKETS)
        expect(page.get_by_role("alert")).to_contain_text(text.FAILED_TITLE)
    finally:
        rename_table(stack, "package_bucket_away", "package_bucket")
    button(page, text.RETRY).click()
    expect(row(page, "base.apt")).to_be_visible()


@each_screen
def test_the_page_is_readable_for_all_in_both_themes_and_sizes(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack, scheme: str, size: str
) -> None:
    templates = [f"{name}-{new_id().hex[-8:]}" for name in ("web", "api", "worker")]
    made(stack, "own-tools-with-a-rather-long-name", "tool|true|true\n", manager=PackageManager.CUSTOM)
    made(stack, "base", PASTED, *templates)
    page = new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])
    visit(page, routes.BUCKETS)
    expect(row(page, "base.apt")).to_be_visible()
    look(page, f"buckets-{size}-{scheme}")
    row(page, "base.apt").get_by_role("link").click()
    expect(button(page, text.BUCKET_SAVE)).to_be_visible()
    write(page, f"{PASTED}-y\ncurl\n")
    expect(page.locator("#bucket-faults").get_by_role("listitem")).to_have_count(2)
    look(page, f"buckets-faults-{size}-{scheme}")
    write(page, f"{PASTED}htop\n")
    expect(page.locator(".bucket-touches")).not_to_be_empty()
    button(page, text.BUCKET_DELETE).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, f"buckets-delete-{size}-{scheme}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    if size == "phone":
        page.get_by_role("link", name=text.BUCKETS_ALL).click()
        expect(page.get_by_label(text.BUCKETS_FILTER)).to_be_visible()


def look(page: Page, name: str) -> None:
    keep_picture(page, name)
    assert accessibility_faults(page) == []
    fits(page)
