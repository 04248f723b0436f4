"""The template editor as a user operates it."""

from __future__ import annotations

import re
from uuid import UUID

from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import catalog, drafts
from lxc_dashboard.services.templates.model import TemplateContent
from tests.e2e.conftest import visit
from tests.e2e.job_runs import in_services
from tests.e2e.stack import Stack

KEPT_WITHIN_MS = 60_000
SHELLCHECK_WITHIN_MS = 60_000
SAVED_WITHIN_MS = 60_000


def field(page: Page, path: str) -> Locator:
    """The input of a config field, or of the name."""
    return page.locator(f'[data-field="{path}"]')


def labelled(page: Page, label: str) -> Locator:
    """The input with this label in the open part of the editor."""
    return page.locator("#editor").get_by_label(label, exact=True).locator("visible=true")


def fault(page: Page, path: str) -> Locator:
    return page.locator(f'[id="{path}-error"]')


def part(page: Page, name: str) -> None:
    page.locator(".editor-tab", has_text=text.EDITOR_PARTS[name]).click()
    expect(page.locator(".editor-tab.current")).to_contain_text(text.EDITOR_PARTS[name])


def begin(page: Page, address: str = routes.TEMPLATE_NEW) -> None:
    visit(page, address)
    expect(page.locator(".editor-tabs")).to_be_visible()


def fill(page: Page, **config: str) -> None:
    for name, value in config.items():
        field(page, "name" if name == "name" else f"config.{name}").fill(value)


def write(page: Page, content: str) -> None:
    """Replace the content of the open editor by typing."""
    editor = page.locator(".code-editor .cm-content").locator("visible=true")
    editor.click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(content)


def paste(page: Page, content: str) -> None:
    """Replace the content of the open editor by pasting, as a user does with a long text."""
    editor = page.locator(".code-editor .cm-content").locator("visible=true")
    editor.click()
    page.keyboard.press("ControlOrMeta+A")
    editor.evaluate(
        """(node, pasted) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", pasted);
          node.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
        }""",
        content,
    )


def kept_at(page: Page) -> str:
    """The time at which the draft was stored, as the page shows it."""
    return page.locator("#draft-kept time").get_attribute("datetime") or ""


def kept(page: Page, *, since: str = "") -> None:
    """Wait until the draft holds what was typed. ``since``: the time of the previous store, if there was one."""
    page.locator("h1").click()
    expect(page.locator("#draft-kept")).to_have_text(re.compile("^Draft stored "), timeout=KEPT_WITHIN_MS)
    if since:
        expect(page.locator("#draft-kept time")).not_to_have_attribute("datetime", since, timeout=KEPT_WITHIN_MS)


def save(page: Page, note: str = "") -> str:
    """Save through the dialog that shows the changes; return the template's id."""
    page.locator("#save").click()
    dialog = page.get_by_role("dialog", name=re.compile("^Save "))
    expect(dialog).to_be_visible(timeout=SAVED_WITHIN_MS)
    dialog.get_by_label(text.SAVE_NOTE).fill(note)
    dialog.get_by_role("button", name=text.SAVE, exact=True).click()
    page.wait_for_url(re.compile(r"/templates/[0-9a-f-]{36}$"), timeout=SAVED_WITHIN_MS)
    return page.url.rpartition("/")[2]


def scripts(page: Page) -> Locator:
    return page.locator("ol.entries .entry-name")


def without_drafts(stack: Stack, page: Page) -> None:
    """Discard the drafts of earlier tests."""

    async def discard(rt: Runtime, session: Session) -> None:
        for draft in await drafts.list_drafts(rt, session):
            await drafts.discard(rt, session, draft.id)

    in_services(stack, page, discard)


def current(stack: Stack, page: Page, template_id: str) -> TemplateContent:
    """The content of the template's current revision."""

    async def read(rt: Runtime, session: Session) -> TemplateContent:
        detail = await catalog.get_template(session, rt.db, UUID(template_id))
        return (await catalog.get_revision(session, rt.db, detail.summary.revision_id)).content

    return in_services(stack, page, read)


def id_of(stack: Stack, page: Page, name: str) -> str:
    async def find(rt: Runtime, session: Session) -> str:
        return next(str(found.id) for found in await catalog.list_templates(session, rt.db) if found.name == name)

    return in_services(stack, page, find)
