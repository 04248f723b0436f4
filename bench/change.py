"""The time from a guest's new state in PVE to its paint in an open page. Real web server and worker, sandbox, Chromium.

The sandbox's statistics lag by 10 s and its tasks take PVE's time. Three kinds of change: ``without_task``, a guest powers
itself off; ``by_others``, a user starts it in PVE; ``by_us``, a user starts it in the page. The time starts when the
sandbox's guest has its new state.

    python -m bench.change
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page, expect

from bench.parts import fleet, painted
from bench.parts.browser import USER, chromium, sign_in
from bench.parts.usage import load
from lxc_dashboard import routes
from lxc_dashboard.proxmox.auth import TicketAuth, login
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints
from lxc_dashboard.settings import Settings
from tests.e2e.stack import Stack, running_stack

CONTAINERS = 80
WITHOUT_TASK, BY_OTHERS, BY_US = 48, 12, 4
WITHOUT_TASK_IN_S = 24.0
SEEN_WITHIN_S = 30.0
MUST = {"without_task": 12.0, "by_others": 2.5, "by_us": 0.5}
TALL = {"width": 1440, "height": 4000}


@dataclass(frozen=True, slots=True)
class Guest:
    vmid: int
    node: str


@dataclass(frozen=True, slots=True)
class Bench:
    page: Page
    pve: ProxmoxClient
    fleet: fleet.Fleet

    async def delay(self, guest: Guest, status: str, changed_at: float) -> float:
        """Seconds from ``changed_at`` until the page has painted ``status``."""
        return await painted.painted(self.page, guest.vmid, status, SEEN_WITHIN_S) - changed_at

    async def without_task(self, guest: Guest, after_s: float) -> float:
        await asyncio.sleep(after_s)
        return await self.delay(guest, "stopped", await self.fleet.power_off(guest.vmid))

    async def by_others(self, guest: Guest, after_s: float) -> float:
        await asyncio.sleep(after_s)
        return await self._acted(guest, lambda: self.pve.lxc.start(guest.node, guest.vmid))

    async def by_us(self, guest: Guest) -> float:
        row = self.page.locator(f'.guest-row[data-vmid="{guest.vmid}"]')
        return await self._acted(guest, row.get_by_role("button", name="Start").click)

    async def _acted(self, guest: Guest, act: Callable[[], Awaitable[object]]) -> float:
        await painted.forget(self.page, guest.vmid, "running")
        changed = asyncio.create_task(self.fleet.changed(guest.vmid, "running"))
        await act()
        return await self.delay(guest, "running", await changed)


def main() -> int:
    options = ("--containers", str(CONTAINERS), "--time-scale", "1", "--stats-interval", "10")
    with (
        tempfile.TemporaryDirectory(prefix="bench-change-") as folder,
        running_stack(Path(folder), *options, sandbox=fleet.MODULE) as stack,
    ):
        delays, requests_min = asyncio.run(measure(stack, Path(folder)))
    return 0 if report(delays, requests_min) else 1


async def measure(stack: Stack, folder: Path) -> tuple[dict[str, list[float]], float]:
    """The delays by kind in seconds, and the requests to PVE a minute without acts."""
    async with chromium() as browser, Runtime.open(Settings.load(stack.environ)) as rt:
        context, page = await sign_in(browser, stack, viewport=TALL)
        await page.goto(routes.CONTAINERS)
        await expect(page.locator(".guest-row")).to_have_count(CONTAINERS)
        await painted.watch(page)
        bench = Bench(page, await others_client(rt, stack), fleet.Fleet(folder / "sandbox"))
        running, stopped = await guests(bench)
        begun, before = asyncio.get_running_loop().time(), await bench.fleet.requests()
        times = moments(WITHOUT_TASK, WITHOUT_TASK_IN_S)
        delays = {"without_task": await gathered(map(bench.without_task, running[:WITHOUT_TASK], times))}
        minutes = (asyncio.get_running_loop().time() - begun) / 60
        requests = await bench.fleet.requests() - before
        stopped += running[:WITHOUT_TASK]
        times = moments(BY_OTHERS, BY_OTHERS * 0.8)
        delays["by_others"] = await gathered(map(bench.by_others, stopped[:BY_OTHERS], times))
        delays["by_us"] = [await bench.by_us(guest) for guest in stopped[BY_OTHERS : BY_OTHERS + BY_US]]
        await context.close()
        return delays, requests / minutes


async def gathered(delays: Iterator[Awaitable[float]]) -> list[float]:
    return list(await asyncio.gather(*delays))


def moments(count: int, within_s: float) -> list[float]:
    chance = random.Random(count)  # noqa: S311 - moments, not secrets
    return [chance.uniform(0, within_s) for _ in range(count)]


async def others_client(rt: Runtime, stack: Stack) -> ProxmoxClient:
    choice = (await endpoints.choices(rt))[0]
    endpoint = await endpoints.endpoint(rt, choice.id)
    return rt.pve.client(endpoint, TicketAuth(await login(rt.pve.client(endpoint), USER, stack.users[USER])))


async def guests(bench: Bench) -> tuple[list[Guest], list[Guest]]:
    """The running and the stopped guests, in random order."""
    entries = [entry for entry in await bench.pve.cluster.resources("vm") if entry.type == "lxc"]
    random.Random(1).shuffle(entries)  # noqa: S311 - an order, not secrets
    by_status = {
        status: [Guest(entry.vmid, entry.node) for entry in entries if entry.status == status]
        for status in ("running", "stopped")
    }
    return by_status["running"], by_status["stopped"]


def report(delays: dict[str, list[float]], requests_min: float) -> bool:
    """Print the table and the last line. Returns whether every bound was reached."""
    print(f"{CONTAINERS} containers on 3 nodes, load average {load()}; seconds until the page has painted a change")
    print(f"{'':<16}{'changes':>8}{'p50':>8}{'p95':>8}{'worst':>8}{'bound':>8}")
    p95 = {kind: percentile(values) for kind, values in delays.items()}
    for kind, values in delays.items():
        row = (statistics.median(values), p95[kind], max(values), MUST[kind])
        print(f"{kind:<16}{len(values):>8}" + "".join(f"{figure:>8.2f}" for figure in row))
    reached = all(p95[kind] <= bound for kind, bound in MUST.items())
    figures_line = " ".join(f"{kind}_p95_s={value:.2f}" for kind, value in p95.items())
    p50 = statistics.median(delays["without_task"])
    print(
        f"bench=change {figures_line} without_task_p50_s={p50:.2f} requests_min={requests_min:.1f} verdict={'ok' if reached else 'short'}"
    )
    return reached


def percentile(values: list[float], share: int = 95) -> float:
    """The percentile, interpolated between measured values."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


if __name__ == "__main__":
    sys.exit(main())
