"""Addresses of things that do not exist: each page says so, and links to the list of those that do."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, visit
from tests.e2e.screens import SIZES, small_screen

ID = "00000000-0000-0000-0000-000000000000"
MISSING = {
    "job": (routes.job(ID), text.MISSING_JOB, text.ALL_JOBS_THERE, routes.JOBS),
    "no-job": (routes.job("nonsense"), text.MISSING_JOB, text.ALL_JOBS_THERE, routes.JOBS),
    "batch": (routes.batch(ID), text.MISSING_BATCH, text.ALL_JOBS_THERE, routes.JOBS),
    "no-batch": (routes.batch("nonsense"), text.MISSING_BATCH, text.ALL_JOBS_THERE, routes.JOBS),
    "container": (routes.console(999_999), text.NO_SUCH_GUEST, text.ALL_CONTAINERS, routes.CONTAINERS),
    "no-container": (routes.console("nonsense"), text.NO_SUCH_GUEST, text.ALL_CONTAINERS, routes.CONTAINERS),
    "template": (routes.template(ID), "This template does not exist", text.ALL_TEMPLATES, routes.TEMPLATES),
    "no-template": (routes.template("nonsense"), text.NO_SUCH_TEMPLATE, text.ALL_TEMPLATES, routes.TEMPLATES),
    "edited": (routes.edit_template(ID), "This template does not exist", text.ALL_TEMPLATES, routes.TEMPLATES),
    "copied": (routes.new_template(ID), "This template does not exist", text.ALL_TEMPLATES, routes.TEMPLATES),
    "wizard": (routes.create(ID), "This template does not exist", text.NEW_CONTAINER, routes.CREATE),
    "retried": (routes.edit_creation(ID), "This job does not exist", text.NEW_CONTAINER, routes.CREATE),
}


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def test_what_an_address_does_not_name_is_said_and_the_list_is_led_to(page: Page) -> None:
    for address, title, label, leads_to in MISSING.values():
        visit(page, address)
        told = page.locator("main").get_by_role("alert")
        expect(told.get_by_role("heading")).to_contain_text(title)
        expect(told.get_by_role("button")).to_have_count(0)
        told.get_by_role("link", name=label, exact=True).click()
        page.wait_for_url(f"**{leads_to}")
        expect(page.locator("main").get_by_role("alert")).to_have_count(0)


def test_a_list_beside_which_nothing_is_to_be_opened_says_so(page: Page) -> None:
    for address, told in (
        (routes.source(ID), text.SOURCE_GONE),
        (routes.source("nonsense"), text.SOURCE_GONE),
        (routes.bucket(ID), text.BUCKET_GONE),
        (routes.bucket("nonsense"), text.BUCKET_GONE),
    ):
        visit(page, address)
        expect(page.locator("main .note.warm", has_text=told)).to_be_visible()


@small_screen
def test_it_can_be_read_by_all(new_page: NewPage, signed_in_as: SignedInAs, scheme: str, size: str) -> None:
    page = new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])
    visit(page, routes.job(ID))
    expect(page.get_by_role("heading", name=text.MISSING_JOB)).to_be_visible()
    keep_picture(page, f"missing-job-{size}-{scheme}")
    assert accessibility_faults(page) == []
    fits(page)
