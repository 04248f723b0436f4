"""A sandbox node as the product's endpoint, and sessions of its users."""

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
    """The default one, without doors."""
    return ProxmoxNode(
        name="sandbox", host="127.0.0.1", port=sandbox.api_port, fingerprint=sandbox.fingerprint, is_default=True
    )


@asynccontextmanager
async def runtime_over(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    """With the sandbox as its one endpoint."""
    async with Runtime.open(settings) as runtime:
        async with runtime.db.transaction() as tx:
            await tx.nodes.add(endpoint_of(sandbox))
        yield runtime


async def sign_in(
    rt: Runtime, sandbox: SandboxNode, userid: str = "root@pam", endpoint_id: UUID | None = None
) -> Session:
    """A session of a user whom PVE has let in, at the first endpoint or the one of that id."""
    known = {choice.id: choice for choice in await endpoints.choices(rt)}
    choice = known[endpoint_id] if endpoint_id else next(iter(known.values()))
    client = rt.pve.client(await endpoints.endpoint(rt, choice.id))
    ticket = await login(client, userid, sandbox.demo.passwords()[userid])
    session, _ = await sessions.begin(
        rt, endpoint_id=choice.id, endpoint_name=choice.name, ticket=ticket, address="192.0.2.7", user_agent="test"
    )
    return session
