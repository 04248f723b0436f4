"""The time from a click on Start or Stop to PVE's POST, and to the new state in the row. Real stack, worker, Chromium.

The POST's time is when the sandbox has read it. The sandbox's tasks take PVE's time: the new state appears after 0.5 s
(stop) and 1.5 s (start) at the earliest.

    python -m bench.act
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from bench.parts import fleet, painted
from bench.parts.browser import chromium, sign_in
from bench.parts.usage import load
from lxc_dashboard import routes
from tests.e2e.stack import Stack, running_stack

CONTAINERS = 40
ACTS = 24
WARM_UP = 2
SEEN_WITHIN_S = 30.0
POST_P95_MS = 150.0
TALL = {"width": 1440, "height": 4000}
ENDS = {"stop": "stopped", "start": "running"}
# Random gaps: even ones could run in step with an interval of the product.
GAPS = random.Random(1)  # noqa: S311 - gaps, not secrets


@dataclass(frozen=True, slots=True)
class Delay:
    """The delays of one act, in ms from the click."""

    post: float
    shown: float


@dataclass(frozen=True, slots=True)
class Bench:
    page: Page
    fleet: fleet.Fleet

    async def act(self, vmid: int, verb: str) -> Delay:
        """``verb``: ``start`` or ``stop``."""
        await asyncio.sleep(GAPS.uniform(0.3, 1.3))
        await painted.forget(self.page, vmid, ENDS[verb])
        button = self._row(vmid).get_by_role("button", name=verb.capitalize())
        await button.click()
        if verb == "stop":
            await self.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        shown = await painted.painted(self.page, vmid, ENDS[verb], SEEN_WITHIN_S)
        clicked = await painted.clicked(self.page)
        received = await self.fleet.received("POST", f"/lxc/{vmid}/status/{verb}")
        return Delay((received - clicked) * 1000, (shown - clicked) * 1000)

    async def running(self) -> list[int]:
        """The vmids of running containers, in the list's order."""
        rows = self.page.locator('.guest-row[data-status="running"]')
        return [int(await row.get_attribute("data-vmid") or 0) for row in await rows.all()]

    def _row(self, vmid: int) -> Locator:
        return self.page.locator(f'.guest-row[data-vmid="{vmid}"]')


def main() -> int:
    options = ("--containers", str(CONTAINERS), "--time-scale", "1", "--stats-interval", "10")
    with (
        tempfile.TemporaryDirectory(prefix="bench-act-") as folder,
        running_stack(Path(folder), *options, sandbox=fleet.MODULE) as stack,
    ):
        delays = asyncio.run(measure(stack, Path(folder)))
    return 0 if report(delays) else 1


async def measure(stack: Stack, folder: Path) -> dict[str, list[Delay]]:
    """The delays by verb. Starts the guests in the order of their stops, whose jobs have ended by then."""
    async with chromium() as browser:
        context, page = await sign_in(browser, stack, viewport=TALL)
        await page.goto(routes.CONTAINERS)
        await expect(page.locator(".guest-row")).to_have_count(CONTAINERS)
        await painted.watch(page)
        bench = Bench(page, fleet.Fleet(folder / "sandbox"))
        vmids = (await bench.running())[: ACTS + WARM_UP]
        delays = {verb: [await bench.act(vmid, verb) for vmid in vmids][WARM_UP:] for verb in ("stop", "start")}
        await context.close()
        return delays


def report(delays: dict[str, list[Delay]]) -> bool:
    """Print the table and the last line. Returns whether the bound was reached."""
    print(f"{CONTAINERS} containers on 3 nodes, load average {load()}; ms from the click")
    print(f"{'':<16}{'acts':>8}{'p50':>8}{'p95':>8}{'worst':>8}")
    for verb, values in delays.items():
        row(f"{verb}: POST", [delay.post for delay in values])
        row(f"{verb}: shown", [delay.shown for delay in values])
    everything = [delay for values in delays.values() for delay in values]
    posts = [delay.post for delay in everything]
    p95, shown = percentile(posts), percentile([delay.shown for delay in everything])
    reached = p95 <= POST_P95_MS
    print(
        f"bench=act post_p50_ms={statistics.median(posts):.1f} post_p95_ms={p95:.1f} shown_p95_ms={shown:.0f}"
        f" verdict={'ok' if reached else 'short'}"
    )
    return reached


def row(name: str, values: list[float]) -> None:
    figures = (statistics.median(values), percentile(values), max(values))
    print(f"{name:<16}{len(values):>8}" + "".join(f"{figure:>8.0f}" for figure in figures))


def percentile(values: list[float], share: int = 95) -> float:
    """The percentile, interpolated between measured values."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


if __name__ == "__main__":
    sys.exit(main())
