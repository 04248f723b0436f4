"""More sandbox nodes, without guest systems. They run in this process, so that a test can make them fail."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect
from sqlalchemy import delete
from sqlmodel import col

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import Job, ProxmoxNode
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode
from tests.e2e.conftest import SIGN_IN_TIMEOUT_MS, until_it_takes_input, visit
from tests.e2e.stack import Stack

STARTS_WITHIN_S = 120


@dataclass
class OtherNode:
    """A registered endpoint ``name``. Its node runs on another loop: ``let`` calls it there."""

    name: str
    node: SandboxNode
    loop: asyncio.AbstractEventLoop

    def let(self, act: Callable[[SandboxNode], None]) -> None:
        done = threading.Event()

        def call() -> None:
            act(self.node)
            done.set()

        self.loop.call_soon_threadsafe(call)
        assert done.wait(STARTS_WITHIN_S)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """A loop that runs to the end of the tests, as the web server keeps connections to the node open."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="other sandbox nodes", daemon=True).start()
    return loop


@contextlib.contextmanager
def other_node(stack: Stack, folder: Path, name: str, containers: int, nodes: int = 3) -> Iterator[OtherNode]:
    """A node that is registered as an endpoint for the length of the block."""
    demo = DemoCluster(nodes, containers)
    node = SandboxNode(folder, demo=demo, time_scale=0.05, stats_interval_s=1, auth_delay_s=0)
    loop = _loop()
    asyncio.run_coroutine_threadsafe(node.start(), loop).result(STARTS_WITHIN_S)
    try:
        asyncio.run_coroutine_threadsafe(_register(stack, name, node), loop).result(STARTS_WITHIN_S)
        yield OtherNode(name, node, loop)
    finally:
        asyncio.run_coroutine_threadsafe(_forget(stack, name), loop).result(STARTS_WITHIN_S)
        asyncio.run_coroutine_threadsafe(node.close(), loop).result(STARTS_WITHIN_S)


async def _register(stack: Stack, name: str, node: SandboxNode) -> None:
    async with Runtime.open(Settings.load(stack.environ)) as rt, rt.db.transaction() as tx:
        await tx.nodes.add(
            ProxmoxNode(name=name, host="127.0.0.1", port=node.api_port, fingerprint=node.fingerprint, doors={})
        )


async def _forget(stack: Stack, name: str) -> None:
    async with Runtime.open(Settings.load(stack.environ)) as rt, rt.db.transaction() as tx:
        known = await tx.nodes.by_name(name)
        if known is not None:
            await tx.session.execute(delete(Job).where(col(Job.endpoint_id) == known.id))
            await tx.nodes.delete(known.id)


def sign_in_at(
    page: Page,
    endpoint: str,
    path: str = routes.CONTAINERS,
    title: str = text.NAV_CONTAINERS,
    userid: str = "root@pam",
) -> None:
    """Sign in at another endpoint. Ends on the page of ``path``, when it takes input."""
    _fill_sign_in_at(page, endpoint, path, userid)
    expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=SIGN_IN_TIMEOUT_MS)
    until_it_takes_input(page)


def sign_in_unseen_at(page: Page, endpoint: str) -> None:
    """Like ``sign_in_at``, but opens no page: any page would have PVE asked for its tasks."""
    _fill_sign_in_at(page, endpoint, routes.LIVE)
    page.wait_for_url(f"**{routes.LIVE}", timeout=SIGN_IN_TIMEOUT_MS)


def _fill_sign_in_at(page: Page, endpoint: str, path: str, userid: str = "root@pam") -> None:
    visit(page, routes.sign_in(path))
    page.get_by_label(text.ENDPOINT).select_option(label=endpoint)
    # The userid includes the realm: choosing an endpoint reloads the realms, which may reset a chosen realm.
    page.get_by_label(text.USER).fill(userid)
    page.get_by_label(text.PASSWORD).fill("sandbox")
    page.get_by_role("button", name=text.SIGN_IN).click()
