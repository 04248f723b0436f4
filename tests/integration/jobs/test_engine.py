"""The engine does each job exactly once, whatever happens to its workers.

A worker dies, loses an answer or pauses at any outgoing call. Several workers get the same job, again and again.
The engine, the client, the door and the database are real. ``snapshot.create`` runs against the sandbox.
A toy kind and creations by both doors run against a fast model of PVE and the guest (``world.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as searched
from hypothesis import strategies as st

from lxc_dashboard.settings import Settings, Timing
from tests.integration.jobs.gates import Death, Fault, How
from tests.integration.jobs.subjects import SUBJECTS
from tests.integration.jobs.workers import Workers

pytestmark = pytest.mark.timeout(1200)
DELIVERIES = 4
FENCED_AT_LEAST = 5
# Each fault: its place among the calls of a worker without a fault (0 to 1), whether after the call, and how.
SCHEDULES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.booleans(), st.sampled_from([How.DIES, How.LOSES])),
    min_size=2,
    max_size=4,
)
SAMPLES = 12
# The model lists a new task at once, and Redis answers again at once, so nothing needs to wait.
AT_ONCE = Timing(find_task_within_s=0, find_task_again_within_s=0, longest_journal_pause_s=0, publish_again_after_s=0)
TOY, *OTHERS = SUBJECTS
# The other kinds run in ``make test-full`` only.
TOY_AT_LEAST = (TOY, *(pytest.param(name, marks=pytest.mark.full) for name in OTHERS))


@pytest.fixture
async def workers(
    settings_with: Callable[..., Settings], tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Workers]:
    asyncio.get_running_loop().set_exception_handler(_but_deaths)
    async with SUBJECTS[request.param](
        settings_with(TIMING=AT_ONCE.model_dump_json()), tmp_path / "sandbox"
    ) as subject:
        yield Workers(subject)


def _but_deaths(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Death):
        loop.default_exception_handler(context)


async def calls_of(workers: Workers) -> int:
    """Count the outgoing calls of a worker without a fault."""
    asked = await workers.ask()
    calls = (await workers.live(asked)).calls
    await workers.check(asked, "without a fault")
    assert {"redis publish_all", "database"} < set(calls), calls
    return len(calls)


@pytest.mark.parametrize("workers", TOY_AT_LEAST, indirect=True)
async def test_a_worker_that_dies_at_any_call_leaves_a_job_that_the_next_one_ends(workers: Workers) -> None:
    calls = await calls_of(workers)
    for call in range(calls):
        for after in (False, True):
            await workers.survive([Fault(call, after)])
    assert workers.deaths >= 2 * calls * 0.9  # the number of write batches varies, and the last call differs


@pytest.mark.parametrize("workers", OTHERS, indirect=True)
async def test_workers_that_die_at_some_calls_leave_a_job_that_the_next_one_ends(workers: Workers) -> None:
    calls = await calls_of(workers)
    for turn in range(SAMPLES):
        await workers.survive([Fault(calls * turn // SAMPLES, turn % 2 == 1)])
    await workers.survive([Fault(calls // 3, after) for after in (True, False)])


@pytest.mark.parametrize("workers", TOY_AT_LEAST, indirect=True)
async def test_an_answer_that_is_lost_at_any_call_changes_nothing(workers: Workers) -> None:
    for call in range(await calls_of(workers)):
        for after in (False, True):
            await workers.survive([Fault(call, after, How.LOSES)])


@pytest.mark.parametrize("workers", TOY_AT_LEAST[:2], indirect=True)
async def test_a_worker_that_stood_still_before_it_writes_or_posts_leaves_the_job_to_its_successor(
    workers: Workers,
) -> None:
    """The database refuses the writes of the overtaken worker, and PVE refuses what exists already."""
    overtaken = 0
    for call in range(1, await calls_of(workers)):  # call 0 takes the lease
        asked = await workers.ask()
        async with workers.stalled(asked, Fault(call, after=False, how=How.STALLS)) as gate:
            if not gate.struck.is_set() or not gate.calls[call].startswith(("database", "POST")):
                continue
            overtaken += 1
            await workers.end_lease(asked)
            await workers.live(asked)
            before = await workers.check(asked, f"overtaken at {gate.calls[call]}")
        after = await workers.check(asked, f"released at {gate.calls[call]}, then {gate.calls[call + 1 :]}")
        assert after == before
    assert overtaken >= FENCED_AT_LEAST


@pytest.mark.parametrize("workers", SUBJECTS, indirect=True)
async def test_what_is_delivered_again_and_again_to_two_workers_is_done_once(workers: Workers) -> None:
    middle = await calls_of(workers) // 2
    asked = await workers.ask()
    async with workers.stalled(asked, Fault(middle, after=True, how=How.STALLS)):
        others = await asyncio.gather(*(workers.live(asked) for _ in range(DELIVERIES)))
    assert [gate.calls for gate in others] == [["database"]] * DELIVERIES
    assert (await workers.check(asked, "delivered to others while one had it")).attempt == 1
    asked = await workers.ask()
    await asyncio.gather(*(workers.live(asked) for _ in range(DELIVERIES)))
    await workers.live(asked)
    assert (await workers.check(asked, "delivered at once, and after its end")).attempt == 1


@pytest.mark.full
@pytest.mark.parametrize("workers", SUBJECTS, indirect=True)
@searched(suppress_health_check=list(HealthCheck))
@given(schedule=SCHEDULES)
async def test_generated_schedules_of_deaths_and_lost_answers(
    workers: Workers, schedule: list[tuple[float, bool, How]]
) -> None:
    calls = workers.calls = workers.calls or await calls_of(workers)
    await workers.survive([Fault(int(share * calls), after, how) for share, after, how in schedule])
