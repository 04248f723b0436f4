"""Creates per node: at most the setting, oldest first, even when workers die. A waiting job holds no worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from lxc_dashboard.db.models import JobState, now
from lxc_dashboard.db.repositories.leases import Place
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.report import report
from lxc_dashboard.services.jobs.engine import reaper, slots
from lxc_dashboard.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.db.models import Job
    from lxc_dashboard.services.creation.context import RunContext
    from tests.integration.creation.conftest import Lab

NODE = "pve1"


@pytest.fixture
def one_at_a_time(lab: Lab, settings_with: Callable[..., Settings]) -> None:
    """One slot per node. Queued jobs wait until a test starts a worker."""
    key = lab.rt.settings.ENCRYPTION_KEY.get_secret_value()
    settings = settings_with(CREATES_PER_NODE="1", ENCRYPTION_KEY=key)
    lab.rt = replace(lab.rt, settings=settings)


async def row(lab: Lab, job_id: UUID) -> Job:
    async with lab.rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


async def places(lab: Lab) -> dict[UUID, Place]:
    async with lab.rt.db.transaction() as tx:
        return dict(await tx.slots.places(lab.session.endpoint_id))


async def creating(lab: Lab) -> tuple[UUID, asyncio.Task[None]]:
    """Start a job whose create hangs."""
    lab.sandbox.hang_task("vzcreate")
    job_id = await lab.request(None)
    work = lab.work(job_id)
    await lab.until_said(job_id, "Creating CT")
    await lab.until(lambda: any(_creates(task) for task in lab.sandbox.api.tasklog), "PVE creates it")
    return job_id, work


async def woken(lab: Lab) -> list[UUID]:
    """The queued jobs that have a slot but no worker."""
    async with lab.rt.db.transaction() as tx:
        found = await tx.session.execute(
            text("SELECT id FROM job WHERE slot_node IS NOT NULL AND lease_owner IS NULL AND enqueued_at IS NOT NULL")
        )
        return [each[0] for each in found]


@pytest.mark.usefixtures("one_at_a_time")
async def test_the_second_waits_without_a_worker_and_says_for_whom(lab: Lab) -> None:
    first, work = await creating(lab)
    second, third, elsewhere = [await lab.request(None, node=node) for node in (NODE, NODE, "pve2")]
    for job_id in (second, third):
        async with asyncio.timeout(60):
            await lab.work(job_id)
        held = await row(lab, job_id)
        assert (held.state, held.lease_owner, held.slot_node) == (JobState.QUEUED.value, None, NODE)
    await lab.finish(elsewhere)
    assert await places(lab) == {second: Place(1, NODE), third: Place(2, NODE)}
    said = [event.message for event in await lab.events(third)]
    assert f"Waits for 2 others on {NODE} before its turn comes" in said
    view = await service.get_job(lab.rt, lab.session, third)
    assert view.place == Place(2, NODE)
    assert await reaper.reap(lab.rt) == 0
    assert await woken(lab) == []

    await service.cancel(lab.rt, lab.session, first)
    await work
    assert await woken(lab) == [second]
    await lab.finish(second)
    assert set(await woken(lab)) == {third}
    await lab.finish(third)
    assert await places(lab) == {}


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.full
async def test_one_whose_row_somebody_holds_is_woken_later_and_nobody_waits_for_it(lab: Lab) -> None:
    first, work = await creating(lab)
    second = await lab.request(None)
    await lab.work(second)
    async with lab.rt.db.transaction() as tx:
        await tx.jobs.locked(second)
        async with asyncio.timeout(25):
            await service.cancel(lab.rt, lab.session, first)
            await work
        assert await woken(lab) == []
    await slots.wake_all(lab.rt)
    assert await woken(lab) == [second]
    await lab.finish(second)


@pytest.mark.usefixtures("one_at_a_time")
async def test_one_that_waits_is_cancelled_at_once(lab: Lab) -> None:
    await creating(lab)
    second = await lab.request(None)
    await lab.work(second)
    await service.cancel(lab.rt, lab.session, second)
    job = await service.get_job(lab.rt, lab.session, second)
    assert (job.state, job.exists) == (JobState.CANCELLED, False)
    assert await places(lab) == {}


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.full
async def test_a_younger_one_does_not_pass_an_older_one_that_waits(lab: Lab) -> None:
    first, work = await creating(lab)
    older, younger = await lab.request(None), await lab.request(None)
    await lab.work(older)
    await service.cancel(lab.rt, lab.session, first)
    await work
    await lab.work(younger)
    assert (await row(lab, younger)).slot_node == NODE
    await lab.finish(older)
    await lab.finish(younger)


@pytest.mark.usefixtures("one_at_a_time")
async def test_the_slot_of_a_dead_worker_is_free_when_its_lease_ends(lab: Lab) -> None:
    first, _ = await creating(lab)
    second = await lab.request(None)
    await lab.work(second)
    async with lab.rt.db.transaction() as tx:  # as after the death of its worker
        ended = text("UPDATE job SET lease_owner = 'dead', lease_until = clock_timestamp() WHERE id = :id")
        await tx.session.execute(ended, {"id": first})
    assert await slots.wake_all(lab.rt) == 1
    assert await woken(lab) == [second]
    assert await slots.wake_all(lab.rt) == 0
    await lab.finish(second)


@pytest.mark.usefixtures("one_at_a_time")
async def test_who_takes_up_what_pve_has_begun_does_not_wait(lab: Lab) -> None:
    first, work = await creating(lab)
    work.cancel()
    await asyncio.wait([work])
    second = await lab.request(None)
    other = lab.work(second)
    await lab.until_said(second, "Creating CT")
    await other
    again = lab.work(first)

    async def holds() -> bool:
        return (await row(lab, first)).slot_node == NODE

    await lab.until(holds, "it is counted again")
    await service.cancel(lab.rt, lab.session, first)
    await again
    ended = await row(lab, first)
    assert (ended.state, ended.slot_node) == (JobState.CANCELLED.value, None)


@pytest.mark.usefixtures("one_at_a_time")
async def test_the_wait_is_nobodys_work(lab: Lab) -> None:
    first, work = await creating(lab)
    second = await lab.request(None)
    await lab.work(second)
    before = (await report(lab.rt, lab.session, second)).seconds
    await asyncio.sleep(1)  # the time in the queue
    await service.cancel(lab.rt, lab.session, first)
    await work
    assert (await report(lab.rt, lab.session, second)).seconds == pytest.approx(before, abs=0.5)


async def test_so_many_at_once_as_the_setting_says(lab: Lab, settings_with: Callable[..., Settings]) -> None:
    key = lab.rt.settings.ENCRYPTION_KEY.get_secret_value()
    lab.rt = replace(lab.rt, settings=settings_with(CREATES_PER_NODE="2", ENCRYPTION_KEY=key))
    ids = [await lab.request(None) for _ in range(6)]
    most, done = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, len([each for each in lab.sandbox.api.tasklog if _creates(each)]))
            await asyncio.sleep(0.005)

    async def run(job_id: UUID) -> None:
        while (await row(lab, job_id)).state != JobState.DONE.value:
            await lab.work(job_id)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(120):
        await asyncio.gather(*(run(job_id) for job_id in ids))
    done.set()
    await watching
    assert 1 <= most <= 2


def _creates(task: dict[str, str]) -> bool:
    return task["type"] == "vzcreate" and task["status"] == "running"


@pytest.mark.parametrize("act", ["take", "give"])
@pytest.mark.full
async def test_a_lease_that_ran_out_while_nobody_took_the_run_ends_no_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    lab.retime(renew_lease_every_s=600)
    outlive_its_lease(lab, monkeypatch, act, lease_until=now())
    await lab.finish(await lab.request(None))


@pytest.mark.parametrize("act", ["take", "give"])
async def test_a_run_that_another_worker_took_is_left_to_that_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    outlive_its_lease(lab, monkeypatch, act, lease_owner="another")
    job_id = await lab.request(None)
    async with asyncio.timeout(60):
        await lab.work(job_id)
    held = await row(lab, job_id)
    assert (held.state, held.lease_owner, held.error) == (JobState.RUNNING.value, "another", {})


def outlive_its_lease(lab: Lab, monkeypatch: pytest.MonkeyPatch, act: str, **changes: Any) -> None:
    """Apply ``changes`` to the job's row before it first takes or gives back its slot."""
    whole, kept = getattr(slots, act), [changes]

    async def late(ctx: RunContext, **named: Any) -> None:
        if kept:
            async with lab.rt.db.transaction() as tx:
                creation = await tx.jobs.get(ctx.job_id)
                for name, value in kept.pop().items():
                    setattr(creation, name, value)
        await whole(ctx, **named)

    monkeypatch.setattr(slots, act, late)
