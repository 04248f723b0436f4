"""What PVE and a running guest tell of it: its addresses and its own SSH server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.errors import ApiError, GuestUnreachableError, KeyRefusedError, PhaseFailedError
from lxc_dashboard.guest.doors import SSH_PORT
from lxc_dashboard.guest.keys import fingerprint_of_pin
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.schemas import Interface, InterfaceAddress
from lxc_dashboard.services.creation.access import follow
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.services.creation.access import Entrance
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


SERVER_WAIT_S: Final = 90.0
POLL_S: Final = (0.1, 0.2, 0.5, 1.0)


async def meet_ssh_server(ctx: RunContext, entrance: Entrance, door: Door) -> None:
    """Enter the guest once, within ``SERVER_WAIT_S``. Pin the first host key for the rest of the job.

    Raises ``PhaseFailedError`` with cause and remedy, ``HostKeyError``, and PVE's errors.
    """
    host = ctx.checkpoint.facts.get("address", "")
    if not host:
        raise _failed(Message.of(FailureCode.CONTACT_NO_ADDRESS, node=ctx.guest.node))
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + SERVER_WAIT_S, 0
    while True:
        try:
            await _enter(ctx, entrance, door, host)
        except KeyRefusedError as error:
            raise _failed(Message.of(FailureCode.CONTACT_REFUSED, node=ctx.guest.node, reason=error.reason)) from error
        except GuestUnreachableError as error:
            if loop.time() >= until:
                raise _explained(ctx, host, error) from error
            await asyncio.sleep(POLL_S[min(tries, len(POLL_S) - 1)])
            tries += 1
        else:
            return


async def _enter(ctx: RunContext, entrance: Entrance, door: Door, host: str) -> None:
    facts = ctx.checkpoint.facts
    if "host_key" not in facts:
        facts["host_key"] = await entrance.shown_host_key(host)
        await ctx.recorder.flush()  # before sending anything: after a crash, no worker trusts another key
        ctx.tell(CreationCode.HOST_KEY, fingerprint=fingerprint_of_pin(facts["host_key"]))
    entrance.lead_to(host, facts["host_key"])
    await door.run(["true"])


def _explained(ctx: RunContext, host: str, error: GuestUnreachableError) -> PhaseFailedError:
    cause, node = error.__cause__, ctx.guest.node
    where, seconds = f"CT {ctx.guest.vmid} at {host}:{SSH_PORT}", round(SERVER_WAIT_S)
    if isinstance(cause, ConnectionRefusedError):
        return _failed(Message.of(FailureCode.CONTACT_NO_SERVER, node=node, where=where, seconds=seconds))
    if isinstance(cause, OSError):
        why = cause.strerror or str(cause)
        return _failed(Message.of(FailureCode.CONTACT_NO_ROUTE, node=node, where=where, seconds=seconds, why=why))
    return _failed(Message.of(FailureCode.CONTACT_FAILED, node=node, reason=error.reason))


def _failed(reason: Message) -> PhaseFailedError:
    return PhaseFailedError(Phase.STARTING.value, reason, step="way in")
