"""A viewer that starts early, late or again after a gap sees each line once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from uuid_utils.compat import uuid7

from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs.events import lines as events
from lxc_dashboard.services.jobs.events.follow import follow
from lxc_dashboard.services.jobs.events.lines import ProgressEvent
from lxc_dashboard.settings import Settings
from tests.integration.creation.conftest import content_of
from tests.worded import worded

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

PRINTING = content_of(
    ("10-print.sh", "#!/bin/sh\ni=0\nwhile [ $i -lt 100 ]; do i=$((i + 1)); echo line $i; sleep 0.01; done\n")
)


async def seen_by(rt: Runtime, job_id: UUID, after: int = 0) -> list[tuple[int, str]]:
    """The number and text of each line."""
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(60):
        async for batch in follow(rt, job_id, after):
            found += [line for event in batch for line in numbered(event)]
    return found


def numbered(event: ProgressEvent) -> list[tuple[int, str]]:
    event = worded(event)
    parts = event.message.split("\n") if event.lines > 1 else [event.message]
    return [(event.seq + at, text) for at, text in enumerate(parts)]


async def stored(lab: Lab, job_id: UUID) -> list[tuple[int, str]]:
    return [line for event in await lab.events(job_id) for line in numbered(event)]


async def test_viewers_from_the_start_and_late_see_the_same(lab: Lab) -> None:
    job_id = await lab.request(PRINTING)
    early = asyncio.create_task(seen_by(lab.rt, job_id))
    work = lab.work(job_id)
    await lab.until_said(job_id, "line 50")
    late = asyncio.create_task(seen_by(lab.rt, job_id))
    await work
    everything = await stored(lab, job_id)
    assert await early == everything
    assert await late == everything
    assert await seen_by(lab.rt, job_id) == everything


async def test_a_viewer_goes_on_after_any_number(lab: Lab) -> None:
    job_id = await lab.request(PRINTING)
    await lab.finish(job_id)
    everything = await stored(lab, job_id)
    for after in (0, 1, 7, 40, len(everything) - 1, len(everything)):
        assert await seen_by(lab.rt, job_id, after) == everything[after:]


async def test_a_stream_that_lost_its_beginning_is_filled_from_the_database(lab: Lab) -> None:
    job_id = await lab.request(PRINTING)
    early = asyncio.create_task(seen_by(lab.rt, job_id))
    work = lab.work(job_id)
    for moment in ("line 10", "line 40", "line 70"):
        await lab.until_said(job_id, moment)
        await lab.rt.bus.delete(events.stream_of(job_id))
    await work
    assert await early == await stored(lab, job_id)


async def test_without_redis_a_viewer_asks_the_database(lab: Lab, settings_with: Callable[..., Settings]) -> None:
    job_id = await lab.request(PRINTING)
    async with Runtime.open(settings_with(REDIS_URL="redis://127.0.0.1:1/0")) as without:
        watching = asyncio.create_task(seen_by(without, job_id))
        await lab.finish(job_id)
        assert await watching == await stored(lab, job_id)


async def test_a_failed_run_ends_the_watch_with_its_error(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    watching = asyncio.create_task(seen_by(lab.rt, job_id))
    await lab.finish(job_id, state=JobState.FAILED)
    assert await watching == await stored(lab, job_id)
    assert (await lab.events(job_id))[-1].type is EventType.ERROR


async def test_an_unknown_job_is_told(lab: Lab) -> None:
    with pytest.raises(NotFoundError):
        await seen_by(lab.rt, uuid7())


async def test_lines_are_told_while_the_script_still_runs(lab: Lab) -> None:
    """``bench/progress.py`` measures the delay."""
    job_id = await lab.request(content_of(("10-waits.sh", "echo first\nuntil [ -e /root/go ]; do sleep 0.05; done\n")))
    work = lab.work(job_id)
    told_while_it_ran = False
    async for batch in follow(lab.rt, job_id):
        if any("first" in event.message for event in batch if event.type is EventType.LOG):
            told_while_it_ran = not work.done()
            await service.cancel(lab.rt, lab.session, job_id)
    await work
    assert told_while_it_ran
