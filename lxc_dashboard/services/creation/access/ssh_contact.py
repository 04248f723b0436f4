"""The first contact with a guest's own SSH server: waited for, its host key pinned, and a failure explained."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import GuestUnreachableError, KeyRefusedError, PhaseFailedError
from lxc_dashboard.guest.doors import SSH_PORT
from lxc_dashboard.guest.keys import fingerprint_of_pin
from lxc_dashboard.services.creation.codes import CreationCode

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.services.creation.access.entrance import Entrance
    from lxc_dashboard.services.creation.context import RunContext

SERVER_WAIT_S: Final = 90.0
POLL_S: Final = (0.1, 0.2, 0.5, 1.0)
OTHER_WAY: Final = "or register an SSH door for node {node} (lxc-dashboard node add), then retry"
NO_ADDRESS: Final = "Give it a static address, have a DHCP server answer on its bridge, "
NO_SERVER: Final = (
    "Its OS template must bring an SSH server (openssh-server) that starts by itself: choose one that does, "
)
NO_ROUTE: Final = "A firewall drops it, or no route leads there from the dashboard: open port 22 for the dashboard, "
REFUSED: Final = "Its sshd may forbid root (PermitRootLogin) or read its keys elsewhere: choose another OS template, "


async def meet(ctx: RunContext, entrance: Entrance, door: Door) -> None:
    """Until the guest was entered once, or ``SERVER_WAIT_S`` are over. The host key shown first is the run's from then on.

    Raises ``PhaseFailedError`` with cause and remedy, ``HostKeyError``, what PVE says.
    """
    host = ctx.checkpoint.facts.get("address", "")
    if not host:
        raise _failed(ctx, "It has no address to be entered at", NO_ADDRESS)
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + SERVER_WAIT_S, 0
    while True:
        try:
            await _enter(ctx, entrance, door, host)
        except KeyRefusedError as error:
            raise _failed(ctx, error.user_message, REFUSED) from error
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
        await ctx.recorder.flush()  # before anything is sent: a worker that dies here trusts no second one
        ctx.tell(CreationCode.HOST_KEY, fingerprint=fingerprint_of_pin(facts["host_key"]))
    entrance.lead_to(host, facts["host_key"])
    await door.run(["true"])


def _explained(ctx: RunContext, host: str, error: GuestUnreachableError) -> PhaseFailedError:
    cause = error.__cause__
    where = f"CT {ctx.guest.vmid} at {host}:{SSH_PORT}"
    if isinstance(cause, ConnectionRefusedError):
        return _failed(ctx, f"No SSH server listens on {where} after {SERVER_WAIT_S:.0f} s", NO_SERVER)
    if isinstance(cause, OSError):
        return _failed(ctx, f"{where} is not reached within {SERVER_WAIT_S:.0f} s: {cause.strerror or cause}", NO_ROUTE)
    return _failed(ctx, error.user_message, NO_SERVER)


def _failed(ctx: RunContext, cause: str, remedy: str) -> PhaseFailedError:
    return PhaseFailedError(
        Phase.STARTING.value, cause, step="way in", remedy=remedy + OTHER_WAY.format(node=ctx.guest.node)
    )
