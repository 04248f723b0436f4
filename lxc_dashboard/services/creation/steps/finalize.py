"""Finalizing, 90-100 %: discovers services and credentials, writes notes and tags, removes our files from the guest."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType, Phase, now
from lxc_dashboard.errors import ApiError, GuestError, HostKeyError, KeyRefusedError, PrivilegeError, WrongGuestError
from lxc_dashboard.guest.base import CREDENTIALS_FOLDER
from lxc_dashboard.guest.doors import remove_key
from lxc_dashboard.guest.supervisor import Supervisor
from lxc_dashboard.services.creation import access
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.ownership import ensure_ours
from lxc_dashboard.services.creation.steps import discovery, notes, start
from lxc_dashboard.services.jobs.codes import JobCode

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.guest.keys import KeyPair
    from lxc_dashboard.proxmox.schemas import LxcConfig

WRITE_WITHIN_S: Final = 60.0
AGAIN_AFTER_S: Final = (0.1, 0.5, 1.0, 2.0)
# PVE's errors while another task, such as a backup, locks the container, and while the cluster is read-only.
_BUSY: Final = re.compile(r"got timeout|CT is locked|no quorum|/etc/pve/.*Permission denied")
_NOTES_KEY: Final = "finalize.notes"


async def write_labels(ctx: RunContext) -> None:
    """``PUT .../config``, repeated for ``WRITE_WITHIN_S`` while the container is locked or others change it.

    Raises PVE's errors, and ``PhaseFailedError`` if the container is not the job's.
    """
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + WRITE_WITHIN_S, 0
    while True:
        config = await ensure_ours(ctx, Phase.FINALIZING, "notes")
        try:
            await _put(ctx, config)
        except ApiError as error:
            if loop.time() >= until or not await _may_pass(ctx, error, config):
                raise
            await asyncio.sleep(AGAIN_AFTER_S[min(tries, len(AGAIN_AFTER_S) - 1)])
            tries += 1
        else:
            return


async def _may_pass(ctx: RunContext, error: ApiError, config: LxcConfig) -> bool:
    """Whether a retry may succeed: another task locks the container, or the configuration changed in between."""
    if _BUSY.search(error.message):
        ctx.tell_once(f"{_NOTES_KEY}:busy", JobCode.STEP_RETRIED, EventType.WARNING, reason=error.reason)
        await ctx.recorder.flush()
        return True
    return (await ctx.client.lxc.config(ctx.guest.node, ctx.guest.vmid)).digest != config.digest


async def _put(ctx: RunContext, config: LxcConfig) -> None:
    revision = ctx.revision
    text = notes.when_ready(
        config.description,
        ctx.job_id,
        built_from=f"{revision.content.name} r{revision.number}" if revision else "",
        userid=ctx.userid,
        at=now(),
    )
    wanted = {"description": text, "digest": config.digest or None}
    tags = _tags(ctx, config)
    try:
        await _set(ctx, {**wanted, "tags": tags or None})
    except PrivilegeError as error:
        if not tags:
            raise
        await _set(ctx, wanted)
        ctx.tell(CreationCode.TAGS_NOT_SET, EventType.WARNING, reason=error.reason)


async def _set(ctx: RunContext, values: dict[str, str | None]) -> None:
    await ctx.client.lxc.set_config(ctx.guest.node, ctx.guest.vmid, values)


def _tags(ctx: RunContext, config: LxcConfig) -> str:
    """The current tags plus the spec's missing ones; empty if none is missing. Only a create in a pool misses tags."""
    held = {tag.lower() for tag in config.tags}
    missing = [tag for tag in ctx.spec.tags if tag.lower() not in held] if ctx.spec.pool else []
    return ";".join([*config.tags, *missing]) if missing else ""


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
    await ctx.once(NOTES, lambda: write_labels(ctx))
    ctx.reach(0.7)
    if ctx.spec.enters_guest:
        await ctx.recorder.flush()  # store what is done before the guest's own record is removed
        await ctx.once(CLEAR, lambda: _clear(ctx))
    door, key = ctx.door, ctx.door_key
    if key is not None and door is not None:
        await ctx.once(LOCK, lambda: lock(ctx, door, key))


async def _look_for_address(ctx: RunContext) -> None:
    """Look once more: the guest may have got its address while the scripts ran."""
    interfaces = await access.interfaces_of(ctx)
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
