"""Memory that many closed tabs leave in the real web process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.integration.web.conftest import Visitor, has_loaded, tab

# Ten rounds take 70 s more: 264 MiB after the second, 268 after the tenth. If states were kept: 10 MiB more per round.
TABS, WARM_ROUNDS, ROUNDS, AT_ONCE = 200, 2, 4, 20
MIB = 1 << 20
# How much memory the allocator keeps varies between runs.
SPREAD_BYTES = 12 * MIB

pytestmark = pytest.mark.timeout(600)


def memory_bytes(stack: Stack) -> int:
    """Resident memory of all processes of the web server."""
    first = stack.children["web"].process.pid
    workers = Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii").split()
    return sum(map(resident_bytes, (first, *map(int, workers))))


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


async def open_and_close(visitor: Visitor, count: int) -> None:
    """Open ``count`` tabs, wait until all are loaded, then close all."""
    places = asyncio.Semaphore(AT_ONCE)
    all_open = asyncio.Barrier(count)

    async def one() -> None:
        async with tab(visitor, "/nowhere") as opened:
            async with places:
                await opened.until(has_loaded)
            await all_open.wait()

    await asyncio.gather(*(one() for _ in range(count)))


@pytest.mark.full
async def test_tabs_that_were_opened_and_closed_leave_the_memory_where_it_was(stack: Stack, signed_in: Visitor) -> None:
    for _ in range(WARM_ROUNDS):
        await open_and_close(signed_in, TABS)
    before = memory_bytes(stack)
    for _ in range(ROUNDS):
        await open_and_close(signed_in, TABS)
    after = memory_bytes(stack)
    assert after - before < SPREAD_BYTES, (before // MIB, after // MIB)
