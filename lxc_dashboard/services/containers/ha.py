"""Waits for a guest's state under HA, where the task of a start or stop ends before the act is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ApiError, ProxmoxError
from lxc_dashboard.proxmox.schemas.tasks import Upid

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 1.0
_BY_HA: Final = "ha"


def was_handed_over(upid: str) -> bool:
    """Whether this task only requested the act from HA: ``hastart``, ``hastop``, ``hashutdown``."""
    return Upid.parse(upid).type.startswith(_BY_HA)


async def reached(client: ProxmoxClient, vmid: int, node: str, *, running: bool, within_s: float) -> bool:
    """Wait until the guest runs or is stopped; False after ``within_s``. A removed guest counts as stopped.

    ``GET .../status/current`` on the guest's current node: HA may start it on another one.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        try:
            if (await client.lxc.status(node, vmid)).running is running:
                return True
        except ProxmoxError as error:
            log.info("guest state unavailable", vmid=vmid, why=str(error))
            if isinstance(error, ApiError) and await _is_gone(client, vmid):
                return not running
            node = await _node_of(client, vmid) or node
        if loop.time() >= until:
            return False
        await asyncio.sleep(CHECK_EVERY_S)


async def _is_gone(client: ProxmoxClient, vmid: int) -> bool:
    """Whether the guest was removed; False if PVE does not answer."""
    try:
        return await client.cluster.has_no_guest(vmid)
    except ProxmoxError as error:
        log.info("guest list unavailable", vmid=vmid, why=str(error))
        return False


async def _node_of(client: ProxmoxClient, vmid: int) -> str:
    try:
        guest = await client.cluster.find_guest(vmid)
    except ProxmoxError as error:
        log.info("guest list unavailable", vmid=vmid, why=str(error))
        return ""
    return guest.node if guest is not None and guest.type == "lxc" else ""
