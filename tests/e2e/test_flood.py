"""A script that prints 200 MB: no process grows with the output, the page stays responsive, no line is lost."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from tests.e2e.conftest import visit
from tests.e2e.job_runs import RUN_MS, begin, in_services, state
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Child, Stack

pytestmark = pytest.mark.full

PRINTED_BYTES = 200_000_000
LINE_CHARS = 125
LINES = PRINTED_BYTES // LINE_CHARS
FLOOD = f"""
echo "the flood begins"
until [ -e /root/go ]; do sleep 0.1; done
yes "$(printf '%0{LINE_CHARS - 1}d' 7)" | head -n {LINES}
echo "the flood is over"
"""
ENDS_WITHIN_MS = 800_000
# Growth over the memory at rest. The page holds a few hundred lines.
WORKER_GROWTH_BYTES = 150 * 1024 * 1024
WEB_GROWTH_BYTES = 100 * 1024 * 1024
PAGE_HEAP_BYTES = 100 * 1024 * 1024


def peak_bytes(child: Child) -> int:
    """The peak resident memory of the process."""
    status = Path(f"/proc/{child.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.timeout(1500)
def test_two_hundred_megabytes_of_output_stall_nothing_and_are_all_kept(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    watched = [(stack.worker, WORKER_GROWTH_BYTES), (stack.children["web"], WEB_GROWTH_BYTES)]
    at_rest = [peak_bytes(child) for child, _ in watched]
    job = begin(stack, page, tmp_path, {"10-flood.sh": FLOOD}, hostname="flood-01")
    visit(page, routes.job(job))
    expect(page.locator(".log-line").filter(has_text="the flood begins")).to_be_visible(timeout=RUN_MS)
    NodeSide(stack).run(vmid_of(stack, page, job), "touch /root/go")
    page.get_by_role("button", name="Follow").or_(page.get_by_role("button", name="Pause")).first.click()
    page.get_by_label("Search the log").fill("flood begins")
    expect(page.locator(".log-found")).to_contain_text("1 of 1", timeout=RUN_MS)
    page.get_by_label("Search the log").fill("")
    expect(state(page)).to_contain_text("Ready", timeout=ENDS_WITHIN_MS)
    assert page.locator(".log-line").count() < 300
    assert heap_bytes(page) < PAGE_HEAP_BYTES
    for (child, allowed), before in zip(watched, at_rest, strict=True):
        assert peak_bytes(child) - before < allowed, child.name
    assert downloaded(page, f"{stack.url}{routes.CREATIONS}/{job}/log.txt") == (LINES, True)


def heap_bytes(page: Page) -> int:
    """The size of the page's JavaScript heap."""
    inspector = page.context.new_cdp_session(page)
    inspector.send("HeapProfiler.collectGarbage")
    return int(inspector.send("Runtime.getHeapUsage")["usedSize"])


def vmid_of(stack: Stack, page: Page, job: str) -> int:
    async def read(rt: Runtime, session: Session) -> int:
        return (await service.get_job(rt, session, UUID(job))).vmid

    return in_services(stack, page, read)


def downloaded(page: Page, url: str) -> tuple[int, bool]:
    """How many lines of the flood the log's download holds, and whether it is complete.

    Not through the browser, whose driver would hold the whole file in memory.
    """
    cookies = {str(cookie["name"]): str(cookie["value"]) for cookie in page.context.cookies()}
    count, is_whole = 0, False
    with httpx.stream("GET", url, cookies=cookies, timeout=60) as answer:
        assert answer.status_code == httpx.codes.OK
        for line in answer.iter_lines():
            count += line.endswith("0007")
            is_whole = is_whole or line.endswith("the flood is over")
    return count, is_whole
