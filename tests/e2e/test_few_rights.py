"""Pages of a user who may see containers but lacks VM.Console, VM.PowerMgmt and Sys.Audit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import Job, JobState
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers.power import Power
from pve_sandbox.node import SandboxNode
from tests.e2e.conftest import NewPage, accessibility_faults, fits, keep_picture, visit
from tests.e2e.job_runs import OWNER, in_services
from tests.e2e.other_nodes import OtherNode, other_node, sign_in_at
from tests.e2e.screens import SIZES, small_screen
from tests.e2e.stack import Stack

TOLD_WITHIN_MS = 60_000
MAY_NOT, MAY, LOCKED = 101, 102, 103
ACTS = "VM.PowerMgmt"
WORDS = text.GUEST_WORDS


def _few_rights(node: SandboxNode) -> None:
    node.api.directory.acl[:] = [entry for entry in node.api.directory.acl if entry.ugid != "viewer@pve"]
    node.api.grant("viewer@pve", "/vms", "VM.Audit")
    node.api.grant("viewer@pve", f"/vms/{MAY}", "VM.Audit", "VM.Console", ACTS)
    node.lock_guest(LOCKED, "backup")


@pytest.fixture(scope="module")
def elsewhere(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherNode]:
    with other_node(stack, tmp_path_factory.mktemp("node"), f"few-{secrets.token_hex(3)}", 6) as node:
        node.let(_few_rights)
        yield node


def row(page: Page, vmid: int) -> Locator:
    return page.locator(f"[data-vmid='{vmid}']")


@small_screen
def test_the_list_offers_only_consoles_that_may_be_opened_and_shows_locks(
    new_page: NewPage, elsewhere: OtherNode, scheme: str, size: str
) -> None:
    page = new_page(viewport=SIZES[size], color_scheme=scheme)
    sign_in_at(page, elsewhere.name, userid="viewer@pve")
    barred = row(page, MAY_NOT).get_by_role("button", name=f"You need VM.Console at /vms/{MAY_NOT}")
    expect(barred).to_be_disabled(timeout=TOLD_WITHIN_MS)
    expect(row(page, MAY_NOT).get_by_role("link", name=WORDS["console"])).to_have_count(0)
    expect(row(page, MAY).get_by_role("link", name=WORDS["console"])).to_be_visible()
    expect(row(page, LOCKED).get_by_text("locked: backup")).to_be_visible()
    keep_picture(page, f"few-rights-list-{size}-{scheme}")
    assert accessibility_faults(page) == []
    fits(page)


def test_acts_that_pve_would_refuse_are_disabled_and_name_the_privilege(
    new_page: NewPage, stack: Stack, elsewhere: OtherNode
) -> None:
    page = new_page()
    sign_in_at(page, elsewhere.name, userid="viewer@pve")
    reason = text.MISSING_PRIVILEGE.format(privilege=ACTS, path=f"/vms/{MAY_NOT}")
    barred = row(page, MAY_NOT).get_by_role("button", name=reason)
    expect(barred.first).to_be_disabled(timeout=TOLD_WITHIN_MS)
    expect(barred.first).to_have_attribute("title", reason)
    for act in row(page, MAY_NOT).get_by_role("button").all():
        expect(act).to_be_disabled()
    expect(row(page, MAY).get_by_role("button").first).to_be_enabled()

    visit(page, routes.job(failed_act(stack, page, MAY_NOT)))
    retry = page.get_by_role("button", name=text.RETRY, exact=True)
    expect(retry).to_be_disabled()
    expect(retry).to_have_attribute("title", reason)
    expect(page.locator(".failure").get_by_text(reason)).to_be_visible()
    assert accessibility_faults(page) == []
    keep_picture(page, "few-rights-job")
    visit(page, routes.job(failed_act(stack, page, MAY)))
    expect(page.get_by_role("button", name=text.RETRY, exact=True)).to_be_enabled()


def failed_act(stack: Stack, page: Page, vmid: int) -> UUID:
    async def store(rt: Runtime, session: Session) -> UUID:
        kind = Power.START.act.name
        job = Job(kind=kind, endpoint_id=session.endpoint_id, vmid=vmid, node="pve1", userid=session.userid)
        async with rt.db.transaction() as tx:
            await tx.jobs.add(job)
            assert await tx.leases.acquire(job.id, OWNER, 60)
            await tx.jobs.finish(job.id, OWNER, JobState.FAILED)
        return job.id

    return in_services(stack, page, store)


def test_the_page_of_a_console_that_may_not_be_opened_names_privilege_and_path(
    new_page: NewPage, elsewhere: OtherNode
) -> None:
    page = new_page()
    sign_in_at(page, elsewhere.name, userid="viewer@pve")
    visit(page, routes.console(MAY_NOT))
    expect(page.get_by_text("VM.Console", exact=True)).to_be_visible()
    expect(page.get_by_text(f"/vms/{MAY_NOT}", exact=True)).to_be_visible()


@small_screen
def test_figures_of_nodes_that_pve_does_not_tell_are_unknown(
    new_page: NewPage, elsewhere: OtherNode, scheme: str, size: str
) -> None:
    page = new_page(viewport=SIZES[size], color_scheme=scheme)
    sign_in_at(page, elsewhere.name, userid="viewer@pve")
    visit(page, routes.DASHBOARD)
    node = page.get_by_role("table", name=text.NODES_TITLE).get_by_role("row", name="pve2")
    expect(node).to_contain_text("pve2", timeout=TOLD_WITHIN_MS)
    expect(node.get_by_text("unknown", exact=True)).to_have_count(2)
    expect(node).not_to_contain_text("%")
    keep_picture(page, f"few-rights-nodes-{size}-{scheme}")
    assert accessibility_faults(page) == []
    fits(page)
