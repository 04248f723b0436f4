"""Jobs for the browser tests: run as the page's user with scripts of the test, or written to the database."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from playwright.sync_api import Locator, Page

from lxc_dashboard.db.models import CREATE_KIND, Container, EventType, Job, JobState, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.templates.library import catalog as templates
from lxc_dashboard.services.templates.sources import sync
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack

T = TypeVar("T")

RUN_MS = 120_000
NODE = "pve1"
OWNER = "test:1"
# A line of a script: wait for ``let_go``.
GATE = "until [ -e /root/go ]; do sleep 0.1; done\n"
CONF = 'TEMPLATE_APP="{name}"\nTEMPLATE_CPU=1\nTEMPLATE_RAM=256\nTEMPLATE_DISK=2\nTEMPLATE_OS="debian"\n'


def in_services(stack: Stack, page: Page, work: Callable[[Runtime, Session], Awaitable[T]]) -> T:
    """Run ``work`` with the page's session. It gets its own loop, as Playwright's loop runs in this thread."""
    cookie = next(cookie for cookie in page.context.cookies() if cookie["name"] == sessions.COOKIE_NAME)

    async def run() -> T:
        async with Runtime.open(Settings.load(stack.environ)) as rt:
            session = await sessions.find(rt, cookie["value"])
            assert session is not None
            return await work(rt, session)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(run())).result()


def write_template(folder: Path, name: str, scripts: Mapping[str, str]) -> None:
    place = folder / name / "container-configs" / "scripts"
    place.mkdir(parents=True, exist_ok=True)
    (folder / name / "template.conf").write_text(CONF.format(name=name), encoding="utf-8")
    for script, content in scripts.items():
        (place / script).write_text(f"#!/bin/bash\n{content}", encoding="utf-8")


def begin(
    stack: Stack, page: Page, folder: Path, scripts: Mapping[str, str], hostname: str = "job-01", **changes: Any
) -> str:
    """Start a job that runs ``scripts``; return its id. ``changes`` apply to its spec.

    Its template sorts last in the list, off the first page.
    """
    name = f"zz-e2e-{secrets.token_hex(4)}"
    write_template(folder, name, scripts)

    async def request(rt: Runtime, session: Session) -> str:
        await sync.sync_folders(rt.db, [(name, folder)])
        found = await templates.list_templates(session, rt.db)
        revision_id = next(template.revision_id for template in found if template.name == name)
        client = await acting.client(rt, session)
        volumes = await client.storage.content(NODE, "local", "vztmpl")
        spec = ContainerSpec(NODE, volumes[0].volid, hostname, "local-lvm", revision_id=revision_id, **changes)
        return str(await service.request(rt, session, spec))

    return in_services(stack, page, request)


def change(stack: Stack, page: Page, folder: Path, scripts: Mapping[str, str]) -> str:
    """Make a new revision of the template that ``begin`` wrote into ``folder``; return its name."""
    [name] = [place.name for place in folder.iterdir() if place.name.startswith("zz-e2e-")]
    write_template(folder, name, scripts)

    async def read(rt: Runtime, session: Session) -> None:
        assert (await sync.sync_folders(rt.db, [(name, folder)]))[0].changed == (name,)

    in_services(stack, page, read)
    return name


def write(
    stack: Stack,
    page: Page,
    vmid: int,
    events: Sequence[NewEvent],
    state: JobState = JobState.DONE,
    *,
    hostname: str = "job-01",
) -> str:
    """Store an ended job with these events; return its id."""
    return write_many(stack, page, {vmid: hostname}, events, state)[0]


def write_many(
    stack: Stack,
    page: Page,
    guests: Mapping[int, str],
    events: Sequence[NewEvent],
    state: JobState = JobState.DONE,
) -> list[str]:
    """Like ``write``, for several jobs: one for each vmid and hostname."""

    async def store(rt: Runtime, session: Session) -> list[str]:
        return [
            await _stored(rt, session, vmid, hostname, events=events, state=state) for vmid, hostname in guests.items()
        ]

    return in_services(stack, page, store)


async def _stored(
    rt: Runtime, session: Session, vmid: int, hostname: str, *, events: Sequence[NewEvent], state: JobState
) -> str:
    spec = ContainerSpec(NODE, "local:vztmpl/debian.tar.zst", hostname, "local-lvm")
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid, node=NODE, hostname=hostname)
        )
        row = Job.about(container, CREATE_KIND, step="creating", userid=session.userid, params=spec.to_json())
        await tx.jobs.add(row)
        assert await tx.leases.acquire(row.id, OWNER, 60)
        await tx.events.append(row.id, OWNER, events)
        await tx.jobs.finish(row.id, OWNER, state)
    return str(row.id)


def vmid_of(stack: Stack, page: Page, job_id: str) -> int:
    async def read(rt: Runtime, session: Session) -> int:
        return (await service.get_job(rt, session, UUID(job_id))).vmid

    return in_services(stack, page, read)


def let_go(stack: Stack, vmid: int) -> None:
    """Let a script that waits at ``GATE`` go on."""
    NodeSide(stack).run(vmid, "touch /root/go")


def state_of(stack: Stack, page: Page, job_id: str) -> str:
    async def read(rt: Runtime, session: Session) -> str:
        return (await service.get_job(rt, session, UUID(job_id))).state.value

    return in_services(stack, page, read)


def printed(count: int, phase: Phase = Phase.SYNCING, at_once: int = 500) -> list[NewEvent]:
    """``count`` numbered lines in chunks, as a worker stores them."""
    events = []
    for first in range(1, count + 1, at_once):
        lines = [f"line {number}" for number in range(first, min(count, first + at_once - 1) + 1)]
        message = "\n".join(lines)
        events.append(NewEvent(EventType.LOG, phase, 70, message, lines=len(lines), script="20-flood.sh"))
    return events


def state(page: Page) -> Locator:
    return page.locator(".job-facts .job-state")


def line(page: Page, text: str) -> Locator:
    return page.locator(".log-line", has=page.locator(".log-text", has_text=re.compile(f"^{re.escape(text)}$")))


def step(page: Page, title: str) -> Locator:
    return page.locator(".step", has_text=title)
