"""A guest's network interfaces, read from PVE, or in the guest if PVE is too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType
from lxc_dashboard.errors import ApiError
from lxc_dashboard.proxmox.schemas import Interface, InterfaceAddress
from lxc_dashboard.services.creation.access.entrance import follow
from lxc_dashboard.services.creation.codes import CreationCode

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.services.creation.context import RunContext

# PVE answers 501 to an unknown call. Proxies and other servers with PVE's API answer 404 or 405.
NO_SUCH_CALL: Final = frozenset({404, 405, 501})
_LIST: Final = "ip -o addr show 2>/dev/null || hostname -I 2>/dev/null | tr ' ' '\\n' | sed 's/^./0: eth0 inet &/'"
_FIELDS: Final = 4


async def told_by_pve(client: ProxmoxClient, node: str, vmid: int) -> list[Interface] | None:
    """``GET .../interfaces``. None if this PVE has no such call, as before 8.0."""
    try:
        return await client.lxc.interfaces(node, vmid)
    except ApiError as error:
        if error.status in NO_SUCH_CALL:
            return None
        raise


async def interfaces_of(ctx: RunContext) -> list[Interface] | None:
    """The interfaces of the job's container. None if neither PVE nor the guest can tell. Raises ``GuestGoneError``."""
    interfaces = await told_by_pve(ctx.client, ctx.guest.node, ctx.guest.vmid)
    if interfaces:
        ctx.guest.seen()
    elif interfaces is not None:  # PVE answers so for a stopped guest and for a missing one
        await follow(ctx.rt, ctx.client, ctx.guest)
    if interfaces is not None:
        return interfaces
    door = ctx.unmarked_door
    if door is None or ctx.by_ssh or not ctx.spec.enters_guest:
        ctx.tell_once("address:untold", CreationCode.ADDRESS_NOT_TOLD, EventType.WARNING)
        return None
    return told_by_guest((await door.run(["/bin/sh", "-c", _LIST])).text)


def told_by_guest(text: str) -> list[Interface]:
    """Parse the output of ``ip -o addr show``: ``2: eth0@if7 inet 10.0.0.5/24 brd ...``."""
    found: dict[str, list[InterfaceAddress]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= _FIELDS and words[2] in {"inet", "inet6"}:
            address = InterfaceAddress(words[3].partition("/")[0], words[2])
            found.setdefault(words[1].partition("@")[0], []).append(address)
    return [Interface(name, addresses=addresses) for name, addresses in found.items()]
