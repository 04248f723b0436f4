"""The registered endpoints."""

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
    """A registered endpoint on the sign-in page, without address and version."""

    id: UUID
    name: str


def endpoint_of(node: ProxmoxNode) -> Endpoint:
    """The connection data of a registered endpoint."""
    return Endpoint(
        host=node.host,
        port=node.port,
        name=node.name,
        fingerprint=node.fingerprint,
        ca_pem=node.ca_pem,
        verify_tls=node.verify_tls,
    )


async def endpoint(runtime: Runtime, endpoint_id: UUID) -> Endpoint:
    """Raises ``NotFoundError`` if it is not registered."""
    async with runtime.db.transaction() as tx:
        return endpoint_of(await tx.nodes.get(endpoint_id))


async def choices(runtime: Runtime) -> list[Choice]:
    """All registered endpoints, the default one first."""
    async with runtime.db.transaction() as tx:
        return [Choice(node.id, node.name) for node in await tx.nodes.list()]


async def others(runtime: Runtime, session: Session) -> list[Choice]:
    """The other registered endpoints; an empty list if the database does not answer."""
    try:
        found = await choices(runtime)
    except ServiceUnavailableError as error:
        log.info("endpoint list unavailable", why=str(error))
        return []
    return [choice for choice in found if choice.id != session.endpoint_id]


async def ensure_endpoint_from_settings(runtime: Runtime) -> None:
    """Register the endpoint of ``PVE_HOST``, or update its registration. Called at start.

    Two processes may do so at once. An existing endpoint keeps its name.
    """
    settings = runtime.settings.endpoint()
    if not settings.host:
        return
    try:
        await _register(runtime, settings)
    except ConflictError:
        await _register(runtime, settings)


async def _register(runtime: Runtime, settings: EndpointSettings) -> None:
    fingerprint, ca_pem = settings.fingerprint or None, settings.ca_pem or None
    async with runtime.db.transaction() as tx:
        present = await tx.nodes.by_address(settings.host, settings.port)
        if present is None:
            is_taken = await tx.nodes.by_name(settings.host[:63]) is not None
            node = ProxmoxNode(
                name=f"{settings.host[:57]}:{settings.port}" if is_taken else settings.host[:63],
                host=settings.host,
                port=settings.port,
                fingerprint=fingerprint,
                ca_pem=ca_pem,
                verify_tls=settings.verify_tls,
                is_default=await tx.nodes.default() is None,
            )
            await tx.nodes.add(node)
        elif (present.fingerprint, present.ca_pem, present.verify_tls) != (fingerprint, ca_pem, settings.verify_tls):
            await tx.nodes.update(present.id, fingerprint=fingerprint, ca_pem=ca_pem, verify_tls=settings.verify_tls)
        else:
            return
    log.info("endpoint registered", host=settings.host, port=settings.port)
