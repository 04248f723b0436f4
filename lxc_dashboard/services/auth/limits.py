"""How often somebody may try to sign in: from one address, at one account from one address, at one account from wherever.

Only an address is ever closed, for a while: from one address nobody can keep others out of an account. Of all addresses
together that have not signed in to an account before, tries are slowed to one each ``ACCOUNT_TRY_EVERY_S``.
``docs/security.md`` states the rate of guesses that this leaves.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.errors import RateLimitedError

if TYPE_CHECKING:
    from lxc_dashboard.bus import Bus
    from lxc_dashboard.runtime import Runtime

TRIES_PER_ADDRESS: Final = 30
TRIES_PER_ACCOUNT_AND_ADDRESS: Final = 10
TRIES_WINDOW_S: Final = 600
ACCOUNT_TRIES_AT_ONCE: Final = 20
ACCOUNT_TRY_EVERY_S: Final = 30.0
KNOWN_FOR_S: Final = 30 * 24 * 3600.0
IPV6_SITE_BITS: Final = 64


async def count(runtime: Runtime, endpoint_id: UUID, userid: str, address: str) -> None:
    """Count one try, and wait until the account takes it. Raises ``RateLimitedError`` with the time to wait."""
    account, bus = _account(endpoint_id, userid), runtime.bus
    counters = _counters(account, address)
    await hit_all(bus, counters, TRIES_WINDOW_S)
    if await bus.get(_known(account, address)) is not None:
        return
    let_in, wait_s = await bus.pace(
        f"auth:tries:account:{account}",
        at_once=ACCOUNT_TRIES_AT_ONCE,
        each_s=ACCOUNT_TRY_EVERY_S,
        patience_s=ACCOUNT_TRY_EVERY_S,
    )
    if not let_in:
        await give_back(bus, counters)
        raise RateLimitedError(math.ceil(wait_s))
    await asyncio.sleep(wait_s)


async def forgive(runtime: Runtime, endpoint_id: UUID, userid: str, address: str) -> None:
    """After a sign-in: the account begins anew for this address, which is known there from now on.

    The address gets back this one try, and none of those at other accounts.
    """
    account, bus = _account(endpoint_id, userid), runtime.bus
    await bus.set(_known(account, address), b"1", ttl_s=KNOWN_FOR_S)
    await bus.delete(_of_both(account, address))
    await bus.unhit(_of_address(address))


async def hit_all(bus: Bus, counters: Mapping[str, int], window_s: float) -> None:
    """Count one attempt against each limit, or none where one of them is reached. Raises ``RateLimitedError``."""
    done: dict[str, int] = {}
    for key, limit in counters.items():
        if wait_s := await bus.hit(key, limit, window_s):
            await give_back(bus, done)
            raise RateLimitedError(wait_s)
        done[key] = limit


async def give_back(bus: Bus, counters: Mapping[str, int]) -> None:
    for key in counters:
        await bus.unhit(key)


def network(address: str) -> str:
    """An IPv6 address counts as its /64: whoever has one address there has them all."""
    try:
        found = ip_address(address)
    except ValueError:
        return hashlib.sha256(address.encode()).hexdigest()
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found.packed, IPV6_SITE_BITS), strict=False))


def _counters(account: str, address: str) -> dict[str, int]:
    return {
        _of_both(account, address): TRIES_PER_ACCOUNT_AND_ADDRESS,
        _of_address(address): TRIES_PER_ADDRESS,
    }


def _account(endpoint_id: UUID, userid: str) -> str:
    return hashlib.sha256(f"{endpoint_id} {userid.lower()}".encode()).hexdigest()


def _of_both(account: str, address: str) -> str:
    return f"auth:tries:account:{account}:from:{network(address)}"


def _of_address(address: str) -> str:
    return f"auth:tries:from:{network(address)}"


def _known(account: str, address: str) -> str:
    return f"auth:known:{account}:from:{network(address)}"
