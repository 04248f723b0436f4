"""The ends of a run: one transaction each, with the last events, the container's state, the audit and the row itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import AuditResult, Creation, CreationState, EventType, Lifecycle, Phase
from lxc_dashboard.db.repositories.creations import FULL_PERCENT
from lxc_dashboard.db.repositories.events import StoredEvent
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    PhaseFailedError,
    ServiceUnavailableError,
    TaskFailedError,
)
from lxc_dashboard.services.creation.phases import create
from lxc_dashboard.services.creation.progress import LeaseLostError, Recorder
from lxc_dashboard.services.creation.spec import PasswordMode

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.context import RunContext

log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 0.5
Writing = Callable[["Transaction"], Awaitable[Sequence[StoredEvent]]]


async def complete(ctx: RunContext) -> None:
    """The container is ready."""
    facts = ctx.checkpoint.facts
    guest = ctx.guest
    result = {
        "vmid": guest.vmid,
        "node": guest.node,
        "hostname": ctx.spec.hostname,
        "address": facts.get("address", ""),
        "ports": facts.get("ports", []),
        "credentials": facts.get("credentials", []),
    }
    name = f"CT {guest.vmid} {ctx.spec.hostname}"
    ctx.recorder.phase, ctx.recorder.percent = Phase.FINALIZING, FULL_PERCENT
    recorder = ctx.recorder
    await recorder.flush()
    recorder.tell(f"{name} is ready", EventType.COMPLETE)
    await recorder.close()

    async def write(tx: Transaction) -> Sequence[StoredEvent]:
        rows = await recorder.append_rest(tx)
        await tx.containers.set_lifecycle(guest.container_id, Lifecycle.READY)
        await tx.containers.set_revision(guest.container_id, ctx.revision.id if ctx.revision else None)
        await tx.containers.add_event(guest.container_id, "created", f"Created {name}", userid=ctx.userid)
        creation = await tx.creations.finish(ctx.creation_id, recorder.owner, CreationState.READY, result=result)
        await audit(tx, creation, "creation.ready", AuditResult.OK, {})
        return rows

    await _write(ctx.rt, ctx.creation_id, CreationState.READY, recorder, write)


async def failed(
    rt: Runtime, creation: Creation, recorder: Recorder, owner: str, error: BaseException, *, remains: bool = True
) -> None:
    """The run ends; the container stays as it is, to be retried, kept or destroyed.

    ``remains``: PVE has a container of it. Where it has none, vmid and address are free for others.
    """
    told = describe(error, recorder.phase, recorder.checkpoint.failed or recorder.checkpoint.active)
    made = recorder.checkpoint.is_done(create.CREATE)
    await recorder.flush()
    recorder.tell(told["message"], EventType.ERROR)
    await recorder.close()

    async def write(tx: Transaction) -> Sequence[StoredEvent]:
        rows = await recorder.append_rest(tx)
        await tx.containers.set_lifecycle(creation.container_id, Lifecycle.ERROR)
        await tx.containers.add_event(creation.container_id, "creation-failed", told["message"], userid=creation.userid)
        ended = await tx.creations.finish(creation.id, owner, CreationState.FAILED, error=told)
        if not remains and ended.finished_at:
            await tx.containers.mark_lost(creation.container_id, ended.finished_at, for_good=made)
        await audit(
            tx, creation, "creation.failed", AuditResult.FAILED, {"step": told["step"], "cause": told["message"]}
        )
        return rows

    await _write(rt, creation.id, CreationState.FAILED, recorder, write)


async def cancelled(
    rt: Runtime, creation: Creation, recorder: Recorder, owner: str, *, remains: bool, owes: bool = False
) -> None:
    """``remains`` says whether a container is left in PVE; where none is, its vmid is free again. ``owes``: see ``settling``."""
    left = "no container remains"
    if remains:
        made = recorder.checkpoint.is_done(create.CREATE)
        left = "the container is kept as it is" if made else "what PVE has made of the container is kept as it is"
    by = creation.cancelled_by or creation.userid
    message = f"Cancelled by {by}: {left}"
    await recorder.flush()
    recorder.tell(message, EventType.ERROR)
    await recorder.close()

    async def write(tx: Transaction) -> Sequence[StoredEvent]:
        rows = await recorder.append_rest(tx)
        await tx.containers.set_lifecycle(creation.container_id, Lifecycle.ERROR)
        await tx.containers.add_event(creation.container_id, "creation-cancelled", message, userid=by)
        if not remains:
            await tx.containers.mark_deleted(creation.container_id)
        elif creation.spec.get("password_mode") == PasswordMode.GIVEN.value:
            await tx.containers.set_root_password(creation.container_id, None)  # it is run no more
        error = {"message": message, "phase": recorder.phase.value, "step": "", "remedy": "", "remains": remains}
        await tx.creations.finish(creation.id, owner, CreationState.CANCELLED, error=error, owes=owes)
        await audit(tx, creation, "creation.cancelled", AuditResult.OK, {"by": by, "remains": remains})
        return rows

    await _write(rt, creation.id, CreationState.CANCELLED, recorder, write)


async def pause(rt: Runtime, creation_id: UUID, owner: str) -> None:
    """The row waits for its user's word; whatever worker is free then goes on."""
    await _give_back(
        rt, creation_id, lambda tx: tx.creations.release_lease(creation_id, owner, state=CreationState.PAUSED)
    )


