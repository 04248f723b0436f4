"""Whether a guest runs by now: under HA the task of a start or stop ends when that is asked for, not when it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ApiError, ProxmoxError
from lxc_dashboard.proxmox.schemas.tasks import Upid

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
_BY_HA: Final = "ha"


def was_handed_over(upid: str) -> bool:
    """Whether this task has merely asked HA: ``hastart``, ``hastop``, ``hashutdown``."""
    return Upid.parse(upid).type.startswith(_BY_HA)


async def reached(client: ProxmoxClient, vmid: int, node: str, *, running: bool, within_s: float) -> bool:
    """Wait until the guest runs, or is stopped; False where it does not within the time. One that is gone is stopped.

    ``GET .../status/current``, of the node that it was on or is on by now: HA may start it elsewhere.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        try:
            if (await client.lxc.status(node, vmid)).running is running:
                return True
        except ProxmoxError as error:
            log.info("guest not looked at", vmid=vmid, why=str(error))
            if isinstance(error, ApiError) and await _is_gone(client, vmid):
                return not running
            node = await _place(client, vmid) or node
        if loop.time() >= until:
            return False
        await asyncio.sleep(LOOK_EVERY_S)


async def _is_gone(client: ProxmoxClient, vmid: int) -> bool:
    """False as well where PVE does not say."""
    try:
        return await client.cluster.has_no_guest(vmid)
    except ProxmoxError as error:
        log.info("guest not looked for", vmid=vmid, why=str(error))
        return False


async def _place(client: ProxmoxClient, vmid: int) -> str:
    try:
        found = await client.cluster.find_guest(vmid)
    except ProxmoxError as error:
        log.info("guest not looked for", vmid=vmid, why=str(error))
        return ""
    return found.node if found is not None and found.type == "lxc" else ""
