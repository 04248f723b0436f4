"""Presets of the wizard: their owners, what they fill in, and what the page says about them."""

from __future__ import annotations

import msgspec
import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import Preset
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form import filled, presets
from lxc_dashboard.services.creation.form.filled import Filled
from tests.e2e import job_runs
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, visit
from tests.e2e.stack import Stack
from tests.e2e.wizard import KEY, accept_link, at, close_dialog, fill, holds, proposed, start, type_a_container


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


def preset(page: Page, name: str) -> Locator:
    return page.locator(".preset", has=page.get_by_text(name, exact=True))


def save_preset(page: Page, name: str, *, shared: bool = False) -> None:
    """Save the form as a preset. The presets stay open."""
    page.get_by_role("button", name=text.PRESETS, exact=True).click()
    page.locator("#preset_name").fill(name)
    if shared:
        page.get_by_label(text.PRESET_SHARE).check()
    page.get_by_role("button", name=text.PRESET_SAVE).click()
    expect(preset(page, name)).to_be_visible()
    expect(page.locator("#preset_name")).to_have_value("")


def check_used_by_another(other: Page) -> None:
    """The list names the owner and their right. The changes are shown, SSH keys first, before they fill the form.

    The hostname stays.
    """
    start(other, text.NO_TEMPLATE)
    fill(other, hostname="others-own")
    other.get_by_role("button", name=text.PRESETS, exact=True).click()
    row = preset(other, "bigger hello")
    expect(row).to_contain_text(text.PRESET_OF.format(owner="root@pam"))
    expect(row).to_contain_text("VM.Allocate at /vms")
    expect(row.get_by_role("button")).to_have_count(1)
    row.get_by_role("button", name=text.PRESET_USE).click()
    asked = proposed(other)
    expect(asked).to_contain_text("Shared by root@pam, who had VM.Allocate at /vms")
    expect(asked.locator(".note").first).to_contain_text(KEY)
    expect(asked).to_contain_text("777")
    assert accessibility_faults(other) == []
    asked.get_by_role("button", name=text.CANCEL).click()
    expect(asked).to_be_hidden()
    holds(other, ssh_keys="", memory_mib="512")
    row.get_by_role("button", name=text.PRESET_USE).click()
    proposed(other).get_by_role("button", name=text.PROPOSED_USE).click()
    at(other, "configure")
    expect(other.get_by_role("dialog")).to_have_count(0)
    expect(other.locator(".wizard-aside")).to_contain_text("hello r1")
    values = {"hostname": "others-own", "memory_mib": "777", "ssh_keys": KEY, "password": ""}
    for name, value in values.items():
        expect(other.locator(f"#{name}")).to_have_value(value)
    back = text.RESET_FIELD.format(field="Memory (MiB)")
    other.get_by_role("button", name=f"{text.FROM_PRESET}: {back}").click()
    expect(other.locator("#memory_mib")).to_have_value("256")
    fill(other, memory_mib="900")
    other.locator("#cores").focus()
    expect(other.get_by_role("button", name=f"{text.CHANGED}: {back}")).to_be_visible()


def test_a_preset_is_saved_used_marked_renamed_shared_and_deleted(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs
) -> None:
    type_a_container(page, "for-preset")
    save_preset(page, "big hello")
    page.locator("#preset_name").fill("big hello")
    page.get_by_role("button", name=text.PRESET_SAVE).click()
    expect(page.locator("#preset_name-error")).to_have_text("You already have a preset with this name")
    assert accessibility_faults(page) == []
    page.get_by_role("button", name=f"{text.PRESET_RENAME} big hello").click()
    page.locator("#new_name").fill("bigger hello")
    page.locator("#new_name").press("Enter")
    expect(preset(page, "bigger hello")).to_be_visible()
    page.get_by_role("button", name=f"{text.PRESET_SHARE_ONE} bigger hello").click()
    expect(preset(page, "bigger hello")).to_contain_text(text.PRESET_SHARED)
    close_dialog(page)

    other = new_page(storage_state=signed_in_as("operator@pve"))
    check_used_by_another(other)

    page.get_by_role("button", name=text.PRESETS, exact=True).click()
    preset(page, "bigger hello").get_by_role("button", name=text.PRESET_DELETE).click()
    page.get_by_role("dialog").last.get_by_role("button", name=text.PRESET_DELETE).click()
    expect(preset(page, "bigger hello")).to_be_hidden()


def test_who_may_create_no_container_is_not_offered_to_share(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as("viewer@pve"))
    start(page, text.NO_TEMPLATE)
    save_preset(page, "own alone")
    expect(page.get_by_label(text.PRESET_SHARE)).to_be_disabled()
    expect(page.get_by_text(text.PRESET_SHARE_NEEDS.format(privilege="VM.Allocate"))).to_be_visible()
    expect(preset(page, "own alone").get_by_role("button", name=text.PRESET_SHARE_ONE)).to_have_count(0)


def test_a_link_that_is_opened_over_a_preset_is_filled_in_as_a_link(page: Page, stack: Stack) -> None:
    start(page, text.NO_TEMPLATE)
    job_runs.in_services(stack, page, _shared_by_another)
    page.get_by_role("button", name=text.PRESETS, exact=True).click()
    preset(page, "of another").get_by_role("button", name=text.PRESET_USE).click()
    expect(proposed(page)).to_contain_text("4096")
    visit(page, routes.shared_creation(filled.encode_link(Filled(form={"hostname": "by-link", "cores": "3"})).coded))
    accept_link(page)
    expect(page.get_by_text(text.FROM_LINK)).to_be_visible()
    at(page, "review")
    expect(page.get_by_role("dialog")).to_have_count(0)
    holds(page, hostname="by-link", cores="3", memory_mib="512")


def test_a_preset_whose_storage_is_gone_falls_back_and_says_so(page: Page, stack: Stack) -> None:
    start(page, "hello")
    fill(page, cores="2")
    save_preset(page, "moved")
    job_runs.in_services(stack, page, _let_storage_go)
    preset(page, "moved").get_by_role("button", name=text.PRESET_USE).click()
    expect(page.get_by_text("Storage gone-storage is no longer on")).to_be_visible()
    expect(page.locator("#cores")).to_have_value("2")
    expect(page.locator("#storage")).not_to_have_value("gone-storage")


async def _shared_by_another(rt: Runtime, session: Session) -> None:
    row = Preset(
        endpoint_id=session.endpoint_id,
        owner="ann@pve",
        name="of another",
        shared_path="/pool/dev",
        fields={"form": {"memory_mib": "4096"}},
    )
    async with rt.db.transaction() as tx:
        await tx.presets.add(row)


async def _let_storage_go(rt: Runtime, session: Session) -> None:
    """Change the preset as if its storage had been removed."""
    (row,) = [row for row in await presets.list_presets(rt, session) if row.name == "moved"]
    _, filled = await presets.read(rt, session, row.id)
    form = {**filled.form, "storage": "gone-storage"}
    await presets.overwrite(rt, session, row.id, msgspec.structs.replace(filled, form=form))
