"""Input in the template editor survives reloads, other windows, other users and a server that was away."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Dialog, Page, expect

from lxc_dashboard import routes, text
from tests.e2e import editor
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, keep_picture, reload, visit
from tests.e2e.stack import Stack

SCRIPT = "#!/bin/bash\necho as it was\n"


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack) -> Page:
    opened = new_page(storage_state=signed_in_as())
    editor.without_drafts(stack, opened)
    return opened


@pytest.fixture
def other(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack) -> Page:
    """A tab of another user who may also change templates."""
    opened = new_page(storage_state=signed_in_as("operator@pve"))
    editor.without_drafts(stack, opened)
    return opened


@pytest.fixture
def template(page: Page) -> str:
    """A custom template with one script."""
    editor.begin(page)
    editor.fill(page, name=f"e2e-{secrets.token_hex(4)}", app="Shared", cpu="1", ram_mib="256")
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    editor.write(page, SCRIPT)
    editor.kept(page)
    return editor.save(page)


def test_a_reload_in_mid_edit_loses_nothing(page: Page, template: str) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    editor.begin(page, routes.edit_template(template))
    editor.fill(page, cpu="not yet a number", app="Typed and not saved")
    editor.part(page, "scripts")
    editor.write(page, "#!/bin/bash\necho typed and not saved\n")
    reload(page)
    expect(page.locator(".editor-tab.current")).to_contain_text(text.EDITOR_PARTS["scripts"])
    expect(page.locator(".cm-content").locator("visible=true")).to_contain_text("echo typed and not saved")
    editor.part(page, "config")
    expect(editor.field(page, "config.cpu")).to_have_value("not yet a number")
    expect(editor.field(page, "config.app")).to_have_value("Typed and not saved")


def test_a_script_of_a_mebibyte_is_kept_whole_and_a_longer_one_is_refused(
    page: Page, stack: Stack, template: str
) -> None:
    long = "#!/bin/bash\n" + f"# {'x' * 61}\n" * ((1 << 14) - 1)
    editor.begin(page, routes.edit_template(template))
    editor.part(page, "scripts")
    editor.paste(page, long)
    editor.kept(page)
    refused = page.get_by_role("alert").filter(has_text=text.CODE_TOO_LONG)
    editor.paste(page, long + f"# {'y' * 61}\n")
    expect(refused).to_be_visible()
    assert editor.current(stack, page, editor.save(page)).scripts[0].content == long


def test_another_browser_goes_on_with_the_draft(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, template: str
) -> None:
    editor.begin(page, routes.edit_template(template))
    editor.fill(page, app="Begun elsewhere")
    editor.kept(page)
    second = new_page(storage_state=signed_in_as())
    editor.begin(second, routes.edit_template(template))
    expect(editor.field(second, "config.app")).to_have_value("Begun elsewhere")
    expect(second.get_by_text(text.DRAFT_RESUMED)).to_be_visible()
    before = editor.kept_at(second)
    editor.fill(second, app="Typed in the second window")
    editor.kept(second, since=before)
    editor.fill(page, app="Typed in the first window")
    trouble = page.get_by_role("alert").filter(has_text="another window")
    expect(trouble).to_be_visible(timeout=editor.KEPT_WITHIN_MS)
    expect(editor.field(page, "config.app")).to_have_value("Typed in the first window")
    trouble.get_by_role("button", name=text.DRAFT_KEEP_MINE).click()
    expect(trouble).to_have_count(0)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    second.on("dialog", leave)
    reload(second)
    expect(editor.field(second, "config.app")).to_have_value("Typed in the first window")
    assert set(asked) == {"beforeunload"}
    before = editor.kept_at(second)
    editor.fill(second, app="Typed in the second once more")
    editor.kept(second, since=before)
    editor.fill(page, app="Typed and given up")
    expect(trouble).to_be_visible(timeout=editor.KEPT_WITHIN_MS)
    trouble.get_by_role("button", name=text.DRAFT_TAKE_OTHER).click()
    expect(trouble).to_have_count(0)
    expect(editor.field(page, "config.app")).to_have_value("Typed in the second once more")


def test_leaving_asks_says_that_the_draft_is_kept_and_keeps_it(page: Page, template: str) -> None:
    editor.begin(page, routes.edit_template(template))
    editor.fill(page, app="Left behind")
    editor.kept(page)
    page.get_by_role("link", name=text.NAV_JOBS).first.click()
    asked = page.get_by_role("dialog", name=text.LEAVE_TITLE)
    expect(asked).to_contain_text("the draft is stored")
    keep_picture(page, "editor-leaving")
    asked.get_by_role("button", name=text.LEAVE_STAY).click()
    expect(asked).to_have_count(0)
    expect(editor.field(page, "config.app")).to_have_value("Left behind")
    page.get_by_role("link", name=text.NAV_JOBS).first.click()
    asked.get_by_role("button", name=text.LEAVE_GO).click()
    page.wait_for_url(re.compile(f"{routes.JOBS}$"))
    editor.begin(page, routes.edit_template(template))
    expect(editor.field(page, "config.app")).to_have_value("Left behind")
    page.get_by_role("button", name=text.DISCARD_DRAFT).click()
    page.get_by_role("dialog").get_by_role("button", name=text.DISCARD_DRAFT).click()
    page.wait_for_url(re.compile(r"/templates/[0-9a-f-]{36}$"))
    editor.begin(page, routes.edit_template(template))
    expect(editor.field(page, "config.app")).to_have_value("Shared")


def test_a_server_that_was_started_again_loses_nothing(page: Page, stack: Stack, template: str) -> None:
    editor.begin(page, routes.edit_template(template))
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    expect(editor.scripts(page)).to_have_count(2)
    editor.write(page, "#!/bin/bash\necho kept before\n")
    editor.kept(page)
    before = editor.kept_at(page)
    stack.children["web"].stop()
    page.locator(".cm-content").locator("visible=true").click()
    page.keyboard.press("ControlOrMeta+End")
    page.keyboard.insert_text("echo typed while it was away\n")
    stack.start_web(stack.port)
    editor.kept(page, since=before)
    expect(page.locator(".editor-tab.current")).to_contain_text(text.EDITOR_PARTS["scripts"])
    shown = page.locator(".cm-content").locator("visible=true")
    expect(shown).to_contain_text("echo typed while it was away", timeout=editor.SAVED_WITHIN_MS)
    content = editor.current(stack, page, editor.save(page))
    assert content.scripts[1].content == "#!/bin/bash\necho kept before\necho typed while it was away\n"


def test_a_draft_that_differs_in_nothing_cannot_be_discarded(page: Page, template: str) -> None:
    discard = page.get_by_role("button", name=text.DISCARD_DRAFT)
    editor.begin(page, routes.edit_template(template))
    expect(page.locator("#draft-kept")).to_have_text(text.DRAFT_NOTHING)
    expect(discard).to_have_count(0)
    editor.fill(page, app="Typed")
    editor.kept(page)
    expect(discard).to_be_visible()
    editor.fill(page, app="Shared")
    expect(page.locator("#draft-kept")).to_have_text(text.DRAFT_NOTHING, timeout=editor.KEPT_WITHIN_MS)
    expect(discard).to_have_count(0)
    reload(page)
    expect(editor.field(page, "config.app")).to_have_value("Shared")
    expect(page.locator("#draft-kept")).to_have_text(text.DRAFT_NOTHING)
    expect(page.get_by_text(text.DRAFT_RESUMED)).to_have_count(0)
    expect(discard).to_have_count(0)


def overtake(page: Page, other: Page, template: str) -> None:
    """Both users edit the template; the other one saves first, then this page tries to save."""
    editor.begin(page, routes.edit_template(template))
    editor.fill(page, app="Mine", cpu="2")
    editor.kept(page)
    editor.begin(other, routes.edit_template(template))
    editor.fill(other, ram_mib="1024", cpu="4")
    editor.part(other, "scripts")
    editor.write(other, "#!/bin/bash\necho by the other\n")
    editor.kept(other)
    editor.save(other, "Theirs")
    page.locator("#save").click()
    page.get_by_role("dialog").get_by_role("button", name=text.SAVE, exact=True).click()
    expect(page.locator("#overtaken")).to_contain_text(
        text.OVERTAKEN_TITLE.format(author="operator@pve", number=2), timeout=editor.SAVED_WITHIN_MS
    )


def test_the_second_editor_is_told_and_takes_the_changes_over(
    page: Page, other: Page, stack: Stack, template: str
) -> None:
    overtake(page, other, template)
    told = page.locator("#overtaken")
    expect(told).to_contain_text("10-script.sh")
    keep_picture(page, "editor-overtaken")
    assert accessibility_faults(page) == []
    told.get_by_role("button", name=text.OVERTAKEN_COMPARE).click()
    compared = page.get_by_role("dialog", name=re.compile("^From r2 by operator@pve"))
    expect(compared).to_contain_text("echo by the other")
    keep_picture(page, "editor-compare")
    compared.get_by_role("button", name=text.CLOSE).click()
    told.get_by_role("button", name=text.OVERTAKEN_TAKE).click()
    expect(told).to_have_count(0)
    expect(page.get_by_text("Your values stay in: config.cpu")).to_be_visible()
    expect(editor.field(page, "config.ram_mib")).to_have_value("1024")
    expect(editor.field(page, "config.cpu")).to_have_value("2")
    expect(editor.field(page, "config.app")).to_have_value("Mine")
    content = editor.current(stack, page, editor.save(page))
    assert (content.config.app, content.config.cpu, content.config.ram_mib) == ("Mine", 2, 1024)
    assert "by the other" in content.scripts[0].content


def test_the_second_editor_may_save_over_it_knowingly(page: Page, other: Page, stack: Stack, template: str) -> None:
    overtake(page, other, template)
    over = text.OVERTAKEN_OVER.format(number=2)
    page.get_by_role("button", name=over).click()
    asked = page.get_by_role("dialog", name=text.OVERTAKEN_OVER_TITLE.format(number=2, author="operator@pve"))
    asked.get_by_role("button", name=over).click()
    page.wait_for_url(re.compile(r"/templates/[0-9a-f-]{36}$"), timeout=editor.SAVED_WITHIN_MS)
    content = editor.current(stack, page, template)
    assert (content.config.app, content.config.cpu, content.config.ram_mib) == ("Mine", 2, 256)
    assert content.scripts[0].content == SCRIPT


def test_a_save_shows_what_will_change_and_says_when_nothing_does(page: Page, template: str) -> None:
    editor.begin(page, routes.edit_template(template))
    editor.fill(page, ram_mib="300")
    editor.part(page, "scripts")
    editor.write(page, "#!/bin/bash\necho otherwise\n")
    editor.kept(page)
    page.locator("#save").click()
    asked = page.get_by_role("dialog", name=re.compile("^Save "))
    expect(asked).to_contain_text("256 → 300")
    expect(asked.locator(".diff-removed")).to_contain_text("echo as it was")
    expect(asked.locator(".diff-added")).to_contain_text("echo otherwise")
    keep_picture(page, "editor-save")
    assert accessibility_faults(page) == []
    asked.get_by_role("button", name=text.CANCEL).click()
    editor.write(page, SCRIPT)
    editor.part(page, "config")
    editor.fill(page, ram_mib="256")
    editor.kept(page)
    page.locator("#save").click()
    expect(asked).to_contain_text(text.SAVE_NOTHING)
    asked.get_by_role("button", name=text.SAVE, exact=True).click()
    expect(page.get_by_text("No changes:")).to_be_visible(timeout=editor.SAVED_WITHIN_MS)


def test_a_file_that_is_too_long_is_refused_and_named(page: Page, template: str) -> None:
    editor.begin(page, routes.edit_template(template))
    editor.part(page, "files")
    answer = page.request.post(
        page.evaluate("document.querySelector('.upload') && location.origin") + "/api/drafts/none/files",
        data=b"x",
        headers={"Origin": page.evaluate("location.origin")},
    )
    assert answer.status == 404
    page.evaluate(
        """() => {
          const chosen = new DataTransfer();
          chosen.items.add(new File([new Uint8Array((16 << 20) + 1)], "huge.bin"));
          const input = document.querySelector("input[type=file][multiple]");
          input.files = chosen.files;
          input.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
    )
    expect(page.get_by_role("alert").filter(has_text="huge.bin")).to_be_visible()
    visit(page, routes.TEMPLATES)
