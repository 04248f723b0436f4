"""A sandbox without guests, and a runtime with it as the only endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from lxc_dashboard.proxmox.auth import Ticket, login
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests.integration.endpoints import endpoint_of

Begin = Callable[..., Awaitable[tuple[Session, str]]]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with SandboxNode(tmp_path / "sandbox", time_scale=0.01, stats_interval_s=0) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


@pytest.fixture
async def endpoint_id(rt: Runtime, sandbox: SandboxNode) -> UUID:
    node = endpoint_of(sandbox)
    async with rt.db.transaction() as tx:
        await tx.nodes.add(node)
    return node.id


@pytest.fixture
def begin(rt: Runtime, sandbox: SandboxNode, endpoint_id: UUID) -> Begin:
    """Begin a session with a ticket from the sandbox. ``issued_at`` of the ticket may be in the past."""

    async def begun(userid: str = "root@pam", issued_at: float | None = None) -> tuple[Session, str]:
        client = rt.pve.client(await endpoints.endpoint(rt, endpoint_id))
        ticket = await login(client, userid, sandbox.demo.passwords()[userid])
        if issued_at is not None:
            ticket = Ticket(ticket.userid, ticket.ticket, ticket.csrf_token, issued_at)
        return await sessions.begin(
            rt, endpoint_id=endpoint_id, endpoint_name="sandbox", ticket=ticket, address="192.0.2.7", user_agent="test"
        )

    return begun
