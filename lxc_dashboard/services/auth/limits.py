"""Limits on sign-in attempts by address, by account and address, and by account.

Only an address is ever blocked, so nobody can block an account for its user. Attempts at an account from addresses that
have not signed in to it before are delayed to one each ``ACCOUNT_TRY_EVERY_S``. ``docs/security.md`` states the remaining
rate of guesses.
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
    """Count one attempt and wait for the account's turn. Raises ``RateLimitedError`` with the seconds to wait."""
    account, bus = _account(endpoint_id, userid), runtime.bus
    counters = _counters(account, address)
    await hit_all(bus, counters, TRIES_WINDOW_S)
    if await bus.get(_known(account, address)) is not None:
        return
    allowed, wait_s = await bus.pace(
        f"auth:tries:account:{account}",
        at_once=ACCOUNT_TRIES_AT_ONCE,
        each_s=ACCOUNT_TRY_EVERY_S,
        patience_s=ACCOUNT_TRY_EVERY_S,
    )
    if not allowed:
        await give_back(bus, counters)
        raise RateLimitedError(math.ceil(wait_s))
    await asyncio.sleep(wait_s)


async def forgive(runtime: Runtime, endpoint_id: UUID, userid: str, address: str) -> None:
    """Reset the counter of this account and address after a sign-in, and mark the address as known there.

    The address's own counter is reduced by this one attempt only.
    """
    account, bus = _account(endpoint_id, userid), runtime.bus
    await bus.set(_known(account, address), b"1", ttl_s=KNOWN_FOR_S)
    await bus.delete(_account_and_address(account, address))
    await bus.unhit(_address(address))


async def hit_all(bus: Bus, counters: Mapping[str, int], window_s: float) -> None:
    """Count one attempt against each limit, or none if one of them is reached. Raises ``RateLimitedError``."""
    counted: dict[str, int] = {}
    for key, limit in counters.items():
        if wait_s := await bus.hit(key, limit, window_s):
            await give_back(bus, counted)
            raise RateLimitedError(wait_s)
        counted[key] = limit


async def give_back(bus: Bus, counters: Mapping[str, int]) -> None:
    for key in counters:
        await bus.unhit(key)


def network(address: str) -> str:
    """The name by which an address is counted. An IPv6 address counts as its /64, which usually has one owner."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return hashlib.sha256(address.encode()).hexdigest()
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed.packed, IPV6_SITE_BITS), strict=False))


def _counters(account: str, address: str) -> dict[str, int]:
    return {
        _account_and_address(account, address): TRIES_PER_ACCOUNT_AND_ADDRESS,
        _address(address): TRIES_PER_ADDRESS,
    }


def _account(endpoint_id: UUID, userid: str) -> str:
    return hashlib.sha256(f"{endpoint_id} {userid.lower()}".encode()).hexdigest()


def _account_and_address(account: str, address: str) -> str:
    return f"auth:tries:account:{account}:from:{network(address)}"


def _address(address: str) -> str:
    return f"auth:tries:from:{network(address)}"


def _known(account: str, address: str) -> str:
    return f"auth:known:{account}:from:{network(address)}"
