"""Batches in a browser: live, beside a second viewer, cancelled and retried together."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import batches
from lxc_dashboard.services.creation.form.batch import NEEDS_RANGE, VMID_BY_HAND
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.templates.library import catalog as templates
from lxc_dashboard.services.templates.sources import sync
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, accessibility_faults, fits, keep_picture, sign_in, visit
from tests.e2e.job_runs import NODE, RUN_MS, in_services, write_template
from tests.e2e.node_side import NodeSide
from tests.e2e.screens import SIZES
from tests.e2e.stack import Stack


def ask(stack: Stack, page: Page, pattern: str, folder: Path | None = None, script: str = "") -> str:
    """Request a batch as the page's user, with ``script`` for each container; return its id."""
    name = f"zz-e2e-{secrets.token_hex(4)}"
    if folder is not None:
        write_template(folder, name, {"10-script.sh": script})

    async def request(rt: Runtime, session: Session) -> str:
        revision_id = None
        if folder is not None:
            await sync.sync_folders(rt.db, [(name, folder)])
            found = await templates.list_templates(session, rt.db)
            revision_id = next(template.revision_id for template in found if template.name == name)
        client = await acting.client(rt, session)
        volumes = await client.storage.content(NODE, "local", "vztmpl")
        spec = ContainerSpec(NODE, volumes[0].volid, "placeholder", "local-lvm", revision_id=revision_id, disk_gib=2)
        return str(await batches.request_batch(rt, session, pattern, spec))

    return in_services(stack, page, request)


def rows(page: Page) -> Locator:
    return page.get_by_role("region", name=text.BATCH_CONTAINERS).locator("tbody tr")


def totals(page: Page) -> Locator:
    return page.get_by_role("group", name=text.BATCH_TOTALS)


def test_a_batch_is_watched_to_its_end_by_two_viewers(page: Page, new_page: NewPage, stack: Stack) -> None:
    batch = ask(stack, page, "seen-{01..03}")
    visit(page, routes.batch(batch))
    expect(page.get_by_role("heading", level=1)).to_have_text("seen-{01..03}")
    expect(rows(page)).to_have_count(3)
    expect(page.locator(".nav [aria-current=page]")).to_have_text(text.NAV_JOBS)
    other = new_page()
    sign_in(other, stack, "operator@pve", routes.batch(batch))
    for viewer in (page, other):
        expect(totals(viewer)).to_contain_text("3 ready", timeout=RUN_MS)
        expect(viewer.get_by_text(text.BATCH_ALL_READY)).to_be_visible()
        expect(rows(viewer).nth(1)).to_contain_text(re.compile(r"Ready\s*100 %\s*seen-02\s*\d{3}\s*\d+\.\d+"))
        expect(viewer.get_by_role("button", name=text.BATCH_CANCEL)).to_have_count(0)
    rows(page).first.get_by_role("link", name="seen-01").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("seen-01")
    page.get_by_role("link", name=text.BATCH_OF_JOB).click()
    expect(page).to_have_url(f"{stack.url}{routes.batch(batch)}")
    visit(page, routes.JOBS)
    page.get_by_role("link", name=text.BATCH_OF_JOB).first.click()
    expect(page).to_have_url(re.compile(r"/batches/[0-9a-f-]{36}$"))


def test_all_that_has_not_ended_is_cancelled_at_once(page: Page, stack: Stack, tmp_path: Path) -> None:
    batch = ask(stack, page, "held-{a,b}", tmp_path, "until [ -e /root/go ]; do sleep 0.1; done\n")
    visit(page, routes.batch(batch))
    expect(totals(page)).to_contain_text("2 running or waiting")
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name=text.BATCH_CANCEL).click()
    dialog = page.get_by_role("dialog", name="Cancel the creation of 2 containers of held-{a,b}?")
    expect(dialog.get_by_role("button", name=text.DO_NOT_CANCEL)).to_be_visible()
    dialog.get_by_role("button", name=text.BATCH_CANCEL_VERB).click()
    expect(page.get_by_text("Cancelling 2 jobs")).to_be_visible()
    expect(totals(page)).to_contain_text("2 cancelled or destroyed", timeout=RUN_MS)
    expect(rows(page).filter(has_text="Cancelled")).to_have_count(2)


