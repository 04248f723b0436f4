"""90-100 %: what the guest offers, its credentials, PVE's notes and tags; our litter goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType, Phase, now
from lxc_dashboard.errors import ApiError, CommandFailedError, KeyRefusedError
from lxc_dashboard.guest.base import CREDENTIALS_FOLDER
from lxc_dashboard.guest.ssh import remove_key
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.services.creation import discovery, notes
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.ownership import ensure_ours

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door

DISCOVER: Final = "finalize.discover"
NOTES: Final = "finalize.notes"
CLEAR: Final = "finalize.clear"
LOCK: Final = "finalize.lock"
WRITE_AGAIN: Final = 3  # where somebody else changes the configuration at the same time

LOCKING: Final = "locking"
_READ_CREDENTIALS: Final = f"""
for file in {CREDENTIALS_FOLDER}/*; do
    [ -f "$file" ] || continue
    printf '== %s\\n' "${{file##*/}}"
    cat "$file"
done
"""


async def run(ctx: RunContext) -> None:
    """``PUT .../config`` for notes and tags. Raises what PVE and the door raise."""
    if ctx.spec.enters_guest:
        await ctx.once(DISCOVER, lambda: _discover(ctx))
    ctx.reach(0.4)
    await ctx.once(NOTES, lambda: _write_notes(ctx))
    ctx.reach(0.7)
    if ctx.spec.enters_guest:
        await ctx.recorder.flush()  # what was done must be known before the guest forgets it
        await ctx.once(CLEAR, lambda: _clear(ctx))
    door = ctx.door
    if ctx.door_key is not None and door is not None:
        await ctx.once(LOCK, lambda: lock(ctx, door))


async def _discover(ctx: RunContext) -> None:
    door = ctx.door
    if door is None:
        return
    try:
        result = await door.run(["/bin/sh", "-c", discovery.SCRIPT])
        found = discovery.parse(result.text)
        stored = await door.run(["/bin/sh", "-c", _READ_CREDENTIALS])
    except CommandFailedError as error:
        ctx.tell(f"Its services could not be listed: {error.user_message}", EventType.WARNING)
        return
    credentials = discovery.parse_credentials(stored.text)
    async with ctx.rt.db.transaction() as tx:
        await tx.containers.set_services(ctx.guest.container_id, found)
        await tx.containers.set_credentials(ctx.guest.container_id, credentials)
    ports = sorted({str(service["port"]) for service in found if service["kind"] == "port"}, key=int)
    ctx.checkpoint.facts["ports"] = ports
    ctx.checkpoint.facts["credentials"] = sorted(credentials)
    ctx.tell(f"Listens on {', '.join(ports)}" if ports else "Listens on no port")
    if credentials:
        ctx.tell(f"Credentials kept of {', '.join(sorted(credentials))}")


async def _write_notes(ctx: RunContext) -> None:
    revision = ctx.revision
    text = notes.when_ready(
        ctx.spec.description,
        ctx.creation_id,
        built_from=f"{revision.content.name} r{revision.number}" if revision else "",
        userid=ctx.userid,
        at=now(),
    )
    wanted = {"description": text, **({"tags": ";".join(ctx.spec.tags)} if ctx.spec.tags else {})}
    for last in (*[False] * WRITE_AGAIN, True):
        config = await ensure_ours(ctx, Phase.FINALIZING, "notes")
        try:
            await ctx.client.lxc.set_config(ctx.guest.node, ctx.guest.vmid, {**wanted, "digest": config.digest or None})
        except ApiError:
            changed = (await ctx.client.lxc.config(ctx.guest.node, ctx.guest.vmid)).digest != config.digest
            if last or not changed:
                raise
        else:
            return


async def _clear(ctx: RunContext) -> None:
    if ctx.door is not None:
        await Supervisor(ctx.door).remove()


def was_tried(ctx: RunContext) -> bool:
    """Whether the key may be out of the guest already, the answer lost."""
    return bool(ctx.checkpoint.facts.get(LOCKING))


async def lock(ctx: RunContext, door: Door) -> None:
    """Take the creation's key out of the guest. Done too where it is refused by now: an earlier try took it out."""
    if ctx.door_key is None:
        return
    tried = was_tried(ctx)
    if not tried:
        ctx.checkpoint.facts[LOCKING] = True
        await ctx.recorder.flush()
    try:
        await remove_key(door, ctx.door_key.public)
    except KeyRefusedError:
        if not tried:
            raise
    ctx.tell_once(LOCK, "The key of this creation is out of the guest")
