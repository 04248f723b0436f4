"""Sources of templates in a browser: added, read, changed, vanished, removed; an SSH host key is confirmed once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from tests import git_servers
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, reload, visit
from tests.e2e.page_wire import PageWire
from tests.e2e.screens import SIZES
from tests.e2e.stack import Stack
from tests.git_servers import Repository, SshGit, ssh_git

# Unique names: templates of a removed source may stay in the list during the next test.
WEB = {f"from-git-{path}": content for path, content in git_servers.WEB.items()}
BAD = {"bad/template.conf": "TEMPLATE_APP=bad\nTEMPLATE_CPU=$(nproc)\n"}
# A process reads each repository, which takes long on a busy machine.
READ_TIMEOUT_MS = 60_000
HOOK = "planted-hook-secret-0815"


@pytest.fixture
def root(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for repositories, in the folder that the stack allows for file://."""
    root = stack.folder / "git" / re.sub(r"\W", "-", request.node.name)
    root.mkdir(parents=True)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def repository(root: Path) -> Repository:
    repository = Repository(root / "recipes.git")
    repository.commit(WEB | BAD)
    return repository


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


@contextlib.contextmanager
def ssh_server(root: Path) -> Iterator[SshGit]:
    """In a thread: Playwright's loop blocks any other loop in this one."""
    started: list[SshGit] = []
    ready, ending = threading.Event(), threading.Event()

    async def serve() -> None:
        async with ssh_git(root) as git:
            started.append(git)
            ready.set()
            await asyncio.to_thread(ending.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield started[0]
    finally:
        ending.set()
        thread.join()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def submit(page: Page, verb: str = text.SOURCE_ADD) -> None:
    page.get_by_role("button", name=verb, exact=True).click()


def add(page: Page, name: str, location: str) -> None:
    visit(page, routes.source("new"))
    page.get_by_label(text.SOURCE_NAME, exact=True).fill(name)
    page.get_by_label(text.SOURCE_ADDRESS).fill(location)
    submit(page)


def add_after_a_slip(page: Page, repository: Repository) -> None:
    """Add the source from the list of templates, first with an invalid address: the form keeps what was typed."""
    visit(page, routes.TEMPLATES)
    page.get_by_role("link", name=text.SOURCES, exact=True).click()
    expect(row(page, "shipped")).to_contain_text(text.SOURCE_STATES["ok"])
    page.get_by_role("link", name=text.SOURCE_ADD).click()
    page.get_by_label(text.SOURCE_NAME, exact=True).fill("team")
    page.get_by_label(text.SOURCE_ADDRESS).fill("http://git.example.org/recipes")
    page.get_by_label(text.SOURCE_REF).fill("main")
    submit(page)
    expect(page.get_by_text("must begin with https://")).to_be_visible(timeout=READ_TIMEOUT_MS)
    expect(page.get_by_label(text.SOURCE_NAME, exact=True)).to_have_value("team")
    page.get_by_label(text.SOURCE_ADDRESS).fill(f"file://{repository.path}")
    page.get_by_label(text.SOURCE_HOOKS).select_option("secret")
    page.get_by_label(text.SOURCE_HOOK_SECRET).fill(HOOK)
    submit(page)


def remove(page: Page, name: str) -> None:
    page.get_by_role("button", name=text.SOURCE_REMOVE, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(f"Type {name} to confirm").fill(name)
    dialog.get_by_role("button", name=text.SOURCE_REMOVE).click()


def test_a_source_from_its_adding_to_its_removing(page: Page, repository: Repository) -> None:
    add_after_a_slip(page, repository)
    expect(page.get_by_text("Read team: 1 added, 0 changed, 0 removed, 1 refused")).to_be_visible(
        timeout=READ_TIMEOUT_MS
    )
    expect(row(page, "team")).to_contain_text("1 refused")
    expect(page.get_by_text("bad/template.conf:2")).to_be_visible()
    expect(page.get_by_text(f"{routes.WEBHOOKS}/templates/")).to_be_visible()
    assert HOOK not in page.content()
    keep_picture(page, "sources-webhook")

    repository.commit(WEB | {"from-git-web/container-configs/packages/base.apt": "nginx\ncurl\n"})
    page.get_by_role("button", name="Sync now team").click()
    expect(page.get_by_text("Read team: 0 added, 1 changed, 0 removed, 0 refused")).to_be_visible(
        timeout=READ_TIMEOUT_MS
    )
    expect(row(page, "team")).to_contain_text(text.SOURCE_STATES["ok"])

    every, told = list(text.SOURCE_SCHEDULES.items())[-1]
    page.get_by_role("button", name=text.SOURCE_CHANGE, exact=True).click()
    expect(page.get_by_role("button", name=text.SOURCE_SAVE)).to_be_visible()
    expect(page.locator(".button.primary")).to_have_text([text.SOURCE_SAVE])
    page.get_by_label(text.SOURCE_SCHEDULE).select_option(every)
    submit(page, text.SOURCE_SAVE)
    facts = page.get_by_role("region", name="team").locator(".facts").first
    expect(facts).to_contain_text(told, timeout=READ_TIMEOUT_MS)
    expect(page.get_by_role("button", name="Sync now team")).to_be_enabled(timeout=READ_TIMEOUT_MS)

    repository.path.rename(repository.path.with_name("away.git"))
    page.get_by_role("button", name="Sync now team").click()
    expect(row(page, "team")).to_contain_text("1 of 1 missing", timeout=READ_TIMEOUT_MS)
    expect(page.get_by_role("region", name="team").get_by_text("There is no repository in this folder")).to_be_visible()

    remove(page, "team")
    expect(page.get_by_text("Removed team and 1 of its templates")).to_be_visible()
    expect(row(page, "team")).to_have_count(0)


def test_the_key_of_an_ssh_server_is_shown_and_pinned_with_the_second_press(page: Page, repository: Repository) -> None:
    with ssh_server(repository.path.parent) as git:
        visit(page, routes.source("new"))
        page.get_by_label(text.SOURCE_NAME, exact=True).fill("by-ssh")
        page.get_by_label(text.SOURCE_ADDRESS).fill(git.url("recipes.git"))
        page.get_by_label(text.SOURCE_ACCESS).select_option("key")
        submit(page)
        expect(page.get_by_text("is required: SSH uses a key")).to_be_visible()
        page.get_by_label(text.SOURCE_KEY).fill(git.private_key)
        expect(page.get_by_label(text.SOURCE_KEY)).to_have_value(git.private_key)
        submit(page)
        expect(page.get_by_text(f"SSH host key of localhost:{git.port}")).to_be_visible(timeout=READ_TIMEOUT_MS)
        expect(page.get_by_text(re.compile("SHA256:"))).to_be_visible()
        assert git.commands == []
        assert accessibility_faults(page) == []
        keep_picture(page, "sources-pin")
        submit(page, text.SOURCE_PIN)
        expect(page.get_by_text("Read by-ssh: 1 added")).to_be_visible(timeout=READ_TIMEOUT_MS)
        expect(page.get_by_text(text.SOURCE_OPENED_WITH["key"])).to_be_visible()
        # The form never shows the stored secret.
        page.get_by_role("button", name=text.SOURCE_CHANGE, exact=True).click()
        expect(page.get_by_label(text.SOURCE_ACCESS)).to_have_value("keep")
        assert "PRIVATE KEY" not in page.content()
        page.get_by_label(text.SOURCE_SCHEDULE).select_option("3600")
        submit(page, text.SOURCE_SAVE)
        expect(page.get_by_text("Changed by-ssh")).to_be_visible(timeout=READ_TIMEOUT_MS)
        expect(page.get_by_role("region", name="by-ssh").get_by_text("Every hour")).to_be_visible()


def test_what_is_typed_into_the_form_outlasts_a_connection_that_breaks(page: Page) -> None:
    wire = PageWire(page)
    visit(page, routes.source("new"))
    page.get_by_label(text.SOURCE_NAME, exact=True).fill("half-typed")
    page.get_by_label(text.SOURCE_ACCESS).select_option("password")
    page.get_by_label(text.SOURCE_PASSWORD, exact=True).fill(HOOK)
    submit(page)
    told = page.locator("#location-error")
    expect(told).not_to_be_empty()
    wire.cut()
    page.get_by_label(text.SOURCE_REF).fill("main")
    expect(page.get_by_label(text.SOURCE_NAME, exact=True)).to_have_value("half-typed")
    expect(page.get_by_label(text.SOURCE_PASSWORD, exact=True)).to_have_value(HOOK)
    expect(told).not_to_be_empty()


def test_a_signed_push_is_read_by_the_worker(page: Page, stack: Stack, repository: Repository) -> None:
    visit(page, routes.source("new"))
    page.get_by_label(text.SOURCE_NAME, exact=True).fill("pushed")
    page.get_by_label(text.SOURCE_ADDRESS).fill(f"file://{repository.path}")
    page.get_by_label(text.SOURCE_HOOKS).select_option("secret")
    page.get_by_label(text.SOURCE_HOOK_SECRET).fill(HOOK)
    submit(page)
    expect(page.get_by_text("Read pushed: 1 added")).to_be_visible(timeout=READ_TIMEOUT_MS)
    address = page.get_by_text(f"{stack.url}{routes.WEBHOOKS}/templates/").inner_text()
    repository.commit(WEB | {"from-git-db/template.conf": "TEMPLATE_APP=db\n"})
    proof = hmac.new(HOOK.encode(), b"{}", hashlib.sha256).hexdigest()
    answer = httpx.post(address, content=b"{}", headers={"X-Hub-Signature-256": f"sha256={proof}"}, timeout=30)
    assert answer.status_code == 202
    deadline = time.monotonic() + READ_TIMEOUT_MS / 1000
    while row(page, "pushed").get_by_text(text.SOURCE_STATES["ok"], exact=True).count() == 0:
        assert time.monotonic() < deadline
        reload(page)
        expect(row(page, "pushed")).to_be_visible()
    expect(page.get_by_role("region", name="pushed").get_by_text("from-git-db", exact=True)).to_be_visible()


def test_who_may_not_author_looks_and_changes_nothing(
    page: Page, repository: Repository, new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    add(page, "seen", f"file://{repository.path}")
    expect(page.get_by_text("Read seen:")).to_be_visible(timeout=READ_TIMEOUT_MS)
    viewer = new_page(storage_state=signed_in_as("viewer@pve"))
    visit(viewer, routes.SOURCES)
    row(viewer, "seen").get_by_role("link").click()
    expect(viewer.get_by_text(text.SOURCE_READ_ONLY)).to_be_visible()
    expect(viewer.get_by_text("bad/template.conf:2")).to_be_visible()
    for verb in (text.SOURCE_SYNC, text.SOURCE_CHANGE, text.SOURCE_REMOVE):
        expect(viewer.get_by_role("button", name=verb)).to_have_count(0)
    expect(viewer.get_by_role("link", name=text.SOURCE_ADD)).to_have_count(0)


@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_for_everybody_at_every_width(
    new_page: NewPage, signed_in_as: SignedInAs, repository: Repository, size: str
) -> None:
    page = new_page(storage_state=signed_in_as(), viewport=SIZES[size])
    add(page, f"wide-{size}", f"file://{repository.path}")
    expect(page.get_by_text(f"Read wide-{size}:")).to_be_visible(timeout=READ_TIMEOUT_MS)
    assert accessibility_faults(page) == []
    keep_picture(page, f"sources-{size}")
    fits(page)
    visit(page, routes.source("new"))
    page.get_by_label(text.SOURCE_ACCESS).select_option("password")
    expect(page.get_by_label(text.SOURCE_PASSWORD, exact=True)).to_be_visible()
    assert accessibility_faults(page) == []
    keep_picture(page, f"sources-form-{size}")
    fits(page)


def test_a_source_that_is_gone_is_told(page: Page) -> None:
    visit(page, routes.source("01a20ac9-09fe-7108-a38a-673353762100"))
    expect(page.get_by_text(text.SOURCE_GONE)).to_be_visible()
