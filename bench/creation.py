"""Twenty containers at once, five scripts each: the product compared with a bare script that makes the same calls.

Measures the wall time from the first request until the last container is ready, first for the script, then for the
product, on one sandbox with real guests. Each guest's script prints a line every 0.1 s for 3 s.

The bare script (``bench/parts``) makes as many requests to PVE and entries into guests, at the same concurrency. It has no
database, queue, stream or supervisor. No page is open, and no web server runs. Each side first makes one container that is
not counted, which opens the connections. The table also has the worker's CPU time: on a loaded machine compare that.

``SANDBOX_PCT_S=0.8`` gives each call of ``pct`` the start time of a real node. One ``hello`` alone is then compared with
PVE's two tasks and four such calls.

    python -m bench.creation
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from bench.parts.bare_script import NODES, OSTEMPLATE, STORAGE, BareScript, bare_script, placed
from bench.parts.usage import cpu_s
from lxc_dashboard.db.models import Job, JobState
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.proxmox.auth import login
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.templates.library import catalog as templates
from lxc_dashboard.services.templates.sources import sync
from lxc_dashboard.settings import Settings
from tests.e2e.stack import Stack, running_stack

AT_ONCE = 20
SCRIPTS = 5
LINES = 30
GAP_S = 0.1
MUST_REACH = 1.15
PCT_CALLS = 4  # that one creation alone may add to PVE's tasks
ENDS_WITHIN_S = 120.0
SESSIONS_A_CONNECTION = 4  # of the 10 that a server allows: an ended session counts until both sides know
USER = "root@pam"
TEMPLATE = "bench-creation"
FIRST_VMID = 7001
PCT_S = float(os.environ.get("SANDBOX_PCT_S", "0"))
WARMING = "true\n"
SCRIPT = f"set -e\nfor n in $(seq {LINES}); do echo line $n; sleep {GAP_S}; done\n"
CONF = 'TEMPLATE_APP="{}"\nTEMPLATE_RAM=256\nTEMPLATE_DISK=1\nTEMPLATE_OS=debian\nTEMPLATE_VERSION=13\n'


def main() -> int:
    at_once = {"CREATES_PER_NODE": str(AT_ONCE)}  # like the bare script, which has no limit
    with (
        tempfile.TemporaryDirectory(prefix="bench-creation-") as folder,
        running_stack(Path(folder), "--pct-s", str(PCT_S), web=False, settings=at_once) as stack,
    ):
        results = asyncio.run(measure(stack, Path(folder)))
    return 0 if report(results) else 1


@dataclass(frozen=True, slots=True)
class Measured:
    """``wall_s``: until the last container was ready. ``worker_s``: CPU time of the worker."""

    wall_s: float
    worker_s: float


@dataclass(frozen=True, slots=True)
class Results:
    """``bare`` and ``product``: all at once. ``pve``: create and start of one container; ``alone``: one ``hello``."""

    bare: Measured
    product: Measured
    pve: Measured
    alone: Measured


async def measure(stack: Stack, folder: Path) -> Results:
    vmids = itertools.count(FIRST_VMID)
    async with Runtime.open(Settings.load(stack.environ)) as rt, script_of(stack) as script:
        session = await signed_in(rt, stack)
        warming, measured, hello = await revisions(rt, session, folder)
        first, second = ([next(vmids)] for _ in range(2))
        await asyncio.gather(script.make(first, WARMING, 1), made(rt, session, warming, second))
        await asyncio.gather(script.clear(first), script.clear(second))
        bare = list(itertools.islice(vmids, AT_ONCE))
        by_script = await timed(stack, script.make(bare, SCRIPT, SCRIPTS))
        await script.clear(bare)
        product = list(itertools.islice(vmids, AT_ONCE))
        by_product = await timed(stack, made(rt, session, measured, product))
        await script.clear(product)
        by_pve = await timed(stack, script.create_and_start(next(vmids), NODES[0]))
        return Results(by_script, by_product, by_pve, await timed(stack, made(rt, session, hello, [next(vmids)])))


async def timed(stack: Stack, work: Awaitable[None]) -> Measured:
    pid = stack.worker.process.pid
    used, begun = cpu_s(pid), time.perf_counter()
    await work
    return Measured(time.perf_counter() - begun, cpu_s(pid) - used)


# ------------------------------------------------------------------ the product


async def signed_in(rt: Runtime, stack: Stack) -> Session:
    choice = (await endpoints.choices(rt))[0]
    client = rt.pve.client(await endpoints.endpoint(rt, choice.id))
    ticket = await login(client, USER, stack.users[USER])
    session, _ = await sessions.begin(
        rt, endpoint_id=choice.id, endpoint_name=choice.name, ticket=ticket, address="127.0.0.1", user_agent="bench"
    )
    return session


async def revisions(rt: Runtime, session: Session, folder: Path) -> tuple[UUID, UUID, UUID]:
    """The revisions of three templates: with a script that does nothing, the measured one, and ``hello``."""
    root = folder / "templates"
    write_template(root / f"{TEMPLATE}-warming", [WARMING])
    write_template(root / TEMPLATE, [SCRIPT] * SCRIPTS)
    await sync.sync_folders(rt.db, [("bench", root), *rt.settings.template_folders()])
    found = {summary.name: summary.revision_id for summary in await templates.list_templates(session, rt.db)}
    return found[f"{TEMPLATE}-warming"], found[TEMPLATE], found["hello"]


def write_template(place: Path, scripts: Sequence[str]) -> None:
    folder = place / "container-configs" / "scripts"
    folder.mkdir(parents=True)
    (place / "template.conf").write_text(CONF.format(place.name), encoding="utf-8")
    for number, script in enumerate(scripts, 1):
        (folder / f"{number}0-script.sh").write_text(script, encoding="utf-8")


async def made(rt: Runtime, session: Session, revision_id: UUID, vmids: list[int]) -> None:
    """Request all containers at once and wait until the worker has made them."""
    jobs = await asyncio.gather(
        *(service.request(rt, session, spec_of(vmid, node, revision_id)) for vmid, node in placed(vmids))
    )
    async with asyncio.timeout(ENDS_WITHIN_S):
        while True:
            states = await states_of(rt, jobs)
            if FINISHED.issuperset(states):
                break
            await asyncio.sleep(0.1)
    if any(state is not JobState.DONE for state in states):
        raise SystemExit(f"some containers failed: {', '.join(states)}")


async def states_of(rt: Runtime, jobs: Sequence[UUID]) -> list[JobState]:
    """The jobs' states, in one cheap query, since this machine is the measured one."""
    async with rt.db.transaction() as tx:
        found = await tx.session.scalars(select(col(Job.state)).where(col(Job.id).in_(jobs)))
        return [JobState(state) for state in found]


