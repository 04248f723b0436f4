"""Restoring a revision. The dialog with its note stays open until it succeeds, and shows why it was refused."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import DashboardError, InvalidInputError, OvertakenError, SessionExpiredError
from lxc_dashboard.services.templates.library import authoring
from lxc_dashboard.state.templates.revisions import TemplateRevisionsState
from tests.unit.state.test_page_states import broken, finished, state_of

__all__ = ["broken"]
OVERTAKEN = OvertakenError(4, "ann@pve", datetime(2026, 11, 24, tzinfo=UTC), [])


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page with the restore dialog open for revision 1 of three."""

    async def read(self: Any, _: Any) -> None:
        self.current = 4

    monkeypatch.setattr(TemplateRevisionsState, "_list", read)
    state = state_of(TemplateRevisionsState)
    state._template_id, state.current, state.numbers, state.restoring = new_id(), 3, ["3", "2", "1"], 1
    return state


async def restored(
    state: Any, monkeypatch: pytest.MonkeyPatch, error: Exception | None, note: str = "Why", kept: str = "Why"
) -> list[Any]:
    async def restore(*given: Any, expected: int) -> Any:
        assert (given[3:], expected) == ((1, kept), 3)
        if error:
            raise error
        return SimpleNamespace(number=4)

    monkeypatch.setattr(authoring, "restore", restore)
    return await finished(TemplateRevisionsState.event_handlers["restore"].fn(state, {"note": note}))


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize(
    ("error", "told", "current"),
    [
        (DashboardError("No more room"), "No more room", 3),
        (InvalidInputError({"note": "is too long"}), "Some fields are invalid: note is too long", 3),
        (OVERTAKEN, OVERTAKEN.user_message, 4),
    ],
)
async def test_a_refusal_stands_in_the_dialog_which_stays(
    state: Any, monkeypatch: pytest.MonkeyPatch, error: DashboardError, told: str, current: int
) -> None:
    assert await restored(state, monkeypatch, error) == []
    assert (state.restoring, state.refusal, state.acting, state.current) == (1, told, False, current)
    await finished(TemplateRevisionsState.event_handlers["ask_restore"].fn(state, 2))
    assert (state.restoring, state.refusal) == (2, "")


@pytest.mark.usefixtures("_broken")
async def test_the_dialog_goes_once_the_revision_is_made(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    state.refusal = "No more room"
    assert len(await restored(state, monkeypatch, None)) == 2
    assert (state.restoring, state.refusal, state.acting) == (0, "", False)


@pytest.mark.usefixtures("_broken")
async def test_without_a_note_the_restored_revision_is_noted(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(await restored(state, monkeypatch, None, note=" ", kept="Restored from revision 1")) == 2


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize("error", [SessionExpiredError(), RuntimeError("a fault of ours")])
async def test_what_is_no_refusal_rises(state: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(type(error)):
        await restored(state, monkeypatch, error)
    assert (state.restoring, state.refusal, state.acting) == (1, "", False)