def test_all_that_failed_is_retried_by_its_own_user_alone(
    page: Page, new_page: NewPage, stack: Stack, tmp_path: Path
) -> None:
    script = '[ "$(hostname)" = again-1 ] || [ -e /root/tried ] || { touch /root/tried; echo broken; exit 3; }\n'
    batch = ask(stack, page, "again-{1..3}", tmp_path, script)
    visit(page, routes.batch(batch))
    expect(totals(page)).to_contain_text("2 failed", timeout=RUN_MS)
    expect(totals(page)).to_contain_text("1 ready", timeout=RUN_MS)
    expect(rows(page).nth(1)).to_contain_text("Failed in syncing")
    expect(rows(page).nth(1)).to_contain_text("10-script.sh")
    other = new_page()
    sign_in(other, stack, "viewer@pve", routes.batch(batch))
    expect(totals(other)).to_contain_text("2 failed")
    expect(other.get_by_role("button", name=text.BATCH_RETRY)).to_have_count(0)
    page.get_by_role("button", name=text.BATCH_RETRY).click()
    expect(page.get_by_text("Queued 2 failed jobs again")).to_be_visible()
    for viewer in (page, other):
        expect(totals(viewer)).to_contain_text("3 ready", timeout=RUN_MS)


def test_the_page_of_a_batch_can_be_read_by_everybody(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, stack: Stack, tmp_path: Path
) -> None:
    batch = ask(stack, page, "look-{1..3}", tmp_path, '[ "$(hostname)" != look-2 ] || exit 3\n')
    for scheme, size in (("light", "desk"), ("dark", "phone")):
        viewer = new_page(storage_state=signed_in_as(), color_scheme=scheme, viewport=SIZES[size])
        visit(viewer, routes.batch(batch))
        expect(totals(viewer)).to_contain_text("1 failed", timeout=RUN_MS)
        expect(totals(viewer)).to_contain_text("2 ready", timeout=RUN_MS)
        cause = rows(viewer).nth(1).get_by_text("10-script.sh ended with status 3").locator("visible=true")
        expect(cause).to_have_count(1)
        keep_picture(viewer, f"batch-{size}-{scheme}")
        assert accessibility_faults(viewer) == []
        fits(viewer)


def test_the_wizard_makes_three_from_a_pattern_and_a_range(page: Page, stack: Stack) -> None:
    wizard.start(page, text.NO_TEMPLATE)
    wizard.fill(page, hostname_pattern="made-{01..03}", disk_gib="2", memory_mib="256")
    page.locator("#ipv4_mode").select_option("static")
    wizard.fill(page, ipv4_range="10.93.0.10-10.93.0.29/24", ipv4_gateway="10.93.0.10")
    for hidden in ("hostname", "ipv4_address"):
        expect(page.locator(f"#{hidden}")).to_be_hidden()
    expect(page.locator(".wizard-aside")).to_contain_text("made-{01..03}, 3 containers")
    for name in wizard.STEPS[2:]:
        wizard.forward(page, name)
    heading = page.get_by_role("heading", name="3 containers: made-01 … made-03, 10.93.0.11 … 10.93.0.13")
    expect(heading).to_be_visible(timeout=RUN_MS)
    planned = page.get_by_role("region", name=text.SEVERAL_PLANNED).locator("tbody tr")
    expect(planned).to_have_count(3)
    expect(planned.nth(1)).to_contain_text("10.93.0.12/24")
    keep_picture(page, "wizard-several-review")
    assert accessibility_faults(page) == []
    page.get_by_role("button", name=text.CREATE, exact=True).click(timeout=RUN_MS)
    page.wait_for_url(re.compile(r"/batches/[0-9a-f-]{36}$"), timeout=RUN_MS)
    expect(totals(page)).to_contain_text("3 ready", timeout=RUN_MS)
    expect(rows(page).nth(2)).to_contain_text(re.compile(r"made-03\s*\d{3}\s*10\.93\.0\.13"))
    node = NodeSide(stack)
    for number in (1, 2, 3):
        (guest,) = node.guests(f"made-{number:02d}")
        assert f"ip=10.93.0.1{number}/24" in node.config(guest["node"], guest["vmid"])["net0"]


def test_the_wizard_says_beside_each_field_what_is_wrong_with_several(page: Page) -> None:
    wizard.start(page, text.NO_TEMPLATE)
    wizard.fill(page, hostname_pattern="web-{1..101}", vmid="105")
    page.locator("#ipv4_mode").select_option("static")
    page.locator("#forward").click()
    expect(wizard.fault(page, "hostname_pattern")).to_have_text("At most 100 at once; these are 101")
    expect(wizard.fault(page, "vmid")).to_have_text(text.in_words_of(VMID_BY_HAND))
    expect(wizard.fault(page, "ipv4_range")).to_have_text(text.in_words_of(NEEDS_RANGE))
    keep_picture(page, "wizard-several-faults")
    assert accessibility_faults(page) == []
    wizard.fill(page, hostname_pattern="web-{1..3}", vmid="", ipv4_range="10.94.0.10-11/24")
    for name in wizard.STEPS[2:]:
        wizard.forward(page, name)
    expect(page.locator("#findings")).to_contain_text("2 of its addresses are free, 3 are needed", timeout=RUN_MS)
    expect(page.get_by_role("button", name=text.CREATE, exact=True)).to_be_disabled()
