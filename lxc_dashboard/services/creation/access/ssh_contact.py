"""The first connection to a guest's own SSH server: wait for it, pin its host key, and explain a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import GuestUnreachableError, KeyRefusedError, PhaseFailedError
from lxc_dashboard.guest.doors import SSH_PORT
from lxc_dashboard.guest.keys import fingerprint_of_pin
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.services.creation.access.entrance import Entrance
    from lxc_dashboard.services.creation.context import RunContext

SERVER_WAIT_S: Final = 90.0
POLL_S: Final = (0.1, 0.2, 0.5, 1.0)


async def meet(ctx: RunContext, entrance: Entrance, door: Door) -> None:
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
