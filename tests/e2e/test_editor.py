"""The template editor: a new template up to its container, a copy of a shipped one, and errors beside their fields."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import editor, wizard
from tests.e2e.conftest import NewPage, SignedInAs, keep_picture, visit
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack

BINARY = bytes(range(256)) * 64


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack) -> Page:
    opened = new_page(storage_state=signed_in_as())
    editor.without_drafts(stack, opened)
    return opened


@pytest.fixture
def name() -> str:
    return f"e2e-{secrets.token_hex(4)}"


def add_a_script(page: Page) -> None:
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    editor.labelled(page, text.SCRIPT_FIELDS["name"][0]).fill("20-mark.sh")
    editor.labelled(page, text.SCRIPT_FIELDS["description"][0]).fill("Leaves a mark")
    editor.write(page, '#!/bin/bash\nset -euo pipefail\necho "made by $CONTAINER_OS" > /opt/mark\n')


def add_files(page: Page, folder: Path) -> None:
    """Add a typed file and a binary one."""
    editor.part(page, "files")
    page.get_by_role("button", name=text.FILE_ADD_TEXT).click()
    editor.labelled(page, text.FILE_FIELDS["name"][0]).fill("hello.conf")
    editor.labelled(page, text.FILE_FIELDS["target_dir"][0]).fill("/etc")
    editor.labelled(page, text.FILE_FIELDS["mode"][0]).fill("0600")
    editor.write(page, "greeting = kept as it was typed\n")
    binary = folder / "blob.bin"
    binary.write_bytes(BINARY)
    page.locator("input[type=file][multiple]").set_input_files(binary)
    expect(page.get_by_text(text.FILE_BINARY)).to_be_visible()
    editor.labelled(page, text.FILE_FIELDS["target_dir"][0]).fill("/opt")


def test_a_template_made_from_nothing_makes_a_container(page: Page, stack: Stack, tmp_path: Path, name: str) -> None:
    editor.begin(page)
    editor.fill(
        page, name=name, app="From nothing", tags="made;here", ram_mib="256", disk_gib="2", os="debian", version="13"
    )
    add_a_script(page)
    add_files(page, tmp_path)
    editor.kept(page)
    keep_picture(page, "editor-files")
    template_id = editor.save(page, "The first one")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    content = editor.current(stack, page, template_id)
    assert [script.name for script in content.scripts] == ["20-mark.sh"]
    assert content.scripts[0].description == "Leaves a mark"
    files = {file.name: file for file in content.files}
    assert files["blob.bin"].content == BINARY
    assert (files["hello.conf"].content, files["hello.conf"].mode) == (b"greeting = kept as it was typed\n", 0o600)

    wizard.start(page, name)
    wizard.fill(page, hostname=name)
    wizard.to_review(page)
    wizard.create(page)
    vmid = wizard.vmid_when_ready(page, name)
    found = NodeSide(stack).run(
        vmid, "cat /opt/mark /etc/hello.conf; stat -c %a /etc/hello.conf; sha256sum < /opt/blob.bin"
    )
    assert found.split("\n")[:3] == ["made by debian", "greeting = kept as it was typed", "600"]
    assert hashlib.sha256(BINARY).hexdigest() in found


def test_a_copy_of_a_shipped_template_is_edited_and_the_shipped_one_stays(page: Page, stack: Stack, name: str) -> None:
    shipped = editor.id_of(stack, page, "nginx-web")
    before = editor.current(stack, page, shipped)
    editor.begin(page, routes.new_template(shipped))
    expect(editor.field(page, "config.app")).to_have_value(before.config.app)
    editor.fill(page, name=name, cpu="3")
    editor.part(page, "packages")
    lines = editor.labelled(page, "Packages of base.apt")
    lines.fill(lines.input_value() + "\nhtop # to look around")
    editor.kept(page)
    template_id = editor.save(page)
    copy = editor.current(stack, page, template_id)
    assert copy.config.cpu == 3
    assert [package.spec for package in copy.buckets[0].packages][-1] == "htop"
    assert [script.content for script in copy.scripts] == [script.content for script in before.scripts]
    assert [(file.name, file.content) for file in copy.files] == [(file.name, file.content) for file in before.files]
    assert editor.current(stack, page, shipped) == before


def test_a_template_of_a_folder_cannot_be_edited_itself(page: Page, stack: Stack) -> None:
    visit(page, routes.edit_template(editor.id_of(stack, page, "hello")))
    expect(page.get_by_role("alert")).to_contain_text("Edit a copy")


def test_scripts_are_put_in_order_by_keyboard_and_what_moved_is_told(page: Page, stack: Stack, name: str) -> None:
    editor.begin(page, routes.new_template(editor.id_of(stack, page, "nginx-web")))
    editor.part(page, "scripts")
    expect(editor.scripts(page)).to_have_text(["00-check.sh", "40-site.sh", "70-start.sh", "90-verify.sh"])
    page.get_by_role("button", name="70-start.sh", exact=True).focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(editor.scripts(page).nth(1)).to_have_text(re.compile("start.sh"))
    expect(page.get_by_role("button", name=re.compile(r"^\d+-start\.sh"))).to_be_focused()
    expect(page.get_by_text("is now 2 of 4")).to_be_attached()
    page.keyboard.press("Alt+ArrowDown")
    expect(editor.scripts(page).nth(2)).to_have_text(re.compile("start.sh"))
    page.get_by_role("button", name=f"{text.MOVE_UP} 90-verify.sh").click()
    expect(editor.scripts(page).nth(2)).to_have_text(re.compile("verify.sh"))
    order = [found.split("-")[1] for found in editor.scripts(page).all_inner_texts()]
    page.locator("ol.entries .entry-row").nth(0).drag_to(page.locator("ol.entries .entry-row").nth(3))
    moved = [*order[1:], order[0]]
    expect(editor.scripts(page)).to_have_text([re.compile(rf"^\d+-{re.escape(name)}$") for name in moved])
    editor.part(page, "config")
    editor.fill(page, name=name)
    editor.kept(page)
    saved = editor.current(stack, page, editor.save(page))
    assert [script.name.split("-")[1] for script in saved.scripts] == moved


def test_who_types_on_while_the_file_is_called_otherwise_loses_nothing(page: Page) -> None:
    editor.begin(page)
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    editor.write(page, "#!/bin/bash\n")
    code = page.locator(".cm-content").locator("visible=true")
    editor.labelled(page, text.SCRIPT_FIELDS["name"][0]).fill("30-other.sh")
    code.click()
    expect(code).to_have_attribute("aria-label", "30-other.sh")
    expect(code).to_be_focused()
    page.keyboard.insert_text("echo typed on")
    expect(code).to_contain_text("echo typed on")


def test_shellcheck_speaks_beside_the_lines_as_one_types(page: Page) -> None:
    editor.begin(page)
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    editor.write(page, "#!/bin/bash\necho fine\nrm -rf $HOME/$1\nif true; then\n")
    finding = page.locator(".findings li", has_text="SC2086")
    expect(page.locator(".findings li").first).to_be_visible(timeout=editor.SHELLCHECK_WITHIN_MS)
    expect(page.locator(".cm-lint-marker").first).to_be_visible()
    editor.write(page, "#!/bin/bash\necho fine\nrm -rf $HOME/$1\n")
    expect(finding.first).to_be_visible(timeout=editor.SHELLCHECK_WITHIN_MS)
    keep_picture(page, "editor-shellcheck")
    finding.first.get_by_role("button", name=text.LINT_LINE.format(line=3)).click()
    expect(page.locator(".cm-activeLine")).to_have_text("rm -rf $HOME/$1")
    editor.write(page, "#!/bin/bash\necho fine\n")
    expect(page.get_by_text(text.LINT_NONE)).to_be_visible(timeout=editor.SHELLCHECK_WITHIN_MS)
    expect(page.locator(".cm-lint-marker")).to_have_count(0)


def test_a_save_says_first_what_the_checks_find(page: Page, name: str) -> None:
    editor.begin(page)
    editor.fill(page, name=name, app="Leaky")
    editor.part(page, "scripts")
    page.get_by_role("button", name=text.SCRIPT_ADD).click()
    editor.write(page, '#!/bin/bash\nexport PASSWORD="hunter2-and-more"\n')
    page.locator("#save").click()
    asked = page.get_by_role("dialog")
    found = asked.locator(".findings li", has_text="password").first
    expect(found).to_contain_text(".sh:2", timeout=editor.SAVED_WITHIN_MS)
    keep_picture(page, "editor-save-findings")


def test_each_fault_stands_beside_its_field_and_nothing_typed_is_lost(page: Page, name: str) -> None:
    editor.begin(page)
    editor.fill(page, name="not a name", app="Faulty", cpu="many", tags="good;b@d")
    expect(editor.fault(page, "config.cpu")).to_contain_text("whole number of cores")
    expect(editor.fault(page, "config.tags")).not_to_be_empty()
    editor.part(page, "packages")
    page.get_by_role("button", name=text.PACKAGES_ADD_LIST).click()
    lines = editor.labelled(page, "Packages of packages.apt")
    lines.fill("nginx\ntwo words\n--purge")
    lines.blur()
    expect(page.locator("#editor .field-error", has_text="Line 2")).to_contain_text("Line 3")
    page.locator("#save").click()
    expect(page.locator(".editor-tab.current")).to_contain_text(text.EDITOR_PARTS["config"])
    expect(editor.fault(page, "name")).not_to_be_empty()
    for marked in ("config", "packages"):
        expect(page.locator(".editor-tab", has_text=text.EDITOR_PARTS[marked])).to_contain_text("!")
    expect(editor.field(page, "config.cpu")).to_have_value("many")
    keep_picture(page, "editor-faults")
    editor.fill(page, name=name, cpu="2", tags="good")
    expect(editor.fault(page, "name")).to_be_empty()
    editor.part(page, "packages")
    expect(lines).to_have_value("nginx\ntwo words\n--purge")
    lines.fill("nginx")
    editor.kept(page)
    editor.save(page)


def test_without_the_privilege_the_page_says_which_one(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(page, routes.TEMPLATE_NEW)
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("VM.Allocate")
    expect(refused).to_contain_text("/vms")
    expect(page.locator("#save")).to_have_count(0)
    keep_picture(page, "editor-forbidden")
