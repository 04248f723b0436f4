"""Creating, 0-20 %: downloads the OS template if needed, then creates the container."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from lxc_dashboard.db.models import AuditResult, EventType, JobState, Phase
from lxc_dashboard.errors import ApiError, LeaseGoneError, PhaseFailedError, PreflightError, TaskFailedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import downloads, preflight, vmids
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.downloads import Order
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.preflight import volumes
from lxc_dashboard.services.creation.preflight.findings import FindingSeverity
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.engine import slots
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, ended_unseen, run_task
from lxc_dashboard.services.jobs.kinds import BeginAgainError, StandstillError

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.tasks import TaskResult
    from lxc_dashboard.services.creation.vmids import FreeVmids

log = structlog.get_logger(__name__)

PAUSE: Final = "pause.before_start"


async def _pause(ctx: RunContext) -> None:
    """Raise ``StandstillError``, unless the user requested no pause or has ended it."""
    checkpoint = ctx.checkpoint
    if not ctx.spec.pause_after_create or checkpoint.is_done(PAUSE):
        return
    checkpoint.active = PAUSE
    ctx.tell_once(PAUSE, JobCode.PAUSED, vmid=ctx.guest.vmid)
    await ctx.recorder.flush()
    raise StandstillError(JobState.PAUSED)


ASKED: Final = "asked_vmid"


async def is_vmid_taken(ctx: RunContext) -> bool:
    """Whether the vmid certainly belongs to a guest that this job did not create.

    False for a guest that our own create may have left (``facts[ASKED]``). ``GET /cluster/nextid``,
    ``/cluster/resources``, ``.../config``.
    """
    vmid = ctx.guest.vmid
    if await ctx.client.cluster.vmid_is_free(vmid):
        return False
    if ctx.checkpoint.facts.get(ASKED) != vmid:
        return True
    guest = await ctx.client.cluster.find_guest(vmid)
    if guest is None:
        return False
    if guest.type != "lxc":
        return True
    config = await ctx.client.lxc.config(guest.node, vmid)
    return not config.is_bare and not notes.is_of(config.description, ctx.job_id)


async def move_to_free_vmid(ctx: RunContext, step: str) -> NoReturn:
    """Move the job to the next free vmid and repeat ``step``. Does not touch the guest with the old vmid.

    Stores the repetition of ``step`` first, then the new vmid. If the worker dies in between, the next one requests the
    old vmid, is refused, and moves. Raises ``BeginAgainError``, or ``PhaseFailedError`` if the user chose the vmid.
    """
    taken = ctx.guest.vmid
    if ctx.spec.vmid is not None:
        raise PhaseFailedError(
            Phase.CREATING.value,
            Message.of(FailureCode.VMID_OF_OTHER, vmid=taken),
            step="create",
        )
    ctx.checkpoint.facts.pop(ASKED, None)
    ctx.checkpoint.again(step)
    await ctx.recorder.flush()
    vmid = await _take(ctx, await vmids.look(ctx.rt, ctx.client, ctx.endpoint_id))
    ctx.tell(CreationCode.VMID_TAKEN, EventType.WARNING, taken=taken, vmid=vmid)
    await ctx.recorder.flush()
    raise BeginAgainError


async def _take(ctx: RunContext, free: FreeVmids) -> int:
    """Reserve the next free vmid. Raises ``LeaseGoneError`` if another worker has the job."""
    guest = ctx.guest
    async with ctx.rt.db.transaction() as tx:
        creation = await tx.jobs.get(ctx.job_id)
        if creation.lease_owner != ctx.recorder.owner:
            raise LeaseGoneError
        vmid = (await free.choose(tx))[0]
        moved = Message.of(CreationCode.VMID_TAKEN, taken=guest.vmid, vmid=vmid)
        container = await tx.containers.set_vmid(ctx.container_id, vmid, instead_of=guest.vmid)
        await tx.jobs.set_vmid(ctx.job_id, vmid)
        await tx.containers.add_event(container.id, "moved", "", detail=moved.to_json())
        await tx.audit.append(
            userid=ctx.userid,
            endpoint_name=ctx.endpoint_name,
            action="creation.move",
            subject=f"CT {vmid} {container.hostname}",
            result=AuditResult.OK,
            detail={"creation": str(ctx.job_id), "taken": guest.vmid},
        )
    return vmid


CHECK: Final = "create.check"
CREATE: Final = "create.container"
SHORT: Final = "short_of_room"  # the check found a storage that may be too small
FULL: Final = "full_storage"  # the storage that was full after the create: a retry does not repair the disk
CREATE_DEADLINE_S: Final = 1800.0


async def run(ctx: RunContext) -> None:
    """``POST /nodes/{node}/lxc``.

    Raises ``StandstillError``, ``PreflightError``, ``PhaseFailedError``, and PVE's errors.
    """
    if not ctx.checkpoint.is_done(CREATE):
        await slots.take(ctx, begun=CREATE in ctx.checkpoint.intent or downloads.OWN in ctx.checkpoint.facts)
    await ctx.once(CHECK, lambda: _check(ctx))
    ctx.reach(0.05)
    if ctx.spec.ostemplate_download:
        await ctx.once(downloads.STEP, lambda: _download(ctx))
    ctx.reach(0.3)
    await ctx.once(CREATE, lambda: _create(ctx))
    await slots.give(ctx)
    await _forget_password(ctx)
    await _pause(ctx)
    ctx.reach(1)


async def _check(ctx: RunContext) -> None:
    findings = await preflight.check_again(ctx)
    for finding in findings:
        if finding.severity is FindingSeverity.WARNING:
            ctx.tell(CreationCode.PREFLIGHT_WARNED, EventType.WARNING, findings=[finding.message])
    sizes = {volume.size_field for volume in ctx.spec.volumes}
    if any(finding.field in sizes for finding in findings):
        ctx.checkpoint.facts[SHORT] = True
    errors = [finding for finding in findings if finding.severity is FindingSeverity.ERROR]
    if any(error.field == "vmid" for error in errors):
        if not await is_vmid_taken(ctx):  # an earlier try of this job created the guest
            errors = [error for error in errors if error.field != "vmid"]
        elif ctx.spec.vmid is None:
            await move_to_free_vmid(ctx, CHECK)
    if errors:
        raise PreflightError(errors)


async def _download(ctx: RunContext) -> None:
    storage = ctx.spec.ostemplate.partition(":")[0]
    ctx.tell_once(downloads.STEP, CreationCode.DOWNLOADING, ostemplate=ctx.spec.ostemplate_download, storage=storage)
    await downloads.fetch(ctx, Order(ctx.guest.node, storage, ctx.spec.ostemplate_download))


def create_step(ctx: RunContext) -> PveStep:
    guest = ctx.guest
    description = notes.while_creating(ctx.spec.description, ctx.job_id)
    spec = ctx.spec
    if ctx.door_key is not None:
        spec = replace(spec, ssh_keys=(*spec.ssh_keys, ctx.door_key.public))
    values = pve_parameters(spec, guest.vmid, ctx.password, description=description)
    options = {key: value for key, value in values.items() if key not in {"vmid", "ostemplate", "unprivileged"}}
    return PveStep(
        CREATE,
        "vzcreate",
        str(guest.vmid),
        guest.node,
        CREATE_DEADLINE_S,
        lambda: ctx.client.lxc.create(
            guest.node, guest.vmid, ctx.spec.ostemplate, unprivileged=ctx.spec.unprivileged, options=options
        ),
    )


async def _create(ctx: RunContext) -> None:
    guest = ctx.guest
    ctx.tell_once(
        CREATE,
        CreationCode.CONTAINER_CREATING,
        vmid=guest.vmid,
        hostname=ctx.spec.hostname,
        node=guest.node,
        ostemplate=ctx.spec.ostemplate,
    )
    try:
        result = await _ask(ctx)
    except (ApiError, TaskFailedError) as error:
        if await is_vmid_taken(ctx):
            await move_to_free_vmid(ctx, CREATE)
        await _adopt(ctx, error)
    else:
        if result.warnings:
            warned = CreationCode.CREATED_WITH_WARNINGS
            ctx.tell_once(f"{CREATE}:warnings", warned, EventType.WARNING, count=result.warnings)
    config = await ctx.client.lxc.config(guest.node, guest.vmid)
    if not notes.is_of(config.description, ctx.job_id):
        await move_to_free_vmid(ctx, CREATE)
    guest.seen()
    if ctx.checkpoint.facts.get(SHORT):
        await _refuse_unwritten(ctx)


async def _refuse_unwritten(ctx: RunContext) -> None:
    """Raise ``PhaseFailedError`` if a storage was short of space and is full now: PVE reports OK even then."""
    facts = ctx.checkpoint.facts
    facts[FULL] = facts.get(FULL) or await volumes.find(ctx)
    if name := facts[FULL]:
        reason = Message.of(FailureCode.DISK_INCOMPLETE, vmid=ctx.guest.vmid)
        raise volumes.caused_by(name, PhaseFailedError(Phase.CREATING.value, reason, step="create"))


async def _adopt(ctx: RunContext, error: ApiError | TaskFailedError) -> None:
    """Accept a container that exists despite ``error``: an earlier try created it, or the end of its task is unknown.

    Raises ``error`` or ``PhaseFailedError`` if there is none, or only the remains of a killed create.
    """
    guest = ctx.guest
    left = (
        None if await ctx.client.cluster.has_no_guest(guest.vmid) else await ctx.client.cluster.find_guest(guest.vmid)
    )
    if left is not None and (isinstance(error, ApiError) or ended_unseen(error)):
        config = await ctx.client.lxc.config(left.node, guest.vmid)
        if notes.is_of(config.description, ctx.job_id) and not config.lock:
            ctx.tell_once(f"{CREATE}:adopted", CreationCode.ADOPTED, reason=error.reason, vmid=guest.vmid)
            return
    if isinstance(error, ApiError) and left is None:
        raise error
    reason = Message.of(FailureCode.LEFT_BEHIND, reason=error.reason)
    if isinstance(error, TaskFailedError):
        reason = _failure(error)
    raise PhaseFailedError(Phase.CREATING.value, reason, step="create") from error


async def _forget_password(ctx: RunContext) -> None:
    """Delete a password that the user set: the container has it now."""
    if ctx.spec.password_mode is PasswordMode.GIVEN and ctx.password is not None:
        await ctx.recorder.flush()  # store first that the container exists
        async with ctx.rt.db.transaction() as tx:
            await tx.containers.set_root_password(ctx.container_id, None)
        ctx.password = None


async def _ask(ctx: RunContext) -> TaskResult:
    """Run the create task. A container with this vmid may be ours from the first POST on, unless PVE refuses it."""
    if ctx.spec.password_mode is PasswordMode.GIVEN and ctx.password is None:
        raise PhaseFailedError(Phase.CREATING.value, Message.of(FailureCode.PASSWORD_GONE), step="create")
    facts = ctx.checkpoint.facts
    asked_before = facts.get(ASKED)
    facts[ASKED] = ctx.guest.vmid
    try:
        return await run_task(ctx, create_step(ctx))
    except ApiError:
        if CREATE not in ctx.checkpoint.upid:
            facts[ASKED] = asked_before
        raise


def _failure(error: TaskFailedError) -> Message:
    text = error.exitstatus.lower()
    if "does not exist" in text or "can't find file" in text:
        return Message.of(FailureCode.CREATE_NO_OSTEMPLATE, reason=error.reason)
    if "no space" in text or "not enough" in text or "exit code 2" in text:
        return Message.of(FailureCode.CREATE_NO_SPACE, reason=error.reason)
    if "received interrupt" in text or "got timeout" in text:
        return Message.of(FailureCode.CREATE_INTERRUPTED, reason=error.reason)
    return Message.of(FailureCode.CREATE_FAILED, reason=error.reason)
