"""The wizard's fields in a browser: mount points, the node's choices, and preflight's findings about them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import text
from pve_sandbox.node import SandboxNode
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, reload
from tests.e2e.node_side import NodeSide
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.stack import Stack
from tests.e2e.wizard import fill, forward, start, step, to_review


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


@pytest.fixture
def node_side(stack: Stack) -> NodeSide:
    return NodeSide(stack)


def part(page: Page, number: int, name: str) -> Locator:
    """An input of the mount point ``number``, counted from 0."""
    return page.locator(f"[id='mounts.{number}.{name}']")


def mount_fault(page: Page, number: int, name: str) -> Locator:
    return page.locator(f"[id='mounts.{number}.{name}-error']")


def add_mount(page: Page, number: int) -> None:
    page.get_by_role("button", name=text.MOUNT_ADD).click()
    expect(part(page, number, "path")).to_be_visible()


def test_mount_points_are_added_mended_removed_kept_and_made(page: Page, node_side: NodeSide) -> None:
    start(page, text.NO_TEMPLATE)
    fill(page, hostname="e2e-mounts", disk_gib="2")
    add_mount(page, 0)
    part(page, 0, "path").fill("/srv/data")
    part(page, 0, "size_gib").fill("3")
    add_mount(page, 1)
    part(page, 1, "path").fill("relative")
    page.locator("#forward").click()
    expect(mount_fault(page, 1, "path")).to_contain_text("Enter a whole path")
    expect(part(page, 1, "path")).to_be_focused()
    expect(part(page, 0, "path")).to_have_value("/srv/data")
    part(page, 1, "path").fill("/media")
    part(page, 1, "from").select_option(text.MOUNT_NODE_FOLDER)
    part(page, 1, "source").fill("/tank/media")
    page.get_by_role("group", name="Mount point 2").get_by_label(text.MOUNT_FIELDS["read_only"]).check()
    page.get_by_role("group", name="Mount point 1").get_by_label(text.MOUNT_FIELDS["backup"]).check()
    add_mount(page, 2)
    page.get_by_role("button", name=f"{text.MOUNT_REMOVE} 3").click()
    expect(part(page, 2, "path")).to_be_hidden()
    forward(page, "packages")
    reload(page)
    wizard.at(page, "packages")
    wizard.back(page, "configure")
    expect(part(page, 1, "source")).to_have_value("/tank/media")
    to_review(page)
    expect(step(page, "review")).to_contain_text(
        "/srv/data: 3 GiB on local-lvm, backup; /media: /tank/media, read-only"
    )
    wizard.create(page)
    vmid = wizard.vmid_when_ready(page, "e2e-mounts")
    [guest] = node_side.guests("e2e-mounts")
    config = node_side.config(guest["node"], vmid)
    assert config["mp0"] == f"local-lvm:vm-{vmid}-disk-1,backup=1,mp=/srv/data,size=3G"
    assert config["mp1"] == "/tank/media,mp=/media,ro=1"


def test_a_folder_of_the_node_is_named_as_roots_alone(new_page: NewPage, signed_in_as: SignedInAs) -> None:
    page = new_page(storage_state=signed_in_as("operator@pve"))
    start(page, text.NO_TEMPLATE)
    fill(page, hostname="e2e-bind")
    add_mount(page, 0)
    part(page, 0, "path").fill("/media")
    part(page, 0, "from").select_option(text.MOUNT_NODE_FOLDER)
    part(page, 0, "source").fill("/tank/media")
    to_review(page)
    findings = page.locator("#findings")
    expect(findings).to_contain_text(
        "Only root@pam may mount a folder of the node, for example /tank/media", timeout=wizard.CHECKED_WITHIN_MS
    )
    expect(page.get_by_role("button", name=text.CREATE, exact=True)).to_be_disabled()
    findings.get_by_role("button", name=re.compile("^Go to ")).first.click()
    expect(part(page, 0, "source")).to_be_focused()
    expect(mount_fault(page, 0, "source")).to_contain_text("Only root@pam")


@pytest.fixture(scope="module")
def other(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherNode]:
    with other_node(stack, tmp_path_factory.mktemp("fields"), "fields", 3) as node:
        yield node


def find_os_template(page: Page, words: str, expected: str) -> Locator:
    """Search the OS templates; return the only hit."""
    if not page.locator("#appliance-search").is_visible():
        page.get_by_text(text.APPLIANCES, exact=True).click()
    page.locator("#appliance-search").fill("")
    page.locator("#appliance-search").press_sequentially(words)
    found = page.locator(".appliance")
    expect(found).to_have_count(1)
    expect(found).to_contain_text(expected)
    return found


@pytest.mark.full
def test_an_os_template_is_found_downloaded_in_sight_and_chosen(
    fresh_page: Page, stack: Stack, other: OtherNode
) -> None:
    page = fresh_page
    sign_in_at(page, "fields")
    start(page, text.NO_TEMPLATE)
    other.let(lambda node: set_pace(node, 6))
    try:
        found = find_os_template(page, "wordpress", "turnkeylinux")
        found.get_by_role("button", name=text.APPLIANCE_DOWNLOAD).click()
        fetching = page.locator("#fetching")
        expect(fetching).to_contain_text("Downloading debian-12-turnkey-wordpress_18.2-1_amd64.tar.gz to local")
        expect(fetching.get_by_role("progressbar")).to_have_attribute("value", re.compile("^[2-8]0$"))
        other.let(lambda node: set_pace(node, 30))  # so that it still runs when the web server is ready
        stack.children["web"].stop()  # the new process knows nothing of this tab
        stack.start_web(stack.port)
        reload(page)
        expect(fetching.get_by_role("progressbar")).to_be_visible()
    finally:
        other.let(lambda node: set_pace(node, 0.05))
    expect(fetching).to_contain_text("and selected it", timeout=wizard.CHECKED_WITHIN_MS)
    expect(page.locator("#ostemplate")).to_have_value("local:vztmpl/debian-12-turnkey-wordpress_18.2-1_amd64.tar.gz")
    fill(page, hostname="found")
    to_review(page)
    expect(page.locator("#findings")).to_contain_text(text.NOTHING_FOUND, timeout=wizard.CHECKED_WITHIN_MS)


def test_a_download_is_stopped_and_another_left_to_the_job(fresh_page: Page, other: OtherNode) -> None:
    page = fresh_page
    sign_in_at(page, "fields")
    start(page, text.NO_TEMPLATE)
    other.let(lambda node: set_pace(node, 30))
    try:
        find_os_template(page, "fedora", "system").get_by_role("button", name=text.APPLIANCE_DOWNLOAD).click()
        page.get_by_role("button", name=text.FETCH_STOP).click()
        expect(page.locator("#fetching")).to_contain_text("Stopped the download", timeout=wizard.CHECKED_WITHIN_MS)
    finally:
        other.let(lambda node: set_pace(node, 0.05))
    take = find_os_template(page, "mail gateway", "mail").get_by_role("button", name=text.APPLIANCE_TAKE)
    take.click()
    value = "download:local:vztmpl/proxmox-mail-gateway-8.2-standard_8.2-1_amd64.tar.zst"
    expect(page.locator("#ostemplate")).to_have_value(value)
    reload(page)
    expect(page.locator("#ostemplate")).to_have_value(value)


def set_pace(node: SandboxNode, scale: float) -> None:
    """``scale``: real seconds for each of PVE's."""
    node.api.time_scale = scale


