"""Two users edit one shared bucket: the second sees what the first changed, and loses no input."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import text
from tests.e2e.buckets import button, confirm_delete, delete, emptied, listing, made, open_bucket, row, write
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, keep_picture
from tests.e2e.stack import Stack


@pytest.fixture(autouse=True)
def _emptied(stack: Stack) -> Iterator[None]:
    yield from emptied(stack)


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


@pytest.fixture
def other(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as("operator@pve"))


def test_of_two_who_edit_the_second_is_told_what_the_first_changed(page: Page, other: Page, stack: Stack) -> None:
    bucket_id = made(stack, "base", "curl\nvim\n")
    for one in (page, other):
        open_bucket(one, bucket_id, "base.apt")
    write(other, "curl\nnano\n")
    button(other, text.BUCKET_SAVE).click()
    expect(other.get_by_text(text.BUCKET_SAVED.format(name="base.apt"))).to_be_visible()

    write(page, "curl\nhtop\n")
    button(page, text.BUCKET_SAVE).click()
    told = page.locator(".note", has=page.get_by_role("alert"))
    expect(told).to_contain_text("operator@pve changed this bucket")
    expect(told.locator(".code")).to_contain_text("- vim")
    expect(told.locator(".code")).to_contain_text("+ nano")
    expect(button(page, text.BUCKET_SAVE)).to_be_disabled()
    expect(listing(page)).to_have_text("curlhtop")
    keep_picture(page, "buckets-overtaken")
    assert accessibility_faults(page) == []
    button(page, text.BUCKET_MINE).click()
    expect(page.get_by_text(text.BUCKET_REPLACING.format(userid="operator@pve"))).to_be_visible()
    button(page, text.BUCKET_SAVE).click()
    expect(page.get_by_text(text.BUCKET_SAVED.format(name="base.apt"))).to_be_visible()

    write(other, "curl\ngit\n")
    button(other, text.BUCKET_SAVE).click()
    expect(other.locator(".note .code")).to_contain_text("+ htop")
    button(other, text.BUCKET_THEIRS).click()
    expect(listing(other)).to_have_text("curlhtop")
    expect(other.get_by_text(text.BUCKET_UNSAVED, exact=True)).to_have_count(0)


def test_a_bucket_that_somebody_deleted_meanwhile_leaves_what_was_typed(page: Page, other: Page, stack: Stack) -> None:
    bucket_id = made(stack, "base", "curl\n")
    for one in (page, other):
        open_bucket(one, bucket_id, "base.apt")
    delete(other, "base")
    write(page, "curl\nvim\n")
    button(page, text.BUCKET_SAVE).click()
    expect(page.get_by_text(text.BUCKET_TAKEN_AWAY.format(name="base.apt"))).to_be_visible()
    expect(page.get_by_role("heading", level=2, name=text.BUCKET_NEW)).to_be_visible()
    expect(listing(page)).to_have_text("curlvim")
    button(page, text.BUCKET_CREATE).click()
    expect(page.get_by_text(text.BUCKET_CREATED.format(name="base.apt"))).to_be_visible()


def test_of_two_who_delete_one_bucket_the_second_is_told_that_it_is_gone(page: Page, other: Page, stack: Stack) -> None:
    bucket_id = made(stack, "base", "curl\n")
    made(stack, "web", "nginx\n")
    for one in (page, other):
        open_bucket(one, bucket_id, "base.apt")
    delete(other, "base")
    confirm_delete(page, "base")
    expect(page.get_by_text(text.BUCKET_GONE)).to_be_visible()
    expect(row(page, "web.apt")).to_be_visible()
    expect(row(page, "base.apt")).to_have_count(0)
