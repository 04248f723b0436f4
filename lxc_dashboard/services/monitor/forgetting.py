"""Forgets containers that were deleted in PVE, by schedule, even if no page is open."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import AuthError, DashboardError, ServiceUnavailableError
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.services.auth import acting, endpoints, sessions
from lxc_dashboard.services.jobs.identity import LOST, forget_lost, standings

if TYPE_CHECKING:
    from lxc_dashboard.db.models import ProxmoxNode
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

ENDPOINT_WITHIN_S: Final = 20.0
ANSWER_WITHIN_S: Final = 8.0
CHECKS_PER_RUN: Final = 50
SESSIONS_TRIED: Final = 3


async def forget_due(rt: Runtime) -> int:
    """Forget the containers that the endpoints no longer have. Returns their number."""
    try:
        async with rt.db.transaction() as tx:
            nodes = await tx.nodes.list()
        return sum(await asyncio.gather(*(_forget_or_log(rt, node) for node in nodes)))
    except ServiceUnavailableError as error:
        log.warning("search for deleted containers failed", why=str(error))
        return 0


async def _forget_or_log(rt: Runtime, node: ProxmoxNode) -> int:
    """Log an error instead of raising it, so that the other endpoints go on."""
    try:
        async with asyncio.timeout(ENDPOINT_WITHIN_S):
            return await _forget_at(rt, node)
    except (DashboardError, TimeoutError) as error:
        log.info("search for deleted containers failed", endpoint=node.name, why=str(error))
        return 0


async def _forget_at(rt: Runtime, node: ProxmoxNode) -> int:
    """``GET /cluster/resources``, and ``/cluster/nextid?vmid=`` for at most ``CHECKS_PER_RUN`` containers.

    The list holds only what its user may see. So a listed container exists, and ``nextid`` decides about the others.
    """
    async with rt.db.transaction() as tx:
        known = [guest for guest in await tx.containers.known(node.id) if guest.has_ended]
    if not known:
        return 0
    async for client in _clients(rt, node):
        try:
            resources = await client.cluster.resources()
        except AuthError as error:
            log.info("credentials refused", endpoint=node.name, why=str(error))
            continue
        listed = {entry.vmid for entry in resources if entry.is_guest}
        unlisted = [guest for guest in known if guest.vmid not in listed]
        suspects = random.sample(unlisted, min(len(unlisted), CHECKS_PER_RUN))
        found = await standings(client, suspects, resources)
        await forget_lost(rt.db, suspects, found)
        return sum(standing in LOST for standing in found.values())
    return 0


async def _clients(rt: Runtime, node: ProxmoxNode) -> AsyncIterator[ProxmoxClient]:
    """Clients with the endpoint's own API token, then with tickets of its open sessions; see ADR 16."""
    async with rt.db.transaction() as tx:
        secret = tx.nodes.secrets(node).token_secret
    if node.tokenid and secret:
        yield rt.pve.client(endpoints.endpoint_of(node), TokenAuth(node.tokenid, secret)).within(ANSWER_WITHIN_S)
    for session in (await sessions.open_at(rt, node.id))[:SESSIONS_TRIED]:
        yield (await acting.client(rt, session)).within(ANSWER_WITHIN_S)
