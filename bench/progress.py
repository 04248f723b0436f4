"""The time from a line printed in a guest to its paint in a page. Real stack, worker and guest, Chromium.

The guest prints the time with each line, and the page notes when it has painted it. Both use this machine's clock. The time
at which the worker received the line splits the delay in two.

    python -m bench.progress
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from playwright.async_api import Browser, Page, async_playwright, expect

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.events import log
from lxc_dashboard.services.templates.library import catalog as templates
from lxc_dashboard.services.templates.sources import sync
from lxc_dashboard.settings import Settings
from scripts.chromium import find
from tests.e2e.chromium import ARGUMENTS
from tests.e2e.stack import Stack, running_stack

LINES = 250
AT_LEAST_SEEN = 200
MUST_REACH_MS = 100.0
ENDS_WITHIN_S = 90.0
USER = "root@pam"
TEMPLATE = "bench-progress"
NODE = "pve1"
# Random gaps: even ones could run in step with an interval of the product.
SCRIPT = f"""
sleep 2
for number in $(seq 1 {LINES}); do
    echo "tick $(date +%s%N) $number"
    sleep 0.0$((RANDOM % 60 + 30))
done
"""
CONF = """
TEMPLATE_APP="bench-progress"
TEMPLATE_CPU=1
TEMPLATE_RAM=256
TEMPLATE_DISK=2
TEMPLATE_OS="debian"
TEMPLATE_VERSION="13"
"""
# A line counts as seen after the frame in which it was painted.
WATCH = """() => {
  window.seen = {};
  const look = (node) => {
    const found = /tick (\\d+) (\\d+)/.exec(node.textContent || "");
    if (!found || window.seen[found[2]]) return;
    window.seen[found[2]] = [found[1], 0];
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => { window.seen[found[2]][1] = performance.timeOrigin + performance.now(); };
      channel.port2.postMessage(null);
    });
  };
  const lines = (node) => (node.querySelectorAll ? [node, ...node.querySelectorAll(".log-line")] : [node.parentElement]);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of [...change.addedNodes, change.target]) for (const line of lines(node))
      if (line?.classList?.contains("log-line")) look(line);
  }).observe(document.querySelector(".log-box"), { childList: true, subtree: true, characterData: true });
}"""


@dataclass(frozen=True, slots=True)
class Delay:
    """The delays of one line in ms: until the worker had it, and until the page had painted it."""

    worker: float
    page: float


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-progress-") as folder, running_stack(Path(folder)) as stack:
        delays = asyncio.run(measure(stack, Path(folder)))
    return 0 if report(delays) else 1


async def measure(stack: Stack, folder: Path) -> list[Delay]:
    async with async_playwright() as playwright, Runtime.open(Settings.load(stack.environ)) as rt:
        browser = await playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)
        try:
            page, session = await signed_in(browser, stack, rt)
            job_id = await begin(rt, session, folder)
            await page.goto(f"{stack.url}/jobs/{job_id}")
            await expect(page.locator(".log-line").first).to_be_visible()
            await page.evaluate(WATCH)
            await expect(page.locator(".job-state")).to_contain_text("Ready", timeout=ENDS_WITHIN_S * 1000)
            seen: dict[str, list[Any]] = await page.evaluate("() => window.seen")
            return await delays_of(rt, job_id, seen)
        finally:
            await browser.close()


async def signed_in(browser: Browser, stack: Stack, rt: Runtime) -> tuple[Page, Session]:
    """A signed-in page, and its session."""
    context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    user, _, realm = USER.partition("@")
    await page.goto("/")
    await page.get_by_label("User").fill(user)
    await page.get_by_label("Password").fill(stack.users[USER])
    await page.get_by_label("Realm").select_option(realm)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator(".user")).to_have_text(USER)
    cookie = next(cookie for cookie in await context.cookies() if cookie["name"] == sessions.COOKIE_NAME)
    session = await sessions.find(rt, cookie["value"])
    if session is None:
        raise SystemExit("signed in, but there is no session")
    return page, session


async def begin(rt: Runtime, session: Session, folder: Path) -> UUID:
    """Request a container from a template whose script prints the time repeatedly."""
    place = folder / "templates" / TEMPLATE
    scripts = place / "container-configs" / "scripts"
    scripts.mkdir(parents=True)
    (place / "template.conf").write_text(CONF, encoding="utf-8")
    (scripts / "10-ticks.sh").write_text(SCRIPT, encoding="utf-8")
    await sync.sync_folders(rt.db, [("bench", place.parent)])
    found = await templates.list_templates(session, rt.db)
    revision_id = next(template.revision_id for template in found if template.name == TEMPLATE)
    client = await acting.client(rt, session)
    volumes = await client.storage.content(NODE, "local", "vztmpl")
    spec = ContainerSpec(NODE, volumes[0].volid, "bench-progress", "local-lvm", revision_id=revision_id)
    return await service.request(rt, session, spec)


async def delays_of(rt: Runtime, job_id: UUID, seen: dict[str, list[Any]]) -> list[Delay]:
    """The delays of all lines that the page has painted. It may not paint the last ones."""
    page = await log.page_of(rt, job_id, after=0, limit=LINES * 10)
    taken: dict[str, datetime] = {
        line.text.split()[2]: line.at for line in page.lines if line.text.startswith("tick ") and line.type == "log"
    }
    delays = []
    for number, (printed_ns, painted_ms) in seen.items():
        printed_ms = int(printed_ns) / 1e6
        if painted_ms and number in taken:
            delays.append(Delay(taken[number].timestamp() * 1000 - printed_ms, painted_ms - printed_ms))
    return delays


def report(delays: list[Delay]) -> bool:
    """Print the table and the last line. Returns whether the bound was reached."""
    if len(delays) < AT_LEAST_SEEN:
        print(f"only {len(delays)} of {LINES} lines were seen")
        print(f"bench=progress seen={len(delays)} verdict=short")
        return False
    print(f"{len(delays)} of {LINES} lines printed in a guest, ms until")
    print(f"{'':<28}{'p50':>8}{'p95':>8}{'worst':>8}")
    ways = {
        "the worker had it": [delay.worker for delay in delays],
        "the page, from the worker": [delay.page - delay.worker for delay in delays],
        "the page had painted it": [delay.page for delay in delays],
    }
    for name, values in ways.items():
        print(f"{name:<28}{statistics.median(values):>8.1f}{percentile(values):>8.1f}{max(values):>8.1f}")
    p50, p95 = statistics.median(ways["the page had painted it"]), percentile(ways["the page had painted it"])
    reached = p95 <= MUST_REACH_MS
    print(f"bench=progress p50_ms={p50:.1f} p95_ms={p95:.1f} verdict={'ok' if reached else 'short'}")
    return reached


def percentile(values: list[float], share: int = 95) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


if __name__ == "__main__":
    sys.exit(main())
