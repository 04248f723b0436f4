"""A container's console in a browser: opened from the list, typed into, and notified when the container stops."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from lxc_dashboard import routes, text
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from tests.e2e import job_runs
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, until, visit
from tests.e2e.job_runs import RUN_MS, in_services
from tests.e2e.stack import Stack

# The screen leaves space only for the words below it and the status line.
AS_HIGH_AS_CAN_BE = """screen => document.documentElement.scrollHeight <= innerHeight
  && innerHeight - screen.getBoundingClientRect().bottom < 120"""
ANSWERS_MS = 60_000
LOOK_MS = 100
SOON_OVER_S = 600
LINES_WHOLE = """screen =>
  screen.querySelector(".xterm-screen").getBoundingClientRect().bottom <= screen.getBoundingClientRect().bottom"""


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def made(stack: Stack, page: Page, hostname: str) -> int:
    """Create and start a container whose console is a shell; return its vmid."""

    async def request(rt: Runtime, session: Session) -> tuple[str, int]:
        client = await acting.client(rt, session)
        volumes = await client.storage.content("pve1", "local", "vztmpl")
        job = await service.request(rt, session, ContainerSpec("pve1", volumes[0].volid, hostname, "local-lvm"))
        return str(job), (await service.get_job(rt, session, job)).vmid

    async def shell(rt: Runtime, session: Session) -> None:
        client = await acting.client(rt, session)
        await client.tasks.wait(await client.lxc.stop("pve1", vmid))
        await client.lxc.set_config("pve1", vmid, {"cmode": "shell"})
        await client.tasks.wait(await client.lxc.start("pve1", vmid))

    job, vmid = in_services(stack, page, request)
    visit(page, routes.job(job))
    expect(job_runs.state(page)).to_have_text(text.JOB_STATES["done"], timeout=RUN_MS)
    in_services(stack, page, shell)
    return vmid


def left_s(page: Page, stack: Stack, expire_s: int = 0) -> int:
    """Seconds until the page's unused session expires. ``expire_s``: set it to this first."""
    cookie = next(cookie for cookie in page.context.cookies() if cookie["name"] == sessions.COOKIE_NAME)
    key = sessions._identity_key(sessions.key_of(cookie["value"]))
    with Redis.from_url(stack.environ["REDIS_URL"]) as redis, redis.pipeline() as at_once:
        if expire_s:
            at_once.expire(key, expire_s)
        return int(at_once.ttl(key).execute()[-1])


def soon_over(page: Page, stack: Stack) -> None:
    assert left_s(page, stack, SOON_OVER_S) <= SOON_OVER_S


def until_used(page: Page, stack: Stack) -> None:
    while left_s(page, stack) <= SOON_OVER_S:
        page.wait_for_timeout(LOOK_MS)


def test_a_console_is_opened_from_its_job_and_typed_into(page: Page, stack: Stack) -> None:
    vmid = made(stack, page, "console-01")
    page.get_by_role("link", name=text.OPEN_CONSOLE).click()
    expect(page).to_have_url(f"{stack.url}{routes.console(vmid)}")
    expect(page.get_by_text(text.CONSOLE_WORDS["open"])).to_be_visible(timeout=ANSWERS_MS)
    soon_over(page, stack)
    page.keyboard.type("echo $((6*7))th answer\n")
    screen = page.locator(".xterm-accessibility-tree")
    expect(screen).to_contain_text("42th answer", timeout=ANSWERS_MS)
    until_used(page, stack)
    keep_picture(page, "console")
    assert accessibility_faults(page) == []
    page.keyboard.press("Control+Shift+KeyX")
    expect(page.get_by_role("button", name=text.CONSOLE_WORDS["again"])).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(text.CONSOLE_WORDS["open"])).to_be_visible(timeout=ANSWERS_MS)
    page.set_viewport_size({"width": 390, "height": 844})
    keep_picture(page, "console-phone")
    fits(page)
    until(page, lambda: page.locator(".console-screen").evaluate(LINES_WHOLE), "the last line is cut off")
    for width, height in ((390, 844), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        until(page, lambda: page.locator(".console-screen").evaluate(AS_HIGH_AS_CAN_BE), "it ends elsewhere")
    page.evaluate("() => { window.WebSocket = class { close() {} }; }")
    again = page.get_by_role("button", name=text.CONSOLE_WORDS["again"])
    again.press("Enter")
    expect(page.locator(".console-bar [role=status]")).to_have_text(text.CONSOLE_WORDS["connecting"])
    expect(again).to_be_focused()


def test_a_stopped_container_says_so_and_the_list_leads_to_a_running_one(page: Page) -> None:
    visit(page, routes.console(110))
    expect(page.get_by_text(text.CONSOLE_STOPPED)).to_be_visible()
    expect(page.get_by_role("button", name=text.CONSOLE_START)).to_be_visible()
    visit(page, routes.CONTAINERS)
    page.get_by_role("link", name="Console CT 101 ").click()
    expect(page).to_have_url(routes.console(101))
