"""A sandbox node as an endpoint, and sessions of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.proxmox.auth import login
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode


def endpoint_of(sandbox: SandboxNode) -> ProxmoxNode:
    """The sandbox as the default endpoint, without SSH."""
    return ProxmoxNode(
        name="sandbox", host="127.0.0.1", port=sandbox.api_port, fingerprint=sandbox.fingerprint, is_default=True
    )


@asynccontextmanager
async def runtime_over(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    """A runtime with the sandbox as its only endpoint."""
    async with Runtime.open(settings) as runtime:
        async with runtime.db.transaction() as tx:
            await tx.nodes.add(endpoint_of(sandbox))
        yield runtime


async def sign_in(
    rt: Runtime, sandbox: SandboxNode, userid: str = "root@pam", endpoint_id: UUID | None = None
) -> Session:
    """A session with a ticket from the sandbox, at the given endpoint or the first one."""
    known = {choice.id: choice for choice in await endpoints.choices(rt)}
    choice = known[endpoint_id] if endpoint_id else next(iter(known.values()))
    client = rt.pve.client(await endpoints.endpoint(rt, choice.id))
    ticket = await login(client, userid, sandbox.demo.passwords()[userid])
    session, _ = await sessions.begin(
        rt, endpoint_id=choice.id, endpoint_name=choice.name, ticket=ticket, address="192.0.2.7", user_agent="test"
    )
    return session
