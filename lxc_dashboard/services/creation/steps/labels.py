"""Writes notes and tags of a finished container to PVE. Keeps what others wrote there since the create."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import EventType, Phase, now
from lxc_dashboard.errors import ApiError, PrivilegeError
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.removal.ownership import ensure_ours
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.jobs.codes import JobCode

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import LxcConfig
    from lxc_dashboard.services.creation.context import RunContext

WRITE_WITHIN_S: Final = 60.0
AGAIN_AFTER_S: Final = (0.1, 0.5, 1.0, 2.0)
# PVE's errors while another task, such as a backup, locks the container, and while the cluster is read-only.
_BUSY: Final = re.compile(r"got timeout|CT is locked|no quorum|/etc/pve/.*Permission denied")
_KEY: Final = "finalize.notes"


async def write(ctx: RunContext) -> None:
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
        ctx.tell_once(f"{_KEY}:busy", JobCode.STEP_RETRIED, EventType.WARNING, reason=error.reason)
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
