"""Messages about a batch, in singular and plural."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState, new_id
from lxc_dashboard.errors import NotFoundError, UnreachableError
from lxc_dashboard.services.creation import batches as service
from lxc_dashboard.services.creation.batches import BatchJob, BatchView, Outcome
from lxc_dashboard.services.creation.views import creation_view
from lxc_dashboard.state import base, guard
from lxc_dashboard.state.creation.batch import BatchState, cancel_title, outcome_notes
from lxc_dashboard.state.creation.configure import unknown_addresses
from lxc_dashboard.state.creation.review import PlannedRow, title_of
from lxc_dashboard.state.jobs import room as job_room
from tests.unit.state.test_page_states import someone, state_of


@pytest.mark.parametrize(
    ("running", "title"),
    [
        (1, "Cancel the creation of 1 container of web-{1..4}?"),
        (2, "Cancel the creation of 2 containers of web-{1..4}?"),
    ],
)
def test_the_question_counts_what_would_be_cancelled(running: int, title: str) -> None:
    assert cancel_title(running, "web-{1..4}") == title


@pytest.mark.parametrize(
    ("done", "sentence", "noun", "said"),
    [
        (("web-1",), text.BATCH_CANCELLED, "job", "Cancelling 1 job"),
        (("web-1", "web-2"), text.BATCH_CANCELLED, "job", "Cancelling 2 jobs"),
        (("web-1",), text.BATCH_RETRIED, "failed job", "Queued 1 failed job again"),
        (("web-1", "web-2"), text.BATCH_RETRIED, "failed job", "Queued 2 failed jobs again"),
    ],
)
def test_the_answer_counts_what_was_done(done: tuple[str, ...], sentence: str, noun: str, said: str) -> None:
    (told,) = outcome_notes(Outcome(done=done), sentence, noun)
    assert said in repr(told)


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (("web-1",), "1 container: web-1"),
        (("web-1", "web-2"), "2 containers: web-1 … web-2"),
    ],
)
def test_the_plan_counts_what_will_be_made(names: tuple[str, ...], title: str) -> None:
    assert title_of([PlannedRow(name, "DHCP", "None") for name in names]) == title


@pytest.mark.parametrize(("count", "said"), [(1, "1 container are"), (2, "2 containers are")])
def test_those_whose_addresses_are_not_known_are_counted(count: int, said: str) -> None:
    assert said in unknown_addresses(count)


def some_job() -> BatchJob:
    container = Container(id=new_id(), endpoint_id=new_id(), vmid=101, node="pve1", hostname="web-01")
    creation = Job.about(
        container, CREATE_KIND, step="creating", id=new_id(), userid="root@pam", params={},
        state=JobState.RUNNING.value,
    )  # fmt: skip
    return BatchJob(creation_view(creation, container, "", own=False), "")


class Batches:
    """The services' answers. ``asked``: how often privileges were read."""

    def __init__(self) -> None:
        self.jobs = [some_job()]
        self.refused: Exception | None = None
        self.asked = 0

    async def get_batch(self, _rt: Any, _session: Any, batch_id: UUID) -> BatchView:
        self.asked += 1
        if self.refused is not None:
            raise self.refused
        job = self.jobs[0].job
        return BatchView(batch_id, "web-{1..1}", "root@pam", job.created_at, tuple(self.jobs))

    async def jobs_now(self, _rt: Any, _batch_id: UUID) -> list[BatchJob]:
        return self.jobs


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Batches]:
    found = Batches()
    monkeypatch.setattr(service, "get_batch", found.get_batch)
    monkeypatch.setattr(service, "jobs_now", found.jobs_now)
    process: Any = SimpleNamespace(runtime=None)
    token = guard._CALLER.set(guard.Caller(process, someone()))
    yield found
    guard._CALLER.reset(token)


async def opened() -> Any:
    state = state_of(BatchState)
    async for _ in BatchState.event_handlers["load"].fn(state):
        pass
    return state


async def test_a_batch_that_moves_asks_for_rights_now_and_then(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = await opened()
    await state._follow()
    assert (len(state.rows), batches.asked) == (1, 1)
    monkeypatch.setattr(job_room, "RIGHTS_HOLD_S", 0.0)
    await state._follow()
    assert batches.asked == 2
    batches.refused = UnreachableError()
    await state._follow()
    assert (len(state.rows), state.phase) == (1, base.READY)


async def test_a_batch_that_may_not_be_seen_any_more_is_not_shown(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = await opened()
    monkeypatch.setattr(job_room, "RIGHTS_HOLD_S", 0.0)
    batches.refused = NotFoundError("This batch does not exist or was removed")
    await state._follow()
    assert (state.rows, state.pattern, state.phase) == ([], "", base.FAILED)
    assert state.problem.cause == "This batch does not exist or was removed"
