"""The form of a source keeps its input in the browser. When it is reset, and when it must not be."""

from __future__ import annotations

from typing import Any

import pytest

from lxc_dashboard import routes
from lxc_dashboard.state.templates.sources import NEW, SourcesState
from tests.unit.state.test_page_states import broken, finished, go, state_of

__all__ = ["broken"]


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Any:
    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(SourcesState, "_read", nothing)
    return state_of(SourcesState, routes.source(NEW))


async def call(state: Any, handler: str, *arguments: str) -> None:
    await finished(SourcesState.event_handlers[handler].fn(state, *arguments))


@pytest.mark.usefixtures("_broken")
async def test_a_form_that_is_open_is_the_same_when_the_page_connects_again(state: Any) -> None:
    await call(state, "load")
    formed = state.formed
    assert formed
    await call(state, "open_with", "password")
    await call(state, "take_hooks", "secret")
    state.errors = {**state.errors, "name": "is needed"}
    await call(state, "load")
    assert (state.formed, state.access, state.hooks, state.errors["name"]) == (
        formed,
        "password",
        "secret",
        "is needed",
    )


@pytest.mark.usefixtures("_broken")
async def test_a_form_that_was_left_begins_anew(state: Any) -> None:
    await call(state, "load")
    formed = state.formed
    await call(state, "open_with", "password")
    go(state, routes.SOURCES)
    await call(state, "load")
    go(state, routes.source(NEW))
    await call(state, "load")
    assert (state.formed, state.access) == (formed + 1, "none")
