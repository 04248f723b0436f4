"""Finalizing, 90-100 %: discovers services and credentials, writes notes and tags, removes our files from the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType
from lxc_dashboard.errors import GuestError, HostKeyError, KeyRefusedError, WrongGuestError
from lxc_dashboard.guest.base import CREDENTIALS_FOLDER
from lxc_dashboard.guest.doors import remove_key
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.services.creation.access import guest_addresses as asking
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.steps import discovery, labels, start

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.guest.keys import KeyPair

ADDRESS: Final = "finalize.address"
DISCOVER: Final = "finalize.discover"
NOTES: Final = "finalize.notes"
CLEAR: Final = "finalize.clear"
LOCK: Final = "finalize.lock"

LOCKING: Final = "locking"
_READ_CREDENTIALS: Final = f"""
for file in {CREDENTIALS_FOLDER}/*; do
    [ -f "$file" ] || continue
    printf '== %s\\n' "${{file##*/}}"
    cat "$file"
done
"""


async def run(ctx: RunContext) -> None:
    """``PUT .../config`` for notes and tags. Raises errors of PVE and the door."""
    if ctx.spec.enters_guest and start.is_dynamic(ctx.spec) and not ctx.checkpoint.facts.get("address"):
        await ctx.once(ADDRESS, lambda: _look_for_address(ctx))
    if ctx.spec.enters_guest:
        await ctx.once(DISCOVER, lambda: _discover(ctx))
    ctx.reach(0.4)
    await ctx.once(NOTES, lambda: labels.write(ctx))
    ctx.reach(0.7)
    if ctx.spec.enters_guest:
        await ctx.recorder.flush()  # store what is done before the guest's own record is removed
        await ctx.once(CLEAR, lambda: _clear(ctx))
    door, key = ctx.door, ctx.door_key
    if key is not None and door is not None:
        await ctx.once(LOCK, lambda: lock(ctx, door, key))


async def _look_for_address(ctx: RunContext) -> None:
    """Look once more: the guest may have got its address while the scripts ran."""
    interfaces = await asking.interfaces_of(ctx)
    if interfaces is None:
        return
    address, _ = start.best_address(ctx.spec, interfaces)
    if address:
        await start.keep_address(ctx, address)
    else:
        start.tell_no_address(ctx)


async def _discover(ctx: RunContext) -> None:
    door = ctx.door
    if door is None:
        return
    found = discovery.parse(await _told(ctx, door, discovery.SCRIPT, CreationCode.SERVICES_NOT_LISTED))
    stored = await _told(ctx, door, _READ_CREDENTIALS, CreationCode.CREDENTIALS_NOT_READ)
    credentials = discovery.parse_credentials(stored)
    async with ctx.rt.db.transaction() as tx:
        await tx.containers.set_services(ctx.container_id, found)
        await tx.containers.set_credentials(ctx.container_id, credentials)
    ports = sorted({str(service["port"]) for service in found if service["kind"] == "port"}, key=int)
    ctx.checkpoint.facts["ports"] = ports
    ctx.checkpoint.facts["credentials"] = sorted(credentials)
    if ports:
        ctx.tell(CreationCode.PORTS, ports=ports)
    else:
        ctx.tell(CreationCode.NO_PORTS)
    if credentials:
        ctx.tell(CreationCode.CREDENTIALS, services=sorted(credentials))


async def _told(ctx: RunContext, door: Door, script: str, failure: CreationCode) -> str:
    """The script's output in the guest. Empty, with a warning, if the guest's answer is unusable."""
    try:
        return (await door.run(["/bin/sh", "-c", script])).text
    except GuestError as error:
        if error.retryable or isinstance(error, (HostKeyError, KeyRefusedError, WrongGuestError)):
            raise
        ctx.tell_once(f"{DISCOVER}:{failure}", failure, EventType.WARNING, reason=error.reason)
        return ""


async def _clear(ctx: RunContext) -> None:
    if ctx.door is not None:
        await Supervisor(ctx.door).remove()


def was_tried(ctx: RunContext) -> bool:
    """Whether an earlier try may have removed the key and lost the answer."""
    return bool(ctx.checkpoint.facts.get(LOCKING))


async def lock(ctx: RunContext, door: Door, key: KeyPair) -> None:
    """Remove the creation's key from the guest. After an earlier try, a refused key counts as removed."""
    tried = was_tried(ctx)
    if not tried:
        ctx.checkpoint.facts[LOCKING] = True
        await ctx.recorder.flush()
    try:
        await remove_key(door, key.public)
    except KeyRefusedError:
        if not tried:
            raise
    ctx.tell_once(LOCK, CreationCode.KEY_REMOVED)
