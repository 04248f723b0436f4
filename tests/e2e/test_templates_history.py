"""A template's revisions compared and restored, its deletion, and changes since its containers were built."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from pve_sandbox.demo_cluster import FIRST_VMID, demo_guest
from tests.e2e import recipes
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, keep_picture, reload, visit
from tests.e2e.stack import Stack


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


@pytest.fixture
def template(page: Page, stack: Stack) -> tuple[str, str]:
    """The id and name of a custom template with three revisions."""
    return recipes.custom(stack, page)


def revision(page: Page, number: int) -> Locator:
    link = page.get_by_role("link", name=f"r{number}", exact=True)
    return page.get_by_role("table", name=text.REVISIONS).get_by_role("row").filter(has=link)


def test_any_two_revisions_are_compared_with_signs(page: Page, template: tuple[str, str]) -> None:
    visit(page, routes.template_tab(template[0], "revisions"))
    for number, note in ((1, "First"), (2, "More memory"), (3, "With a file")):
        expect(revision(page, number)).to_contain_text(note)
        expect(revision(page, number)).to_contain_text("root@pam")
    expect(revision(page, 3)).to_contain_text(text.CURRENT_REVISION)
    revision(page, 2).get_by_role("link", name=text.WHAT_IT_CHANGED).click()
    expect(page).to_have_url(re.compile(r"old=1&new=2$"))
    compared = page.locator(".compared")
    expect(compared).to_contain_text(text.COMPARED.format(old=1, new=2))
    expect(compared).to_contain_text("512")
    expect(compared.locator(".diff-removed")).to_have_text(re.compile(r"^- +echo hello"))
    expect(compared.locator(".diff-added").first).to_have_text(re.compile(r"^\+ +echo good day"))
    expect(compared.locator(".diff-added").nth(1)).to_have_text(re.compile(r"^\+ +jq"))
    page.get_by_label(text.COMPARE_TO).select_option("3")
    expect(page).to_have_url(re.compile(r"old=1&new=3$"))
    expect(compared.locator(".diff-block").filter(has_text="notes.txt")).to_contain_text("two")
    page.get_by_role("button", name=text.COMPARE_SWAP).click()
    expect(page).to_have_url(re.compile(r"old=3&new=1$"))
    expect(compared.locator(".diff-added").first).to_have_text(re.compile(r"^\+ +echo hello"))
    page.get_by_label(text.COMPARE_TO).select_option("3")
    expect(compared).to_have_text(text.COMPARED_SAME.format(old=3, new=3))


def test_an_older_revision_is_looked_at_whole(page: Page, template: tuple[str, str]) -> None:
    visit(page, routes.template_tab(template[0], "revisions"))
    revision(page, 1).get_by_role("link", name="r1", exact=True).click()
    expect(page.locator(".note")).to_contain_text("This is revision r1")
    expect(page.get_by_role("table", name=text.CONFIG)).to_contain_text("512 MiB")
    page.locator(".tabs").get_by_role("link", name=text.SCRIPTS).click()
    expect(page.locator(".cm-content")).to_contain_text("echo hello")
    page.get_by_role("link", name=text.SHOW_CURRENT).click()
    expect(page.locator(".cm-content")).to_contain_text("echo good day")
    expect(page.locator(".note")).to_have_count(0)


def test_an_older_revision_is_restored_with_a_note(page: Page, template: tuple[str, str]) -> None:
    visit(page, routes.template_tab(template[0], "revisions"))
    revision(page, 1).get_by_role("button", name=text.RESTORE).click()
    dialog = page.get_by_role("dialog", name="Restore revision r1?")
    dialog.get_by_role("button", name=text.CANCEL).click()
    expect(dialog).to_have_count(0)
    revision(page, 1).get_by_role("button", name=text.RESTORE).click()
    dialog.get_by_label(text.RESTORE_NOTE, exact=True).fill("The memory was not needed")
    dialog.get_by_role("button", name=text.RESTORE).click()
    expect(page.get_by_text(text.RESTORED.format(number=1, made=4))).to_be_visible()
    expect(revision(page, 4)).to_contain_text("The memory was not needed")
    expect(revision(page, 4)).to_contain_text(text.CURRENT_REVISION)
    expect(page.locator(".compared")).to_contain_text(text.COMPARED.format(old=3, new=4))
    page.locator(".tabs").get_by_role("link", name=text.CONFIG).click()
    expect(page.get_by_role("table", name=text.CONFIG)).to_contain_text("512 MiB")


def test_a_refusal_to_restore_stands_in_the_dialog_and_the_note_stays(
    page: Page, new_page: NewPage, template: tuple[str, str]
) -> None:
    visit(page, routes.template_tab(template[0], "revisions"))
    revision(page, 1).get_by_role("button", name=text.RESTORE).click()
    dialog = page.get_by_role("dialog", name="Restore revision r1?")
    dialog.get_by_label(text.RESTORE_NOTE, exact=True).fill("The memory was not needed")
    other = new_page(storage_state=page.context.storage_state())
    visit(other, routes.template_tab(template[0], "revisions"))
    revision(other, 2).get_by_role("button", name=text.RESTORE).click()
    other.get_by_role("dialog").get_by_role("button", name=text.RESTORE).click()
    expect(other.get_by_text(text.RESTORED.format(number=2, made=4))).to_be_visible()
    dialog.get_by_role("button", name=text.RESTORE).click()
    expect(dialog.get_by_role("alert").filter(has_text="root@pam saved revision 4 in the meantime")).to_be_visible()
    expect(dialog.get_by_label(text.RESTORE_NOTE, exact=True)).to_have_value("The memory was not needed")
    assert accessibility_faults(page) == []
    keep_picture(page, "template-restore-refused")
    dialog.get_by_role("button", name=text.RESTORE).click()
    expect(page.get_by_text(text.RESTORED.format(number=1, made=5))).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(revision(page, 5)).to_contain_text("The memory was not needed")


def test_containers_of_an_older_revision_are_marked_and_lead_to_what_would_change(
    page: Page, stack: Stack, template: tuple[str, str]
) -> None:
    template_id, name = template
    visit(page, routes.template_tab(template_id, "containers"))
    expect(page.get_by_text(text.NOTHING_BUILT)).to_be_visible()
    for number, vmid in ((1, 103), (3, 104)):
        recipes.built_from(stack, page, template_id, number, vmid, name=demo_guest(vmid - FIRST_VMID).name)
    recipes.built_from(stack, page, template_id, 1, 105, name="long-gone", marked=False)
    recipes.built_from(stack, page, template_id, 3, 99_104)
    reload(page)
    rows = page.get_by_role("table", name=text.BUILT_FROM).get_by_role("row")
    older, current, foreign = (rows.filter(has_text=str(vmid)) for vmid in (103, 104, 105))
    expect(older).to_contain_text(text.BUILT_OLDER_MARK)
    expect(current).not_to_contain_text(text.BUILT_OLDER_MARK)
    expect(foreign).to_have_count(0)  # its vmid was reused
    expect(page.get_by_text(text.BUILT_OLDER_ONE)).to_be_visible()
    expect(page.get_by_text(text.BUILT_UNSEEN.format(count=1))).to_be_visible()
    older.get_by_role("link", name=text.WHAT_WOULD_CHANGE).click()
    expect(page).to_have_url(re.compile(r"tab=revisions&old=1&new=3$"))
    expect(page.locator(".compared")).to_contain_text("jq")
    visit(page, f"{routes.TEMPLATES}?q={name}")
    row = page.locator("[data-line]")
    expect(row.get_by_role("link", name="3", exact=True)).to_be_visible()
    row.get_by_role("link", name="3", exact=True).click()
    expect(older).to_be_visible()


def test_a_custom_template_is_edited_and_deleted_by_its_name(page: Page, template: tuple[str, str]) -> None:
    template_id, name = template
    visit(page, routes.template(template_id))
    expect(page.get_by_role("link", name=text.EDIT_TEMPLATE, exact=True)).to_have_attribute(
        "href", routes.edit_template(template_id)
    )
    page.get_by_role("button", name=text.DELETE_TEMPLATE).click()
    dialog = page.get_by_role("dialog", name=text.DELETE_TEMPLATE_TITLE.format(name=name))
    expect(dialog.get_by_role("button", name=text.DELETE_TEMPLATE)).to_be_disabled()
    dialog.get_by_role("textbox").fill(name)
    dialog.get_by_role("button", name=text.DELETE_TEMPLATE).click()
    expect(page.get_by_text(text.DELETED_TEMPLATE.format(name=name))).to_be_visible()
    expect(page).to_have_url(re.compile(rf"{routes.TEMPLATES}$"))
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)


def test_a_deleted_template_that_containers_were_built_from_can_be_restored(
    page: Page, stack: Stack, template: tuple[str, str]
) -> None:
    template_id, name = template
    recipes.built_from(stack, page, template_id, 2, 99_200)
    visit(page, routes.template(template_id))
    page.get_by_role("button", name=text.DELETE_TEMPLATE).click()
    page.get_by_role("dialog").get_by_role("textbox").fill(name)
    page.get_by_role("dialog").get_by_role("button", name=text.DELETE_TEMPLATE).click()
    expect(page.get_by_text(text.DELETED_KEPT.format(name=name))).to_be_visible()
    visit(page, routes.template_tab(template_id, "revisions"))
    expect(page.locator(".note")).to_contain_text(text.DELETED_NOTE)
    expect(page.get_by_role("link", name=text.CREATE_CONTAINER)).to_have_count(0)
    revision(page, 3).get_by_role("button", name=text.RESTORE).click()
    page.get_by_role("dialog").get_by_role("button", name=text.RESTORE).click()
    expect(page.get_by_role("link", name=text.CREATE_CONTAINER)).to_be_visible()
    expect(page.locator(".note")).to_have_count(0)


def test_who_may_not_change_templates_reads_only(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, template: tuple[str, str]
) -> None:
    visit(page, routes.template_tab(template[0], "revisions"))
    expect(page.get_by_role("button", name=text.RESTORE).first).to_be_visible()
    viewer = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(viewer, routes.template_tab(template[0], "revisions", old=1, new=2))
    expect(viewer.locator(".compared")).to_contain_text("good day")
    viewer.wait_for_load_state("networkidle")
    for offered in (text.RESTORE, text.DELETE_TEMPLATE):
        expect(viewer.get_by_role("button", name=offered)).to_have_count(0)
    expect(viewer.get_by_role("link", name=text.EDIT_TEMPLATE)).to_have_count(0)
