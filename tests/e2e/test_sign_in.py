"""Signing in and out, as a user sees it."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidCredentialsError, UnreachableError
from pve_sandbox.api.access.sign_in import STEP_S, code_at
from pve_sandbox.certificate import node_certificate
from tests.e2e.conftest import (
    SIGN_IN_TIMEOUT_MS,
    NewPage,
    accessibility_faults,
    fill_sign_in,
    fits,
    reload,
    sign_in,
    until_it_takes_input,
    visit,
)
from tests.e2e.stack import Stack

FIRST_LOAD_BYTES = 350_000


def nodes(page: Page) -> Locator:
    """The table of nodes, as jobs also name their nodes."""
    return page.get_by_role("table", name=text.NODES_TITLE)


def node(page: Page) -> Locator:
    return nodes(page).get_by_role("cell", name="pve1")


def test_the_right_password_leads_back_to_the_page_that_was_asked_for(fresh_page: Page, stack: Stack) -> None:
    visit(fresh_page, "/templates")
    expect(fresh_page).to_have_title(re.compile(text.SIGN_IN_TITLE))
    fill_sign_in(fresh_page, "root@pam", stack.users["root@pam"])
    expect(fresh_page).to_have_url(f"{stack.url}/templates")
    expect(fresh_page.locator(".user")).to_have_text("root@pam")
    expect(fresh_page.get_by_role("heading", level=1)).to_have_text(text.NAV_TEMPLATES)


def test_a_wrong_password_keeps_the_user_and_says_one_thing(fresh_page: Page) -> None:
    visit(fresh_page, "/")
    fill_sign_in(fresh_page, "operator@pve", "wrong")
    expect(fresh_page.get_by_role("alert")).to_have_text(InvalidCredentialsError().user_message)
    expect(fresh_page.get_by_label("User")).to_have_value("operator")
    expect(fresh_page.get_by_label("Realm")).to_have_value("pve")
    expect(fresh_page.get_by_label("Password")).to_have_value("")
    expect(fresh_page.get_by_label("Password")).to_be_focused()
    assert accessibility_faults(fresh_page) == []


def test_the_second_factor_is_asked_for(fresh_page: Page, stack: Stack) -> None:
    visit(fresh_page, "/")
    fill_sign_in(fresh_page, "tfa@pve", stack.users["tfa@pve"])
    expect(fresh_page.get_by_role("heading", name=text.SECOND_FACTOR_TITLE)).to_be_visible()
    assert accessibility_faults(fresh_page) == []
    code = code_at(stack.sandbox["tfa_secret"], int(time.time()) // STEP_S)
    fresh_page.get_by_label("Code", exact=True).fill(code)
    fresh_page.get_by_role("button", name=text.CONTINUE).click()
    expect(fresh_page.locator(".user")).to_have_text("tfa@pve")


@pytest.mark.full
def test_a_pve_that_cannot_be_reached_is_told_apart(fresh_page: Page, stack: Stack) -> None:
    stack.children["sandbox"].pause()
    try:
        visit(fresh_page, "/sign-in")
        fill_sign_in(fresh_page, "root@pam", stack.users["root@pam"])
        told = fresh_page.get_by_role("alert")
        expect(told).to_have_text(UnreachableError().user_message, timeout=SIGN_IN_TIMEOUT_MS)
    finally:
        stack.children["sandbox"].resume()
    sign_in(fresh_page, stack)  # the sandbox answers again, also for the next test


def test_a_refresh_stays_signed_in(page: Page) -> None:
    reload(page)
    expect(page.locator(".user")).to_have_text("root@pam")


def test_signing_out_ends_every_tab_and_each_returns_to_its_page(page: Page, stack: Stack) -> None:
    other = page.context.new_page()
    visit(other, "/templates")
    expect(other.locator(".user")).to_have_text("root@pam")
    page.get_by_role("button", name=text.SIGN_OUT).click()
    expect(page).to_have_url(f"{stack.url}/sign-in")
    expect(other).to_have_url(f"{stack.url}/sign-in?next=%2Ftemplates")
    fill_sign_in(other, "root@pam", stack.users["root@pam"])
    expect(other).to_have_url(f"{stack.url}/templates")
    visit(page, "/")
    expect(page.locator(".user")).to_have_text("root@pam")


def test_after_signing_out_the_back_button_shows_nothing_of_pve(page: Page) -> None:
    expect(node(page)).to_be_visible()
    page.get_by_role("button", name=text.SIGN_OUT).click()
    expect(page.get_by_role("heading", name=text.SIGN_IN_TITLE)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name=text.SIGN_IN_TITLE)).to_be_visible()
    expect(node(page)).to_have_count(0)


def test_a_page_survives_a_restart_of_the_web_server(page: Page, stack: Stack) -> None:
    expect(node(page)).to_be_visible()
    stack.children["web"].stop()
    try:
        expect(page.locator(".offline")).to_have_text(text.OFFLINE)
    finally:
        stack.start_web(stack.port)
    expect(page.locator(".offline")).to_have_text("")
    expect(page.locator("#feed-status")).not_to_have_class(re.compile("stale"))
    expect(node(page)).to_be_visible()


def test_the_dashboard_shows_the_nodes(page: Page) -> None:
    for name in ("pve1", "pve2", "pve3"):
        expect(nodes(page).get_by_role("row", name=re.compile(name))).to_contain_text(text.ONLINE)
    expect(page.locator(".status-line")).to_contain_text("PVE")


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "dark"),
        (1280, "light"),
        pytest.param(390, "light", marks=pytest.mark.full),
        pytest.param(1000, "light", marks=pytest.mark.full),
        pytest.param(1000, "dark", marks=pytest.mark.full),
        pytest.param(1280, "dark", marks=pytest.mark.full),
    ],
)
def test_sign_in_and_dashboard_are_accessible(new_page: NewPage, stack: Stack, scheme: str, width: int) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    visit(page, "/sign-in")
    expect(page.get_by_role("button", name=text.SIGN_IN)).to_be_visible()
    assert accessibility_faults(page) == []
    sign_in_anywhere(page, stack)
    expect(node(page)).to_be_visible()
    assert accessibility_faults(page) == []
    fits(page)


def sign_in_anywhere(page: Page, stack: Stack) -> None:
    """Sign in where the folded sidebar hides the user's name."""
    fill_sign_in(page, "root@pam", stack.users["root@pam"])
    expect(page.get_by_role("heading", level=1)).to_have_text(text.DASHBOARD_TITLE, timeout=SIGN_IN_TIMEOUT_MS)
    until_it_takes_input(page)


