"""Helpers for the browser tests of shared buckets: stored buckets, and the parts of their page."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from playwright.sync_api import Locator, Page, expect
from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlmodel import col

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import PackageBucket, PackageManager, SourceKind, Template, TemplateRevision
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.format.packages import read_listing
from lxc_dashboard.services.templates.library.revisions import package_rows, revision_rows
from lxc_dashboard.services.templates.model import Bucket, TemplateConfig, TemplateContent
from lxc_dashboard.settings import Settings
from tests.e2e.conftest import visit
from tests.e2e.stack import Stack

MAKER = "tests/e2e/buckets"


def stored(stack: Stack, work: Callable[[Runtime], Awaitable[Any]]) -> Any:
    """Run ``work`` with the stack's database, in a thread: Playwright's loop blocks any other loop in this one."""
    found: list[Any] = []

    async def run() -> None:
        async with Runtime.open(Settings.load(stack.environ)) as rt:
            found.append(await work(rt))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()
    return found[0]


def made(stack: Stack, name: str, listing: str, *templates: str, manager: PackageManager = PackageManager.APT) -> str:
    """Store a bucket and custom templates that refer to it; return the bucket's id."""

    async def make(rt: Runtime) -> str:
        row = PackageBucket(name=name, manager=manager.value, listing=listing, updated_by="operator@pve")
        packages = read_listing(name, manager, listing).packages
        async with rt.db.transaction() as tx:
            await tx.buckets.add(row, package_rows(row.id, packages))
            source = await tx.templates.source("custom", SourceKind.CUSTOM, "")
            for wanted in templates:
                held = Bucket(name, manager, packages, row.id)
                content = TemplateContent(wanted, TemplateConfig(app=wanted), buckets=(held,))
                template = Template(source_id=source.id, name=wanted)
                await tx.templates.add([template])
                await tx.templates.add_revisions([revision_rows(template.id, 1, content, author=MAKER, note="")])
        return str(row.id)

    return str(stored(stack, make))


def revisions(stack: Stack, name: str) -> list[tuple[int, str, str]]:
    """Number, author and note of each revision of the template, newest first."""

    async def read(rt: Runtime) -> list[tuple[int, str, str]]:
        async with rt.db.transaction() as tx:
            (template,) = [rows.template for rows in await tx.templates.list() if rows.template.name == name]
            return [(r.number, r.author, r.note) for r in await tx.templates.revisions(template.id)]

    found: list[tuple[int, str, str]] = stored(stack, read)
    return found


def delete_all(stack: Stack) -> None:
    """Delete all buckets, and all templates that ``made`` created."""

    async def empty(rt: Runtime) -> None:
        async with rt.db.transaction() as tx:
            for bucket, _ in await tx.buckets.list():
                await tx.buckets.delete(bucket.id)
            mine = select(col(TemplateRevision.template_id)).where(col(TemplateRevision.author) == MAKER)
            await tx.session.execute(sql_delete(Template).where(col(Template.id).in_(mine)))

    stored(stack, empty)


def emptied(stack: Stack) -> Iterator[None]:
    """Delete all buckets before and after the test."""
    delete_all(stack)
    yield
    delete_all(stack)


def rename_table(stack: Stack, old: str, new: str) -> None:
    async def rename(rt: Runtime) -> None:
        async with rt.db.transaction() as tx:
            await tx.session.execute(sql(f"ALTER TABLE {old} RENAME TO {new}"))

    stored(stack, rename)


def listing(page: Page) -> Locator:
    return page.locator(".cm-content")


def write(page: Page, pasted: str) -> None:
    """Replace the whole list, as a paste does."""
    listing(page).click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(pasted)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=re.compile(f"^{re.escape(name)}"))


def open_bucket(page: Page, bucket_id: str, label: str) -> None:
    visit(page, routes.bucket(bucket_id))
    expect(page.get_by_role("heading", level=2, name=label)).to_be_visible()
    expect(listing(page)).to_have_attribute("aria-label", text.BUCKET_LIST.format(name=label))
    expect(button(page, text.BUCKET_SAVE)).to_be_visible()


def delete(page: Page, name: str) -> None:
    confirm_delete(page, name)
    expect(page.get_by_text(re.compile(f"^Deleted the bucket {name}"))).to_be_visible()


def confirm_delete(page: Page, name: str) -> None:
    button(page, text.BUCKET_DELETE).click()
    dialog = page.get_by_role("dialog")
    verb = dialog.get_by_role("button", name=text.BUCKET_DELETE)
    expect(verb).to_be_disabled()
    dialog.get_by_label(text.BUCKET_DELETE_ASK.format(name=name)).fill(name)
    verb.click()
