"""The wizard filled from a link, and from the request of a failed job."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation.form import filled
from lxc_dashboard.services.creation.form.filled import Filled
from tests.e2e import job_runs, wizard
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fill_sign_in, reload, visit
from tests.e2e.stack import Stack
from tests.e2e.wizard import at, close_dialog, fill, forward, start, step, type_a_container


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def test_a_link_fills_the_wizard_for_another_user_without_the_password(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    type_a_container(page, "shared-by-link")
    page.get_by_role("button", name=text.SHARE_LINK).click()
    link = page.locator("#shared-link").input_value()
    assert link.startswith(f"{stack.url}{routes.CREATE}?from=1")
    assert accessibility_faults(page) == []
    close_dialog(page)
    other = new_page(storage_state=signed_in_as("operator@pve"))
    visit(other, link)
    expect(wizard.proposed(other).locator(".note").first).to_contain_text(wizard.KEY)
    expect(other.locator("#ssh_keys")).to_have_value("")
    assert accessibility_faults(other) == []
    reload(other)
    wizard.accept_link(other)
    at(other, "configure")
    values = {"hostname": "shared-by-link", "memory_mib": "777", "ssh_keys": wizard.KEY, "password": ""}
    for name, value in values.items():
        expect(other.locator(f"#{name}")).to_have_value(value)
    expect(other).not_to_have_url(re.compile("from="))
    other.locator("#password_mode").select_option("generated")
    other.get_by_role("button", name=text.SHARE_LINK).click()
    again = other.locator("#shared-link").input_value()
    third = new_page(storage_state=signed_in_as())
    visit(third, again)
    wizard.accept_link(third)
    at(third, "review")
    expect(step(third, "review")).to_contain_text("shared-by-link")
    expect(third.get_by_text(text.FROM_LINK)).to_be_visible()
    expect(third.locator("#findings")).to_have_text(text.NOTHING_FOUND, timeout=wizard.CHECKED_WITHIN_MS)


def test_a_link_leads_through_the_sign_in(page: Page, fresh_page: Page, stack: Stack) -> None:
    type_a_container(page, "after-sign-in")
    page.get_by_role("button", name=text.SHARE_LINK).click()
    link = page.locator("#shared-link").input_value()
    visit(fresh_page, link)
    fill_sign_in(fresh_page, "operator@pve", stack.users["operator@pve"])
    wizard.accept_link(fresh_page)
    at(fresh_page, "configure")
    expect(fresh_page.locator("#hostname")).to_have_value("after-sign-in")


def test_a_link_that_is_declined_changes_nothing(page: Page) -> None:
    start(page, "hello")
    fill(page, hostname="kept-as-it-is", memory_mib="640")
    forward(page, "packages")
    form = {"ssh_keys": wizard.KEY, "unprivileged": "", "memory_mib": "64", "description": "\n".join("abcdefghij" * 6)}
    hostile = filled.encode_link(Filled(form=form))
    visit(page, routes.shared_creation(hostile.coded))
    asked = wizard.proposed(page)
    expect(asked).to_contain_text(text.PROPOSED_LINK_BY)
    expect(asked.locator(".note")).to_contain_text([text.PRIVILEGED_MEANS, wizard.KEY])
    for first in asked.locator(".note").all():
        expect(first).to_be_in_viewport(ratio=1)
    expect(asked.get_by_role("button", name=text.PROPOSED_USE_LINK)).to_be_in_viewport(ratio=1)
    asked.get_by_role("button", name=text.CANCEL).click()
    expect(page).not_to_have_url(re.compile("from="))
    forward(page, "configure")
    wizard.holds(page, hostname="kept-as-it-is", memory_mib="640", ssh_keys="")


def test_a_link_that_cannot_be_read_says_so_once_and_the_wizard_works(page: Page) -> None:
    type_a_container(page, "kept-as-it-is")
    for coded in ("nonsense", "1", "1AAAA", "1eNqrVgIAAKoAow", "x" * 4000):
        visit(page, routes.shared_creation(coded))
        expect(page.get_by_text(text.LINK_UNREADABLE)).to_be_visible()
    forward(page, "configure")
    expect(page.locator("#hostname")).to_have_value("kept-as-it-is")


def test_a_pool_that_a_link_names_and_that_is_not_seen_stays(page: Page) -> None:
    start(page, "hello")
    fill(page, hostname="in-a-pool")
    page.get_by_role("button", name=text.SHARE_LINK).click()
    own = filled.decode_link(page.locator("#shared-link").input_value().partition("from=")[2])
    assert own is not None
    close_dialog(page)
    named = filled.encode_link(Filled.from_json(own.to_json() | {"form": {**own.form, "pool": "not-seen"}}))
    visit(page, routes.shared_creation(named.coded))
    wizard.accept_link(page)
    at(page, "review")
    # The check names the pool, so the step now has an error.
    page.get_by_role("button", name=re.compile(f"^{text.STEP_NAMES['configure']}\\b")).click()
    at(page, "configure")
    page.get_by_text(text.ADVANCED, exact=True).click()
    expect(page.locator("#pool")).to_have_value("not-seen")
    expect(page.locator("#pool option")).to_contain_text([text.NO_POOL, "not-seen"])
    changed = page.get_by_role("button", name=text.RESET_FIELD.format(field=text.FIELD_LABELS["pool"]))
    page.locator("details.advanced:not(.appliances)").evaluate("part => { part.open = true; }")
    page.locator("#pool").select_option(label=text.NO_POOL)
    expect(changed).to_be_hidden()
    page.locator("#pool").select_option("not-seen")
    expect(changed).to_be_visible()
    expect(page.locator("#pool")).to_have_value("not-seen")


def test_a_link_too_long_for_its_keys_says_so(page: Page) -> None:
    start(page, "hello")
    keys = "\n".join(f"ssh-rsa {secrets.token_urlsafe(540)} key{n}" for n in range(4))
    fill(page, ssh_keys=keys)
    page.get_by_role("button", name=text.SHARE_LINK).click()
    expect(page.get_by_role("dialog")).to_contain_text(text.LINK_LACKS.format(fields="SSH public keys"))
    assert len(page.locator("#shared-link").input_value()) < 2000


def test_a_failed_job_is_edited_and_made_in_place_of_what_it_left(page: Page, stack: Stack, tmp_path: Path) -> None:
    visit(page, routes.JOBS)
    failed = job_runs.begin(stack, page, tmp_path, {"10-good.sh": "true\n", "20-bad.sh": "exit 3\n"}, "e2e-edited")
    visit(page, routes.job(failed))
    failure = page.get_by_role("heading", level=2, name=re.compile("^Failed at"))
    expect(failure).to_be_visible(timeout=wizard.BUILT_WITHIN_MS)
    held = re.search(r"CT (\d+) on", page.locator("main").inner_text())
    assert held
    visit(page, routes.edit_creation(failed))
    at(page, "configure")
    expect(page).to_have_url(re.compile(f"edit={failed}"))
    expect(page.get_by_text("You are editing the failed job")).to_contain_text("e2e-edited")
    expect(page.locator("#hostname")).to_have_value("e2e-edited")
    expect(page.locator("#hostname_pattern")).to_be_hidden()
    fill(page, memory_mib="384")
    forward(page, "packages")
    reload(page)
    at(page, "packages")
    forward(page, "scripts")
    bad = page.locator(".script", has_text="20-bad.sh").get_by_role("checkbox").first
    bad.click()
    expect(bad).not_to_be_checked()
    forward(page, "review")
    # The node has no OS template of the system that the template names.
    expect(page.locator("#findings-warning")).to_contain_text("is made for", timeout=wizard.CHECKED_WITHIN_MS)
    expect(page.locator("#findings-error")).to_have_count(0)
    expect(step(page, "review")).not_to_contain_text("20-bad.sh")
    assert accessibility_faults(page) == []
    assert failed not in wizard.create(page)
    ready = page.get_by_role("heading", level=2, name=f"CT {held[1]} e2e-edited is ready")
    expect(ready).to_be_visible(timeout=wizard.BUILT_WITHIN_MS)
    visit(page, routes.CREATE)
    expect(page.get_by_text("You are editing the failed job")).to_be_hidden()


def test_editing_says_that_the_template_has_changed_since(page: Page, stack: Stack, tmp_path: Path) -> None:
    visit(page, routes.JOBS)
    failed = job_runs.begin(stack, page, tmp_path, {"10-bad.sh": "exit 3\n"}, "e2e-moved-on")
    visit(page, routes.job(failed))
    failure = page.get_by_role("heading", level=2, name=re.compile("^Failed at"))
    expect(failure).to_be_visible(timeout=wizard.BUILT_WITHIN_MS)
    visit(page, routes.edit_creation(failed))
    at(page, "configure")
    expect(page.get_by_text("You are editing the failed job")).to_be_visible()
    expect(page.get_by_text("The template has changed")).to_be_hidden()

    name = job_runs.change(stack, page, tmp_path, {"10-bad.sh": "echo mended\n"})
    page.get_by_role("button", name=text.START_OVER).click()
    page.get_by_role("dialog").get_by_role("button", name=text.START_OVER).click()
    told = page.get_by_text(text.MOVED_ON.format(then=1, template=name, now=2))
    expect(told).to_be_visible()
    for next_step in ("packages", "scripts", "review"):
        forward(page, next_step)
        expect(told).to_be_visible()
    expect(step(page, "review")).to_contain_text(f"{name} r2; the failed job used r1")
    assert accessibility_faults(page) == []
    page.get_by_role("link", name=text.MOVED_ON_DIFF).click()
    expect(page).to_have_url(re.compile(r"tab=revisions&old=1&new=2$"))
    expect(page.locator(".compared")).to_contain_text("echo mended")

    visit(page, routes.edit_creation(failed))
    expect(told).to_be_visible()
    page.get_by_role("button", name=text.EDITS_AS_NEW).click()
    expect(told).to_be_hidden()


def test_a_job_that_is_not_to_be_edited_is_told(page: Page) -> None:
    for job_id in ("01a20ae5-30aa-739f-abd0-a0eb36cdf133", "nonsense"):
        visit(page, routes.edit_creation(job_id))
        expect(page.get_by_role("alert")).to_contain_text("or was removed")
    visit(page, routes.CREATE)
    wizard.choose(page, "hello")
    forward(page, "configure")
