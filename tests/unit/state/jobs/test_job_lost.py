"""The page of a job that was removed or that the user may no longer see."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from lxc_dashboard.errors import NotFoundError, UnreachableError
from lxc_dashboard.services.jobs import service as jobs
from lxc_dashboard.state import base, guard
from lxc_dashboard.state.jobs import job
from lxc_dashboard.state.jobs.job import JobState
from tests.unit.state.test_page_states import ID, someone, state_of

GONE = "This job does not exist or was removed"


@pytest.fixture(autouse=True)
def _signed_in() -> Iterator[None]:
    process: Any = SimpleNamespace(runtime=None)
    token = guard._CALLER.set(guard.Caller(process, someone()))
    yield
    guard._CALLER.reset(token)


async def refreshed(monkeypatch: pytest.MonkeyPatch, refused: Exception) -> Any:
    async def visible(*_: Any) -> NoReturn:
        raise refused

    monkeypatch.setattr(jobs, "visible", visible)
    state = state_of(JobState)
    state.id, state.name, state.result, state.phase = ID, "web-01", job.Result("10.0.0.5"), base.READY
    await JobState.event_handlers["refresh"].fn(state)
    return state


async def test_a_job_that_the_user_may_not_see_is_cleared_and_the_error_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    state = await refreshed(monkeypatch, NotFoundError(GONE))
    assert (state.phase, state.problem.cause) == (base.FAILED, GONE)
    assert (state.id, state.name, state.result) == (ID, "", job.Result())


async def test_an_unreachable_pve_clears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    state = await refreshed(monkeypatch, UnreachableError())
    assert (state.phase, state.name) == (base.READY, "web-01")
