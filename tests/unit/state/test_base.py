from __future__ import annotations

import pytest
import reflex as rx
from structlog.testing import capture_logs

from lxc_dashboard import text
from lxc_dashboard.errors import ApiError, NotFoundError, PrivilegeError, SessionExpiredError, UnreachableError
from lxc_dashboard.state import base
from lxc_dashboard.state.base import PageState
from lxc_dashboard.state.problems import KEPT, NoticeState


class FilledState(PageState, rx.State):
    """The state of a page."""


@pytest.fixture
def state() -> FilledState:
    return FilledState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them


async def fill(state: FilledState, error: Exception | None = None, *, empty: bool | None = None) -> str:
    async with state._filling():
        if error is not None:
            raise error
        if empty is not None:
            state._show(empty=empty)
    return state.phase


async def test_a_page_loads_and_ends_in_the_phase_of_its_content(state: FilledState) -> None:
    assert state.phase == base.LOADING
    assert await fill(state) == base.READY
    assert await fill(state, empty=True) == base.EMPTY
    assert await fill(state, empty=False) == base.READY


async def test_a_failed_page_names_cause_remedy_and_reference(state: FilledState) -> None:
    assert await fill(state, UnreachableError(node="192.0.2.1")) == base.FAILED
    assert state.problem.cause == "PVE cannot be reached"
    assert state.problem.remedy == text.REMEDY_UNREACHABLE
    assert "8006" not in state.problem.remedy, "an endpoint may have another port"
    assert len(state.problem.reference) == 8
    assert "192.0.2.1" not in str(state.problem)
    assert not state.problem.missing
    assert await fill(state, NotFoundError()) == base.FAILED
    assert (state.problem.remedy, state.problem.missing) == ("", True)


async def test_a_failed_page_recovers_with_the_next_load(state: FilledState) -> None:
    await fill(state, ApiError(500, "no"))
    assert await fill(state) == base.READY
    assert state.problem == base.Problem()


async def test_a_forbidden_page_names_privilege_and_path(state: FilledState) -> None:
    assert await fill(state, PrivilegeError("Sys.Audit", "/nodes/pve1")) == base.FORBIDDEN
    assert (state.problem.privilege, state.problem.path) == ("Sys.Audit", "/nodes/pve1")
    assert state.problem.remedy == text.REMEDY_PRIVILEGE


async def test_the_error_of_an_ended_session_rises(state: FilledState) -> None:
    with pytest.raises(SessionExpiredError):
        await fill(state, SessionExpiredError())


async def test_an_unexpected_error_fails_the_page_without_its_message_and_is_logged_once(state: FilledState) -> None:
    with capture_logs() as logged:
        assert await fill(state, RuntimeError("hunter2")) == base.FAILED
    assert state.problem == base.Problem(text.UNEXPECTED, text.REMEDY_RETRY, reference=state.problem.reference)
    assert [(line["log_level"], line["reference"]) for line in logged] == [("error", state.problem.reference)]
    assert "hunter2" in str(logged[0]["exc_info"])
    assert await fill(state) == base.READY


def test_notices_are_kept_few_and_in_order() -> None:
    notices = NoticeState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    show = NoticeState.event_handlers["show"].fn
    for number in range(KEPT + 3):
        show(notices, f"message {number}", "good", "")
    assert [notice.message for notice in notices.notices] == [f"message {number}" for number in range(3, KEPT + 3)]
    ids = [notice.id for notice in notices.notices]
    assert ids == sorted(set(ids))


def test_outside_a_handler_there_is_no_session() -> None:
    with pytest.raises(SessionExpiredError):
        base.session()
    with pytest.raises(SessionExpiredError):
        base.runtime()
