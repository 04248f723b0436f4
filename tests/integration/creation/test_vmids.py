"""Vmids: each belongs to one job, which gives it up when another container took it in PVE first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from lxc_dashboard.db.models import Container, EventType, JobState
from lxc_dashboard.errors import InvalidInputError, PreflightError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import preflight, request, service, vmids
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from lxc_dashboard.services.creation.steps import create
from lxc_dashboard.services.creation.vmids import FreeVmids
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import OSTEMPLATE, Lab, pve_alone, spec_of
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.context import RunContext
    from lxc_dashboard.services.creation.preflight.findings import Finding

NO_NETWORK = IpSettings(IpMode.NONE)


@pytest.fixture
async def guests() -> None:
    """No guests: these containers exist only in PVE."""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=0) as node:
        yield node


async def asked(lab: Lab, **changes: Any) -> UUID:
    return await service.request(lab.rt, lab.session, spec_of(None, ipv4=NO_NETWORK, **changes))


async def make_in_pve(lab: Lab, vmid: int) -> None:
    """Create a container directly in PVE, as another program does."""
    client = await acting.client(lab.rt, lab.session)
    options: dict[str, str | int] = {"hostname": "foreign", "rootfs": "local-lvm:1", "memory": 128}
    await client.tasks.wait(await client.lxc.create("pve1", vmid, OSTEMPLATE, unprivileged=True, options=options))


async def moves(lab: Lab) -> list[tuple[str, int]]:
    async with lab.rt.db.transaction() as tx:
        found = await tx.audit.list(action="creation.move")
    return [(entry.subject.split()[1], entry.detail["taken"]) for entry in found]


def after_the_check(monkeypatch: pytest.MonkeyPatch, act: Callable[[RunContext], Awaitable[None]]) -> None:
    """Run ``act`` once, between the worker's preflight and its create."""
    whole, acts = preflight.check_again, [act]

    async def check_again(ctx: RunContext) -> list[Finding]:
        found = await whole(ctx)
        while acts:
            await acts.pop()(ctx)
        return found

    monkeypatch.setattr(preflight, "check_again", check_again)


async def test_those_who_ask_at_once_get_one_each_and_pve_is_asked_no_more_than_for_one(lab: Lab) -> None:
    client = await acting.client(lab.rt, lab.session)
    endpoint_id = lab.session.endpoint_id

    async def reserve() -> int:
        free = await vmids.look(lab.rt, client, endpoint_id)
        async with lab.rt.db.transaction() as tx:
            (vmid,) = await free.choose(tx)
            await tx.containers.reserve(Container(endpoint_id=endpoint_id, vmid=vmid, node="pve1", hostname="web"))
        return vmid

    before = len(lab.sandbox.api.requests)
    assert sorted(await asyncio.gather(*(reserve() for _ in range(30)))) == list(range(100, 130))
    assert len(lab.sandbox.api.requests) - before <= 3 * 30


async def test_a_vmid_taken_before_the_check_is_replaced(lab: Lab) -> None:
    job_id = await asked(lab)
    taken = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    await make_in_pve(lab, taken)
    job = await lab.finish(job_id)
    assert job.vmid == taken + 1
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert lab.containers_named("foreign") == [taken]
    assert await moves(lab) == [(str(job.vmid), taken)]
    told = [event.message for event in await lab.events(job_id) if event.type is EventType.WARNING]
    assert told[:1] == [f"Another container took the vmid {taken} in the meantime: going on as CT {job.vmid}"]


