"""The realms of an endpoint, for who is not signed in yet: PVE is asked seldom, and a silent one holds up few.

Anybody may ask, and as often as he likes. So all who ask at once wait for one question, and its outcome, a failure too, is the
answer to everybody for ``HOLD_FOR_S``.
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

from lxc_dashboard.errors import DashboardError, ProxmoxError, ServiceUnavailableError, TlsError, UnreachableError
from lxc_dashboard.services.auth import endpoints

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import Endpoint
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

TAKE_AT_MOST_S: Final = 2.0
HOLD_FOR_S: Final = 10.0
FAILURES: Final[tuple[type[ProxmoxError], ...]] = (TlsError, UnreachableError, ProxmoxError)
PATH: Final = "/access/domains"


@dataclass(frozen=True, slots=True)
class Realm:
    name: str
    comment: str = ""
    is_default: bool = False


class _Outcome(msgspec.Struct, frozen=True):
    """``failure``: the name of one of ``FAILURES``, nothing where PVE has answered."""

    realms: list[Realm]
    failure: str = ""


_OUTCOME: Final = msgspec.json.Decoder(_Outcome)


async def realms(runtime: Runtime, endpoint_id: UUID) -> list[Realm]:
    """``GET /access/domains``, the default one first. OpenID realms are left out: they need another way of signing in.

    Raises ``NotFoundError`` (no such endpoint), and where PVE did not answer within ``TAKE_AT_MOST_S``, now or a moment ago,
    ``UnreachableError``, ``TlsError`` or another ``ProxmoxError``.
    """
    endpoint = await endpoints.endpoint(runtime, endpoint_id)
    asking = runtime.asked.get(endpoint_id)
    if asking is None:
        asking = asyncio.create_task(_outcome(runtime, endpoint, endpoint_id), name="realms")
        runtime.asked[endpoint_id] = asking
        asking.add_done_callback(partial(_forget, runtime, endpoint_id))
    return _told(await asyncio.shield(asking), endpoint)


async def _outcome(runtime: Runtime, endpoint: Endpoint, endpoint_id: UUID) -> _Outcome:
    """What is remembered is looked at in here, where one at a time looks: an answer to a look from before would come too late.

    Who began may be gone by the end; the others still want to know.
    """
    with suppress(ServiceUnavailableError):
        if known := await runtime.bus.get(_key(endpoint_id)):
            return _OUTCOME.decode(known)
    outcome = await _ask(runtime, endpoint)
    with suppress(ServiceUnavailableError):
        await runtime.bus.set(_key(endpoint_id), msgspec.json.encode(outcome), ttl_s=HOLD_FOR_S)
    return outcome


async def _ask(runtime: Runtime, endpoint: Endpoint) -> _Outcome:
    try:
        async with asyncio.timeout(TAKE_AT_MOST_S):
            domains = await runtime.pve.client(endpoint).access.domains()
    except TimeoutError:
        return _Outcome([], UnreachableError.__name__)
    except DashboardError as error:
        log.warning("realms not read", endpoint=endpoint.name, why=str(error))
        return _Outcome([], next((kind for kind in FAILURES if isinstance(error, kind)), ProxmoxError).__name__)
    found = [Realm(domain.realm, domain.comment, domain.default) for domain in domains if domain.type != "openid"]
    return _Outcome(sorted(found, key=lambda realm: (not realm.is_default, realm.name)))


def _told(outcome: _Outcome, endpoint: Endpoint) -> list[Realm]:
    for kind in FAILURES:
        if kind.__name__ == outcome.failure:
            raise kind(node=endpoint.authority, path=PATH)
    return outcome.realms


def _forget(runtime: Runtime, endpoint_id: UUID, _asked: asyncio.Task[_Outcome]) -> None:
    runtime.asked.pop(endpoint_id, None)


def _key(endpoint_id: UUID) -> str:
    return f"auth:realms-told:{endpoint_id}"
