"""Lists with filters in the address. A choice changes the address and keeps text typed before the page loads."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lxc_dashboard import routes
from lxc_dashboard.services.jobs import listing
from lxc_dashboard.state.jobs.job_list import JobsState
from lxc_dashboard.state.templates.template_list import TemplatesState
from tests.unit.state.test_page_states import broken, finished, go, state_of

__all__ = ["broken"]


@pytest.fixture
def _nothing_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the services with empty results."""

    async def nothing(*_: Any, **__: Any) -> Any:
        return listing.JobPage((), 0, listing.Choices((), (), (), ()))

    monkeypatch.setattr(listing, "page_of", nothing)
    monkeypatch.setattr(JobsState, "_remember", nothing)
    monkeypatch.setattr(TemplatesState, "_read", nothing)
    monkeypatch.setattr(TemplatesState, "_look_deeper", nothing)


async def called(state: Any, handler: str, *arguments: str) -> list[tuple[str, bool]]:
    """Each address that the handler redirects to, and whether it replaces the history entry."""
    events = await finished(type(state).event_handlers[handler].fn(state, *arguments))
    given = [{str(name): value._var_value for name, value in event.args} for event in events]
    return [(redirect["path"], redirect["replace"]) for redirect in given]


CHOICES = pytest.mark.parametrize(
    ("state_class", "path", "handler", "arguments", "name"),
    [
        (JobsState, routes.JOBS, "narrow", ("state", "failed"), "state"),
        (TemplatesState, routes.TEMPLATES, "narrow", ("tag", "edge"), "tag"),
        (TemplatesState, routes.TEMPLATES, "sort_by", ("os",), "sort"),
        (TemplatesState, routes.TEMPLATES, "lay_out", ("cards",), "layout"),
    ],
)


@pytest.mark.usefixtures("_broken", "_nothing_found")
@CHOICES
async def test_text_typed_before_the_page_follows_a_choice_stays(
    state_class: type[Any], path: str, handler: str, arguments: tuple[str, ...], name: str
) -> None:
    state = state_of(state_class, f"{path}?q=w")
    await called(state, "load")
    ((chosen, _),) = await called(state, handler, *arguments)
    await called(state, "search", "we")
    go(state, chosen)
    ((over, replaced),) = await called(state, "load")
    assert (state.q, getattr(state, name), replaced) == ("we", arguments[-1], True)
    # The user typed more before the page loaded.
    await called(state, "search", "web")
    go(state, over)
    ((last, replaced),) = await called(state, "load")
    assert (state.q, getattr(state, name), replaced) == ("web", arguments[-1], True)
    assert parse_qs(urlsplit(last).query) == {"q": ["web"], name: [arguments[-1]]}
    go(state, last)
    assert await called(state, "load") == []
    assert (state.q, getattr(state, name)) == ("web", arguments[-1])


@pytest.mark.usefixtures("_broken", "_nothing_found")
@CHOICES
async def test_going_back_shows_the_address_and_not_later_input(
    state_class: type[Any], path: str, handler: str, arguments: tuple[str, ...], name: str
) -> None:
    state = state_of(state_class, path)
    await called(state, "load")
    ((chosen, _),) = await called(state, handler, *arguments)
    go(state, chosen)
    assert await called(state, "load") == []
    await called(state, "search", "web")
    go(state, chosen)
    assert await called(state, "load") == []
    assert (state.q, getattr(state, name)) == ("", arguments[-1])


@pytest.mark.usefixtures("_broken", "_nothing_found")
@CHOICES
async def test_a_second_choice_before_the_page_follows_the_first_is_added(
    state_class: type[Any], path: str, handler: str, arguments: tuple[str, ...], name: str
) -> None:
    state = state_of(state_class, f"{path}?page=2")
    await called(state, "load")
    first, value = ("node", "pve1") if state_class is JobsState else ("source", "mine")
    ((before, _),) = await called(state, "narrow", first, value)
    await called(state, "search", "web")
    ((chosen, _),) = await called(state, handler, *arguments)
    assert parse_qs(urlsplit(chosen).query) == {first: [value], "q": ["web"], name: [arguments[-1]]}
    for address in (before, chosen):
        go(state, address)
        assert await called(state, "load") == []
    assert (getattr(state, first), state.q, getattr(state, name)) == (value, "web", arguments[-1])