def test_on_a_phone_the_navigation_is_a_drawer(new_page: NewPage, stack: Stack) -> None:
    page = new_page(viewport={"width": 390, "height": 800})
    visit(page, "/")
    sign_in_anywhere(page, stack)
    expect(page.get_by_role("link", name=text.NAV_TEMPLATES)).to_be_hidden()
    page.get_by_role("button", name=text.OPEN_NAVIGATION).click()
    assert accessibility_faults(page) == []
    page.get_by_role("link", name=text.NAV_TEMPLATES).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(text.NAV_TEMPLATES)
    expect(page.get_by_role("link", name=text.NAV_TEMPLATES)).to_be_hidden()


def test_the_theme_is_switched_and_kept(page: Page) -> None:
    toggle = page.get_by_role("button", name=text.SWITCH_THEME)
    root = page.locator("html")
    expect(root).to_have_class(re.compile("light"))
    toggle.click()
    expect(root).to_have_class(re.compile("dark"))
    reload(page)
    expect(root).to_have_class(re.compile("dark"))
    page.get_by_role("button", name=text.SIGN_OUT).click()
    expect(page.get_by_role("heading", name=text.SIGN_IN_TITLE)).to_be_visible()
    expect(page.locator("html")).to_have_class(re.compile("dark"))


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=text.SKIP_TO_CONTENT)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_an_address_that_names_nothing_says_so_within_the_frame(page: Page) -> None:
    visit(page, "/no/such/page")
    expect(page.get_by_role("heading", level=1)).to_have_text(text.NOT_FOUND_TITLE)
    expect(page.locator(".user")).to_have_text("root@pam")
    page.get_by_role("link", name=text.TO_DASHBOARD).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(text.DASHBOARD_TITLE)


def test_another_port_with_tls_works_like_the_first(new_page: NewPage, stack: Stack, tmp_path: Path) -> None:
    certificate = node_certificate(tmp_path, ("localhost",))
    port = stack.start_secure_web(certificate.cert_file, certificate.key_file)
    page = new_page(base_url=f"https://localhost:{port}", ignore_https_errors=True)
    try:
        sign_in(page, stack, path="/templates")
        expect(page.get_by_role("heading", level=1)).to_have_text(text.NAV_TEMPLATES)
        page.get_by_role("button", name=text.SIGN_OUT).click()
        expect(page).to_have_url(f"https://localhost:{port}/sign-in")
    finally:
        stack.children.pop("secure web").stop()


def test_the_first_load_is_small(new_page: NewPage, stack: Stack) -> None:
    page = new_page()
    loaded: dict[str, Response] = {}

    def note(response: Response) -> None:
        if response.ok and response.request.resource_type in {"script", "stylesheet", "document", "image", "font"}:
            loaded[response.url] = response

    sign_in(page, stack)
    page.on("response", note)
    visit(page, "/")
    expect(node(page)).to_be_visible()
    assert sum(len(gzip.compress(response.body())) for response in loaded.values()) <= FIRST_LOAD_BYTES