async def test_a_vmid_taken_between_the_check_and_the_create_is_replaced(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await asked(lab)
    taken = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    after_the_check(monkeypatch, lambda ctx: make_in_pve(lab, ctx.guest.vmid))
    job = await lab.finish(job_id)
    assert job.vmid == taken + 1
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert await moves(lab) == [(str(job.vmid), taken)]


async def test_a_vmid_that_is_reserved_by_hand_while_a_run_moves_to_it_is_left_to_its_owner(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await asked(lab)
    taken = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    await make_in_pve(lab, taken)
    whole = create._take
    by_hand: list[UUID] = []

    async def take(ctx: RunContext, free: FreeVmids) -> int:
        by_hand.append(await asked(lab, vmid=free.confirmed[0]))
        return await whole(ctx, free)

    monkeypatch.setattr(create, "_take", take)
    job = await lab.finish(job_id)
    assert job.vmid == taken + 2
    assert await moves(lab) == [(str(job.vmid), taken)]
    assert (await service.get_job(lab.rt, lab.session, by_hand[0])).vmid == taken + 1


@pytest.mark.full
async def test_a_vmid_whose_other_container_is_still_being_made_is_replaced(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await asked(lab)

    async def begin(ctx: RunContext) -> None:
        lab.sandbox.hang_task("vzcreate")
        options = {"hostname": "foreign", "rootfs": "local-lvm:1"}
        await ctx.client.lxc.create("pve1", ctx.guest.vmid, OSTEMPLATE, unprivileged=True, options=options)

    after_the_check(monkeypatch, begin)
    job = await lab.finish(job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert [vmid for vmid, _ in await moves(lab)] == [str(job.vmid)]


@pytest.mark.full
async def test_a_storage_that_fills_up_between_the_check_and_the_create_fails_in_pve_and_a_retry_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await asked(lab)

    async def fill(_: RunContext) -> None:
        lab.sandbox.fill_storage("local-lvm")

    after_the_check(monkeypatch, fill)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert job.error.step == "create"
    assert await moves(lab) == []
    lab.sandbox.empty_storage("local-lvm")
    await service.retry(lab.rt, lab.session, job_id)
    again = await lab.finish(job_id)
    assert lab.containers_named(again.hostname) == [job.vmid]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.full
async def test_a_worker_that_dies_while_it_moves_leaves_one_container(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    job_id = await asked(lab)
    taken = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    after_the_check(monkeypatch, lambda ctx: make_in_pve(lab, ctx.guest.vmid))
    whole, deaths = create._take, [moment]

    async def die(ctx: RunContext, free: FreeVmids) -> int:
        dying = bool(deaths)
        if dying and deaths.pop() == "before":
            raise asyncio.CancelledError
        vmid = await whole(ctx, free)
        if dying:
            raise asyncio.CancelledError
        return vmid

    monkeypatch.setattr(create, "_take", die)
    with suppress(asyncio.CancelledError):
        await lab.work(job_id)
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is not JobState.DONE
    job = await lab.finish(job_id)
    assert job.vmid == taken + 1
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_what_a_create_of_ours_may_have_left_is_not_left_behind(lab: Lab) -> None:
    """A killed create leaves a container without a marker. The job does not move to another vmid."""
    job_id = await asked(lab)
    lab.sandbox.hang_task("vzcreate")
    work = lab.work(job_id)
    await lab.until_said(job_id, "Creating CT")
    job = await service.get_job(lab.rt, lab.session, job_id)
    await lab.until(lambda: lab.sandbox.api.cts.get(job.vmid), "the container being made")
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    async with lab.rt.db.transaction() as tx:
        assert (await tx.jobs.get(job_id)).checkpoint["facts"][create.ASKED] == job.vmid
    assert await moves(lab) == []


async def test_a_vmid_chosen_by_hand_is_never_replaced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await asked(lab, vmid=777)
    after_the_check(monkeypatch, lambda ctx: make_in_pve(lab, ctx.guest.vmid))
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert cause(job.error) == "CT 777 was made by somebody else in the meantime"
    assert remedy(job.error).startswith("Create again with another vmid")
    assert (job.vmid, lab.containers_named("foreign")) == (777, [777])


async def test_a_vmid_chosen_by_hand_that_is_taken_is_reported_beside_its_field(lab: Lab) -> None:
    first, second = (spec_of(None, vmid=777) for _ in range(2))
    answers = await asyncio.gather(
        *(request.request(lab.rt, lab.session, spec) for spec in (first, second)), return_exceptions=True
    )
    (refused,) = (answer for answer in answers if isinstance(answer, Exception))
    assert isinstance(refused, (InvalidInputError, PreflightError))
    with pytest.raises(PreflightError) as known:
        await request.request(lab.rt, lab.session, spec_of(None, vmid=777))
    assert [finding.field for finding in known.value.findings] == ["vmid"]  # type: ignore[attr-defined]
