"""The registered endpoints, and PVE as a signed-in user sees it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from lxc_dashboard.proxmox.client import Endpoint

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.settings import EndpointSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A registered endpoint, as the sign-in page offers it: neither address nor version."""

    id: UUID
    name: str


def endpoint_of(node: ProxmoxNode) -> Endpoint:
    """Where and how to reach a registered endpoint."""
    return Endpoint(
        host=node.host,
        port=node.port,
        name=node.name,
        fingerprint=node.fingerprint,
        ca_pem=node.ca_pem,
        verify_tls=node.verify_tls,
    )


async def endpoint(runtime: Runtime, endpoint_id: UUID) -> Endpoint:
    """Raises ``NotFoundError`` where it is not registered."""
    async with runtime.db.transaction() as tx:
        return endpoint_of(await tx.nodes.get(endpoint_id))


async def choices(runtime: Runtime) -> list[Choice]:
    """All registered endpoints, the default one first."""
    async with runtime.db.transaction() as tx:
        return [Choice(node.id, node.name) for node in await tx.nodes.list()]


async def others(runtime: Runtime, session: Session) -> list[Choice]:
    """Where the user could sign in instead. None where the database does not answer: a page's frame stands without them."""
    try:
        found = await choices(runtime)
    except ServiceUnavailableError as error:
        log.info("endpoints not listed", why=str(error))
        return []
    return [choice for choice in found if choice.id != session.endpoint_id]


async def ensure_endpoint_from_settings(runtime: Runtime) -> None:
    """Registers the endpoint that ``PVE_HOST`` names, or brings its registration up to date. Call it at start.

    Two processes may do so at once. An endpoint that somebody else registered keeps its name.
    """
    named = runtime.settings.endpoint()
    if not named.host:
        return
    try:
        await _register(runtime, named)
    except ConflictError:
        await _register(runtime, named)


async def _register(runtime: Runtime, named: EndpointSettings) -> None:
    fingerprint, ca_pem = named.fingerprint or None, named.ca_pem or None
    async with runtime.db.transaction() as tx:
        present = await tx.nodes.by_address(named.host, named.port)
        if present is None:
            is_taken = await tx.nodes.by_name(named.host[:63]) is not None
            node = ProxmoxNode(
                name=f"{named.host[:57]}:{named.port}" if is_taken else named.host[:63],
                host=named.host,
                port=named.port,
                fingerprint=fingerprint,
                ca_pem=ca_pem,
                verify_tls=named.verify_tls,
                is_default=await tx.nodes.default() is None,
            )
            await tx.nodes.add(node)
        elif (present.fingerprint, present.ca_pem, present.verify_tls) != (fingerprint, ca_pem, named.verify_tls):
            await tx.nodes.update(present.id, fingerprint=fingerprint, ca_pem=ca_pem, verify_tls=named.verify_tls)
        else:
            return
    log.info("endpoint registered", host=named.host, port=named.port)
