"""The registered endpoints, and their realms for the sign-in page.

That page is public, so requests to PVE are limited: callers share one running request, and its result or failure is kept
for ``HOLD_FOR_S``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    ProxmoxError,
    ServiceUnavailableError,
    TlsError,
    UnreachableError,
)
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


ANSWER_WITHIN_S: Final = 2.0
HOLD_FOR_S: Final = 10.0
FAILURES: Final[tuple[type[ProxmoxError], ...]] = (TlsError, UnreachableError, ProxmoxError)
PATH: Final = "/access/domains"


@dataclass(frozen=True, slots=True)
class Realm:
    name: str
    comment: str = ""
    is_default: bool = False


class _Outcome(msgspec.Struct, frozen=True):
    """``failure``: the name of one of ``FAILURES``, empty if PVE has answered."""

    realms: list[Realm]
    failure: str = ""


_OUTCOME: Final = msgspec.json.Decoder(_Outcome)


async def realms(runtime: Runtime, endpoint_id: UUID) -> list[Realm]:
    """``GET /access/domains``, the default realm first, without OpenID realms, which need another kind of sign-in.

    Raises ``NotFoundError`` for an unknown endpoint. Raises ``UnreachableError``, ``TlsError`` or another ``ProxmoxError``
    if PVE failed now or within the last ``HOLD_FOR_S``.
    """
    registered = await endpoint(runtime, endpoint_id)
    request = runtime.realm_requests.get(endpoint_id)
    if request is None:
        request = asyncio.create_task(_outcome(runtime, registered, endpoint_id), name="realms")
        runtime.realm_requests[endpoint_id] = request
        request.add_done_callback(partial(_forget, runtime, endpoint_id))
    return _realms_of(await asyncio.shield(request), registered)


async def _outcome(runtime: Runtime, endpoint: Endpoint, endpoint_id: UUID) -> _Outcome:
    """The stored outcome, else a new one. Reads the store here, inside the shared task, to get the latest outcome.

    The task belongs to no caller: the first one may have gone before it ends.
    """
    with suppress(ServiceUnavailableError):
        if stored := await runtime.bus.get(_key(endpoint_id)):
            return _OUTCOME.decode(stored)
    outcome = await _request(runtime, endpoint)
    with suppress(ServiceUnavailableError):
        await runtime.bus.set(_key(endpoint_id), msgspec.json.encode(outcome), ttl_s=HOLD_FOR_S)
    return outcome


async def _request(runtime: Runtime, endpoint: Endpoint) -> _Outcome:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            domains = await runtime.pve.client(endpoint).access.domains()
    except TimeoutError:
        return _Outcome([], UnreachableError.__name__)
    except DashboardError as error:
        log.warning("realms unavailable", endpoint=endpoint.name, why=str(error))
        return _Outcome([], next((kind for kind in FAILURES if isinstance(error, kind)), ProxmoxError).__name__)
    found = [Realm(domain.realm, domain.comment, domain.default) for domain in domains if domain.type != "openid"]
    return _Outcome(sorted(found, key=lambda realm: (not realm.is_default, realm.name)))


def _realms_of(outcome: _Outcome, endpoint: Endpoint) -> list[Realm]:
    for kind in FAILURES:
        if kind.__name__ == outcome.failure:
            raise kind(node=endpoint.authority, path=PATH)
    return outcome.realms


def _forget(runtime: Runtime, endpoint_id: UUID, _request: asyncio.Task[_Outcome]) -> None:
    runtime.realm_requests.pop(endpoint_id, None)


def _key(endpoint_id: UUID) -> str:
    return f"auth:realms:{endpoint_id}"