async def wait_for_sign_in(rt: Runtime, creation: Creation, owner: str) -> None:
    """The row waits, whatever worker is free when its user is back, and keeps no ticket; unless he is back by now."""
    await _give_back(
        rt, creation.id, lambda tx: tx.creations.wait_for_sign_in(creation.id, owner, creation.signed_in_at)
    )


async def _give_back(rt: Runtime, creation_id: UUID, give: Callable[[Transaction], Awaitable[bool]]) -> None:
    while True:
        try:
            async with rt.db.transaction() as tx:
                await give(tx)
        except ServiceUnavailableError as error:
            log.warning("creation not released", creation_id=str(creation_id), why=str(error))
            await asyncio.sleep(AGAIN_AFTER_S)
        else:
            return


def describe(error: BaseException, phase: Phase, step: str) -> dict[str, Any]:
    """``{"message", "remedy", "phase", "step", "tail"}`` for the page: nothing that only the log may know."""
    told: dict[str, Any] = {
        "message": "Something went wrong in the dashboard itself",
        "remedy": "Its log names the cause",
    }
    if isinstance(error, DashboardError):
        told = {"message": error.user_message, "remedy": ""}
    if isinstance(error, PhaseFailedError):
        told["remedy"] = error.remedy
    if isinstance(error, TaskFailedError):
        told["tail"] = list(error.log_tail)[-20:]
    return {"tail": [], **told, "phase": phase.value, "step": getattr(error, "step", "") or step}


async def audit(
    tx: Transaction, creation: Creation, action: str, result: AuditResult, detail: Mapping[str, Any]
) -> None:
    """What was done for the run, on its user's behalf."""
    container = await tx.containers.get(creation.container_id)
    endpoint = await tx.nodes.get(creation.endpoint_id)
    await tx.audit.append(
        userid=creation.userid,
        endpoint_name=endpoint.name,
        action=action,
        subject=f"CT {container.vmid} {container.hostname}",
        result=result,
        detail={"creation": str(creation.id), **detail},
    )


async def _write(rt: Runtime, creation_id: UUID, state: CreationState, recorder: Recorder, write: Writing) -> None:
    """Until it is written, by us or, where only the answer was lost, already."""
    while True:
        try:
            async with rt.db.transaction() as tx:
                rows = await write(tx)
        except ServiceUnavailableError as error:
            log.warning("end not written yet", creation_id=str(creation_id), state=state.value, why=str(error))
            await asyncio.sleep(AGAIN_AFTER_S)
        except ConflictError as error:
            if not await _is(rt, creation_id, state):
                raise LeaseLostError from error
            return
        else:
            await recorder.pass_on(rows)
            return


async def _is(rt: Runtime, creation_id: UUID, state: CreationState) -> bool:
    async with rt.db.transaction() as tx:
        return (await tx.creations.get(creation_id)).state == state.value