def script_of(stack: Stack) -> AbstractAsyncContextManager[BareScript]:
    return bare_script(stack.sandbox, USER, stack.users[USER], -(-AT_ONCE // SESSIONS_A_CONNECTION))


def spec_of(vmid: int, node: str, revision_id: UUID) -> ContainerSpec:
    return ContainerSpec(
        node, OSTEMPLATE, f"bench-{vmid}", STORAGE, vmid=vmid, disk_gib=1, memory_mib=256, revision_id=revision_id
    )


def report(results: Results) -> bool:
    """Print the table and the last line. Returns whether the bounds were reached."""
    print(f"{AT_ONCE} at once, {SCRIPTS} scripts of {LINES * GAP_S:.0f} s each; each call of pct costs {PCT_S:.1f} s")
    print(f"{'':<28}{'wall, s':>10}{'worker CPU, s':>16}")
    rows = {
        "the bare script": results.bare,
        "the product": results.product,
        "PVE's create and start": results.pve,
        "one hello by the product": results.alone,
    }
    for name, figures in rows.items():
        print(f"{name:<28}{figures.wall_s:>10.2f}{figures.worker_s:>16.2f}")
    ratio = results.product.wall_s / results.bare.wall_s
    alone_limit_s = results.pve.wall_s + PCT_CALLS * PCT_S
    reached = ratio <= MUST_REACH and (not PCT_S or results.alone.wall_s <= alone_limit_s)
    print(
        f"bench=creation ratio={ratio:.2f} bare_s={results.bare.wall_s:.1f} product_s={results.product.wall_s:.1f} "
        f"worker_cpu_s={results.product.worker_s:.1f} pct_s={PCT_S:.1f} alone_s={results.alone.wall_s:.1f} "
        f"alone_limit_s={alone_limit_s:.1f} verdict={'ok' if reached else 'short'}"
    )
    return reached


if __name__ == "__main__":
    sys.exit(main())
