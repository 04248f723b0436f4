"""Import and export of templates in the browser: reports of imports, and exports equal to what was imported."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Download, Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.services.templates.model import Script, TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.sources.archive import export, read
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, visit

SCRIPT = Script("10-core.sh", "#!/bin/bash\necho one\n", 0, enabled=False)
UPLOAD_TIMEOUT_MS = 60_000


def template(name: str) -> TemplateContent:
    return TemplateContent(name, TemplateConfig(app=name, description=f"About {name}"), scripts=(SCRIPT,))


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    opened = new_page(storage_state=signed_in_as(), viewport={"width": 1440, "height": 900})
    visit(opened, f"{routes.TEMPLATES}?q=arch-")  # only this file's templates: the list has pages
    expect(opened.get_by_role("button", name=text.IMPORT_TEMPLATES, exact=True)).to_be_visible()
    return opened


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def send(page: Page, data: bytes, name: str = "mine.zip") -> None:
    """Import through the dialog, which stays open with its result."""
    page.get_by_role("button", name=text.IMPORT_TEMPLATES, exact=True).click()
    choose(page, data, name)
    dialog(page).get_by_role("button", name=text.IMPORT_WORDS["send"], exact=True).click()


def choose(page: Page, data: bytes, name: str) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    dialog(page).locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type] # a plain dict is one


def told(page: Page, words: str) -> None:
    expect(dialog(page).get_by_role("status")).to_have_text(words, timeout=UPLOAD_TIMEOUT_MS)


def close(page: Page) -> None:
    dialog(page).get_by_role("button", name=text.IMPORT_WORDS["close"], exact=True).click()
    expect(dialog(page)).to_have_count(0)


def line(page: Page, name: str) -> Locator:
    return page.locator("[data-line]").filter(has=page.get_by_role("link", name=name, exact=True))


def pick(page: Page, name: str) -> None:
    """Not with ``check``, which expects the tick at once: the server's answer comes over the websocket."""
    box = page.get_by_role("checkbox", name=f"{text.CHOOSE_TEMPLATE} {name}", exact=True)
    box.click()
    expect(box).to_be_checked()


def saved(page: Page, kind: str) -> tuple[str, bytes]:
    """Export through the open dialog; return the file's name and content."""
    dialog(page).get_by_role("radio", name=kind, exact=True).check()
    with page.expect_download() as downloading:
        dialog(page).get_by_role("button", name=text.EXPORT_WORDS["send"], exact=True).click()
    download: Download = downloading.value
    expect(dialog(page)).to_have_count(0)
    return download.suggested_filename, Path(download.path()).read_bytes()


def test_templates_are_imported_shown_and_exported_the_same_again(page: Page) -> None:
    first = export([template("arch-one"), template("arch-two")], "zip")
    send(page, first, "both.zip")
    told(page, "Imported both.zip")
    expect(dialog(page).get_by_role("listitem")).to_have_text(["arch-one", "arch-two"])
    assert accessibility_faults(page) == []
    keep_picture(page, "archive-imported")
    close(page)
    expect(line(page, "arch-one")).to_contain_text("imported")

    for name in ("arch-one", "arch-two"):
        pick(page, name)
    page.get_by_role("button", name=text.EXPORT_TEMPLATES, exact=True).click()
    expect(dialog(page)).to_contain_text("2 templates")
    assert accessibility_faults(page) == []
    assert saved(page, "zip") == ("templates.zip", first)

    line(page, "arch-one").get_by_role("link", name="arch-one", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("arch-one")
    page.get_by_role("button", name=text.EXPORT_TEMPLATES, exact=True).click()
    name, data = saved(page, "tar.gz")
    assert (name, [found.name for found in read(data).found]) == ("arch-one.tar.gz", ["arch-one"])


def test_the_same_again_changes_nothing_and_says_so(page: Page) -> None:
    data = export([template("arch-same")], "tar.gz")
    send(page, data, "same.tar.gz")
    told(page, "Imported same.tar.gz")
    dialog(page).get_by_role("button", name=text.IMPORT_WORDS["another"], exact=True).click()
    choose(page, data, "again.tar.gz")
    dialog(page).get_by_role("button", name=text.IMPORT_WORDS["send"], exact=True).click()
    told(page, "No changes: all templates of again.tar.gz are already here.")
    close(page)
    expect(line(page, "arch-same")).to_contain_text("r1")


def test_what_is_refused_is_named_by_member_and_line(page: Page) -> None:
    files = {
        "repo/arch-good/template.conf": b"TEMPLATE_APP=Good\n",
        "repo/arch-bad/template.conf": b"TEMPLATE_APP=Bad\nTEMPLATE_CPU=$(nproc)\n",
    }
    send(page, zipped(files), "repo.zip")
    told(page, "Imported repo.zip")
    refused = dialog(page).get_by_role("listitem").filter(has_text="would have to be computed by bash")
    expect(refused.locator("code")).to_have_text("repo/arch-bad/template.conf:2")
    keep_picture(page, "archive-refused")
    close(page)
    expect(line(page, "arch-good")).to_be_visible()
    expect(line(page, "arch-bad")).to_have_count(0)

    send(page, zipped({"../evil/template.conf": b""}), "evil.zip")
    told(page, "Nothing was imported from evil.zip.")
    expect(dialog(page).get_by_role("listitem")).to_have_text(re.compile("^../evil/template.conf leads out"))


def test_a_file_above_the_bound_is_not_even_sent(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    with large.open("wb") as file:
        file.truncate((64 << 20) + 1)
    page.get_by_role("button", name=text.IMPORT_TEMPLATES, exact=True).click()
    dialog(page).locator("input[type=file]").set_input_files(large)
    expect(dialog(page).get_by_role("alert")).to_have_text("large.zip is larger than 64 MiB")
    expect(dialog(page).get_by_role("button", name=text.IMPORT_WORDS["send"], exact=True)).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)


def test_who_may_not_change_templates_is_offered_no_import_and_may_export(
    new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    viewer = new_page(storage_state=signed_in_as("viewer@pve"), viewport={"width": 390, "height": 800})
    visit(viewer, f"{routes.TEMPLATES}?q=hello")
    pick(viewer, "hello")
    viewer.get_by_role("button", name=text.EXPORT_TEMPLATES, exact=True).click()
    expect(dialog(viewer)).to_contain_text("1 template")
    fits(viewer)
    assert saved(viewer, "zip")[0] == "hello.zip"
    expect(viewer.get_by_role("button", name=text.IMPORT_TEMPLATES, exact=True)).to_have_count(0)
