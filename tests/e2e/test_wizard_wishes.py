"""Choices of a template or user that the chosen node lacks: reported beside the field at once."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from lxc_dashboard import text
from tests.e2e import recipes, wizard
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.screens import SIZES, small_screen
from tests.e2e.stack import Stack

WISHES = {"os": "plan", "version": "9", "storage": "nvme-pool", "bridge": "vmbr77"}
NAMED = {"ostemplate": "plan 9", "storage": "nvme-pool", "bridge": "vmbr77"}


@small_screen
def test_each_field_says_what_was_asked_for_and_what_is_chosen_instead(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack, scheme: str, size: str
) -> None:
    page = new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])
    _, name = recipes.wishing(stack, page, **WISHES)
    wizard.start(page, name)
    node = page.locator("#node").input_value()
    for field, wish in NAMED.items():
        told = page.locator(f"#{field}-stand-in")
        expect(told).to_contain_text(wish)
        expect(told).to_contain_text(node)
        expect(told).to_contain_text("is selected instead")
        assert f"{field}-stand-in" in str(page.locator(f"#{field}").get_attribute("aria-describedby")).split()
    expect(page.locator("#storage-stand-in")).to_contain_text(
        f"{page.locator('#storage').input_value()} is selected instead"
    )
    keep_picture(page, f"wizard-wishes-{size}-{scheme}")
    assert accessibility_faults(page) == []
    fits(page)


def test_it_names_what_is_chosen_by_then_and_goes_with_the_template(
    new_page: NewPage, signed_in_as: SignedInAs, stack: Stack
) -> None:
    page = new_page(storage_state=signed_in_as())
    _, name = recipes.wishing(stack, page, **WISHES)
    wizard.start(page, name)
    told = page.locator("#ostemplate-stand-in")
    expect(told).to_contain_text("plan 9")
    page.locator("#ostemplate").select_option(value=_another(page))
    chosen = page.locator("#ostemplate option:checked").inner_text().split(" ")[0]
    expect(told).to_contain_text(f"{chosen} is selected instead")
    wizard.back(page, "template")
    wizard.choose(page, "hello")
    wizard.forward(page, "configure")
    for field in NAMED:
        expect(page.locator(f"#{field}-stand-in")).to_be_hidden()


def _have_a_storage_on(node: str, other: OtherNode) -> None:
    """Add the storage ``ssd``, which only ``node`` has."""
    other.let(lambda pve: pve.api.storages.update(ssd=pve.api.storages["local-lvm"] | {"nodes": node}))


def test_what_was_chosen_and_the_next_node_has_not_is_named_until_something_else_is_chosen(
    fresh_page: Page, stack: Stack, tmp_path: Path
) -> None:
    page = fresh_page
    with other_node(stack, tmp_path, "with-ssd", 0) as other:
        _have_a_storage_on("pve1", other)
        sign_in_at(page, "with-ssd")
        wizard.start(page, text.NO_TEMPLATE)
        page.locator("#node").select_option("pve1")
        page.locator("#storage").select_option("ssd")
        expect(page.locator(".wizard-aside")).to_contain_text("ssd")
        page.locator("#node").select_option("pve2")
        told = page.locator("#storage-stand-in")
        expect(told).to_have_text(text.REPLACED.format(was="ssd", node="pve2", now="local-lvm"))
        page.locator("#hostname").fill("edited-meanwhile")
        page.locator("#hostname").press("Tab")
        expect(page.locator(".wizard-aside")).to_contain_text("edited-meanwhile")
        expect(told).to_be_visible()
        page.locator("#node").select_option("pve3")
        expect(page.locator(".wizard-aside")).to_contain_text("pve3")
        expect(told).to_be_hidden()


def test_a_mount_point_whose_storage_the_next_node_has_not_is_named_beside_it(
    fresh_page: Page, stack: Stack, tmp_path: Path
) -> None:
    page = fresh_page
    with other_node(stack, tmp_path, "with-ssd-mounts", 0) as other:
        _have_a_storage_on("pve1", other)
        sign_in_at(page, "with-ssd-mounts")
        wizard.start(page, text.NO_TEMPLATE)
        page.locator("#node").select_option("pve1")
        expect(page.locator(".wizard-aside")).to_contain_text("pve1")
        free = page.locator(".wizard-aside").get_by_text(" GiB free on local-lvm")
        for number in range(2):
            page.get_by_role("button", name=text.MOUNT_ADD, exact=True).click()
            expect(page.locator(f"[id='mounts.{number}.from']")).to_have_value("local-lvm")
        expect(free).to_contain_text("8168 of")
        page.locator("[id='mounts.1.from']").select_option("ssd")
        expect(free).to_contain_text("8176 of")
        page.locator("#node").select_option("pve2")
        said = text.REPLACED.format(was="ssd", node="pve2", now="local-lvm")
        expect(page.locator("[id='mounts.1.source-stand-in']")).to_have_text(said)
        expect(page.locator("[id='mounts.1.from']")).to_have_value("local-lvm")
        expect(page.locator("[id='mounts.0.source-stand-in']")).to_be_hidden()
        assert accessibility_faults(page) == []
        page.get_by_role("button", name=f"{text.MOUNT_REMOVE} 1", exact=True).click()
        told = page.locator("[id='mounts.0.source-stand-in']")
        expect(told).to_have_text(said)
        page.locator("#node").select_option("pve3")
        expect(page.locator(".wizard-aside")).to_contain_text("pve3")
        expect(told).to_be_hidden()


def _another(page: Page) -> str:
    """An OS template that is not selected."""
    return str(page.locator("#ostemplate option:not(:checked)").first.get_attribute("value"))
