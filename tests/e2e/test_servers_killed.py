"""Valkey and PostgreSQL are killed under open pages and return: pages say so, keep what was typed, and recover."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.templates.sources import sync
from lxc_dashboard.settings import Settings
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, visit
from tests.e2e.followed import BEGUN, check_not_reloaded, mark, printing
from tests.e2e.job_runs import NODE, RUN_MS, begin, in_services, let_go, line, state, vmid_of, write_template
from tests.e2e.servers import POSTGRES, VALKEY, MortalServers
from tests.e2e.stack import Stack, running_stack

pytestmark = pytest.mark.full

# How long a page may take to recover, on a busy machine.
RECOVERY_MS = 60_000
LINES = 100

Opened = Callable[[str], Page]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalServers]:
    with MortalServers(tmp_path_factory.mktemp("servers")) as mortal:
        yield mortal


@pytest.fixture(scope="module")
def stack(servers: MortalServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, as these tests kill its servers."""
    with running_stack(tmp_path_factory.mktemp("mortal"), servers=servers.urls) as running:
        yield running


@pytest.fixture
def opened(new_page: NewPage, signed_in_as: SignedInAs, stack: Stack) -> Opened:
    """Opens tabs of root@pam on pages of ``stack``."""
    known = signed_in_as()

    def on(path: str) -> Page:
        page = new_page(storage_state=known)
        visit(page, path)
        return page

    assert stack.port
    return on


# Recorded in the page: a page that loads after the failure does not show it.
AWAY_IS_NOTED = """() => {
  window.toldAway = false;
  const look = () => { window.toldAway = window.toldAway || Boolean(document.querySelector(".away")?.textContent); };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def away(page: Page) -> None:
    """Wait until the page shows the failure in words."""
    expect(page.locator(".away", has_text=text.AWAY)).to_be_visible(timeout=RECOVERY_MS)


def back(page: Page) -> None:
    expect(page.locator(".away", has_text=text.AWAY)).to_have_count(0, timeout=RECOVERY_MS)


def appear(stack: Stack, folder: Path, name: str) -> None:
    """Add a new template while Valkey is away."""
    write_template(folder, name, {"10-late.sh": "true\n"})

    async def read() -> None:
        async with Runtime.open(Settings.load(stack.environ)) as rt:
            assert (await sync.sync_folders(rt.db, [(name, folder)]))[0].added == (name,)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(read())).result()


def check_typed_is_kept(typing: Page) -> None:
    """Check the wizard's fields, and again after going forth and back."""
    expect(typing.locator("#hostname")).to_have_value("typed-meanwhile")
    expect(typing.locator("#memory_mib")).to_have_value("777")
    stands_at = typing.locator("#step-configure, #step-packages").locator("visible=true")
    expect(stands_at).to_have_count(1)
    if stands_at.get_attribute("id") == "step-configure":  # only without PostgreSQL may it have gone on
        wizard.forward(typing, "packages")
    typing.get_by_role("button", name=text.BACK).click()
    expect(wizard.step(typing, "configure")).to_be_visible()
    expect(typing.locator("#hostname")).to_have_value("typed-meanwhile")


def check_stop_is_shown(stack: Stack, page: Page, hostname: str) -> None:
    """Stop a container and wait until the list shows it."""
    row = page.locator("[data-vmid]", has_text=hostname)
    expect(row).to_have_attribute("data-status", "running", timeout=RECOVERY_MS)
    guest = Guest(int(row.get_attribute("data-vmid") or 0), NODE, name=hostname)
    in_services(stack, page, lambda rt, session: request(rt, session, Power.STOP.act, guest))
    expect(row).to_have_attribute("data-status", "stopped", timeout=RECOVERY_MS)


@pytest.mark.parametrize("name", [VALKEY, POSTGRES])
@pytest.mark.timeout(900)
def test_open_pages_go_on_by_themselves_when_a_server_is_back(
    opened: Opened, servers: MortalServers, stack: Stack, tmp_path: Path, name: str
) -> None:
    containers = opened(routes.CONTAINERS)
    job_id = begin(stack, containers, tmp_path, {"10-prints.sh": printing(LINES)}, hostname=f"{name}-killed")
    job, typing, going = opened(routes.job(job_id)), opened(routes.CREATE), opened(routes.DASHBOARD)
    wizard.start(typing, "hello")
    expect(line(job, BEGUN)).to_be_visible(timeout=RUN_MS)
    expect(containers.get_by_role("link", name=f"{name}-killed", exact=True)).to_be_visible()
    pages = (containers, job, typing, going)
    for page in pages:
        mark(page)
    let_go(stack, vmid_of(stack, containers, job_id))

    servers.kill(name)
    wizard.fill(typing, hostname="typed-meanwhile", memory_mib="777")
    typing.locator("#forward").click()
    going.get_by_role("link", name=text.NAV_TEMPLATES).first.click()
    away(going)
    if name == VALKEY:
        away(typing)
        away(containers)
    late = opened(routes.JOBS)
    expect(late.locator("body")).to_contain_text(text.AWAY_AGAIN if name == VALKEY else text.AWAY)
    servers.revive()

    for page in (*pages, late):
        back(page)
    expect(going.get_by_role("link", name="hello", exact=True)).to_be_visible(timeout=RECOVERY_MS)
    expect(late.get_by_role("link", name=f"{name}-killed", exact=True)).to_be_visible(timeout=RECOVERY_MS)
    check_typed_is_kept(typing)
    expect(state(job)).to_have_text("Ready", timeout=2 * RUN_MS)
    expect(line(job, f"line {LINES}")).to_be_visible(timeout=RECOVERY_MS)
    job.get_by_label("Search the log").fill("line 1")
    expect(job.locator(".log-found")).to_have_text(f"1 of {1 + 10 + 1}")  # line 1, lines 10 to 19, line 100
    check_stop_is_shown(stack, containers, f"{name}-killed")
    expect(containers.locator("main")).not_to_contain_text("does not answer")
    for page in pages:
        check_not_reloaded(page)


def test_a_list_of_an_earlier_visit_is_read_again_when_valkey_is_back(
    opened: Opened, servers: MortalServers, stack: Stack, tmp_path: Path
) -> None:
    page = opened(routes.TEMPLATES)
    known = page.get_by_role("link", name="hello", exact=True)
    expect(known).to_be_visible()
    page.get_by_role("link", name=text.NAV_DASHBOARD).first.click()
    expect(page.locator("h1")).to_have_text(text.DASHBOARD_TITLE)
    servers.kill(VALKEY)
    page.get_by_role("link", name=text.NAV_TEMPLATES).first.click()
    away(page)
    expect(known).to_be_visible()
    appear(stack, tmp_path, "aa-late")
    servers.revive()
    back(page)
    expect(page.get_by_role("link", name="aa-late", exact=True)).to_be_visible(timeout=RECOVERY_MS)
    expect(known).to_be_visible()
    page.evaluate(AWAY_IS_NOTED)
    page.get_by_role("link", name=text.NAV_DASHBOARD).first.click()
    expect(page.locator("h1")).to_have_text(text.DASHBOARD_TITLE)
    expect(page.locator(".figures")).to_be_visible()
    assert not page.evaluate("window.toldAway")
