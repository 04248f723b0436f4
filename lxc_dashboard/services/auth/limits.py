"""How often somebody may try to sign in: from one address, and at one account from wherever."""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.errors import RateLimitedError

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

TRIES_PER_ACCOUNT: Final = 10
TRIES_PER_ADDRESS: Final = 30
TRIES_WINDOW_S: Final = 600
IPV6_SITE_BITS: Final = 64


async def count(runtime: Runtime, endpoint_id: UUID, userid: str, address: str) -> None:
    """Counts one try. Raises ``RateLimitedError`` with the time to wait.

    One over its address's limit counts against no account: it could lock others out for nothing.
    """
    limits = ((_of_address(address), TRIES_PER_ADDRESS), (_of_account(endpoint_id, userid), TRIES_PER_ACCOUNT))
    for key, limit in limits:
        if wait_s := await runtime.bus.hit(key, limit, TRIES_WINDOW_S):
            raise RateLimitedError(wait_s)


async def forgive(runtime: Runtime, endpoint_id: UUID, userid: str, address: str) -> None:
    """After a sign-in: its account begins anew; its address gets back this one try, and none of those at other accounts."""
    await runtime.bus.delete(_of_account(endpoint_id, userid))
    await runtime.bus.unhit(_of_address(address))


def _of_account(endpoint_id: UUID, userid: str) -> str:
    return f"auth:tries:account:{hashlib.sha256(f'{endpoint_id} {userid.lower()}'.encode()).hexdigest()}"


def _of_address(address: str) -> str:
    return f"auth:tries:from:{network(address)}"


def network(address: str) -> str:
    """An IPv6 address counts as its /64: whoever has one address there has them all."""
    try:
        found = ip_address(address)
    except ValueError:
        return hashlib.sha256(address.encode()).hexdigest()
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found.packed, IPV6_SITE_BITS), strict=False))