def test_the_next_free_address_of_a_range_is_filled_in(page: Page) -> None:
    start(page, text.NO_TEMPLATE)
    page.locator("#ipv4_mode").select_option("static")
    page.locator("#ipv4_range").fill("10.66.0.1")
    page.locator("#take-ipv4").click()
    expect(wizard.fault(page, "ipv4_range")).to_contain_text("Enter the first and the last address")
    page.locator("#ipv4_range").fill("10.66.0.1-10.66.0.9/16")
    page.locator("#ipv4_range").press("Enter")
    expect(page.locator("#ipv4_address")).to_have_value("10.66.0.2/16")
    expect(wizard.fault(page, "ipv4_range")).to_be_empty()
    expect(page.locator("#bridge option").nth(1)).to_have_text("vmbr1 (VLAN aware)")


def test_the_review_looks_again_by_itself_and_each_finding_leads_to_its_field(
    fresh_page: Page, other: OtherNode
) -> None:
    page = fresh_page
    sign_in_at(page, "fields")
    start(page, text.NO_TEMPLATE)
    fill(page, hostname="web-01", vlan="30")
    page.get_by_text(text.ADVANCED, exact=True).click()
    fill(page, mtu="9000")
    to_review(page)
    warnings = page.locator("#findings-warning")
    expect(warnings).to_contain_text("web-01 is the name of")
    expect(warnings).to_contain_text("PVE makes a bridge vmbr0v30 beside it")
    expect(page.locator("#checked-at")).to_be_visible()
    errors = page.locator("#findings-error")
    expect(errors).to_contain_text("MTU 9000 is above the MTU of bridge vmbr0")
    errors.get_by_role("button", name=text.GO_TO.format(place=text.FIELD_LABELS["mtu"])).click()
    expect(page.locator("#mtu")).to_be_focused()
    fill(page, mtu="1400")
    page.get_by_role("button", name="Review").click()
    expect(errors).to_be_hidden(timeout=wizard.CHECKED_WITHIN_MS)
    other.let(lambda node: node.fill_storage("local-lvm"))
    try:
        expect(errors).to_contain_text("Storage local-lvm has 0.0 GiB free", timeout=wizard.CHECKED_WITHIN_MS)
        expect(page.get_by_role("button", name=text.CREATE, exact=True)).to_be_disabled()
    finally:
        other.let(lambda node: node.empty_storage("local-lvm"))
    expect(errors).to_be_hidden(timeout=wizard.CHECKED_WITHIN_MS)
    expect(page.get_by_role("button", name=text.CREATE, exact=True)).to_be_enabled()
    warnings.get_by_role("button", name=text.GO_TO.format(place=text.FIELD_LABELS["hostname"])).click()
    expect(page.locator("#hostname")).to_be_focused()


def test_a_container_is_paused_before_its_first_start_where_that_was_asked_for(page: Page) -> None:
    start(page, text.NO_TEMPLATE)
    fill(page, hostname="e2e-paused")
    page.get_by_text(text.ADVANCED, exact=True).click()
    page.locator("#pause_after_create").check()
    to_review(page)
    expect(step(page, "review")).to_contain_text(text.FIELD_LABELS["pause_after_create"])
    wizard.create(page)
    expect(page.get_by_text(text.JOB_STATES["paused"]).first).to_be_visible(timeout=wizard.BUILT_WITHIN_MS)
