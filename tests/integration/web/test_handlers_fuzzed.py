"""Every event handler with ids and values that no page sends: each ends with a message, none with a traceback."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import pytest
from reflex_base.registry import RegistrationContext

from lxc_dashboard import routes
from lxc_dashboard.app import app
from lxc_dashboard.state.guard import access_of
from tests.e2e.stack import Stack
from tests.integration.web.conftest import QUIET_S, Visitor, tab

UNKNOWN: Final = str(UUID(int=7))
SCALARS: Final = ("", "1", UNKNOWN, UNKNOWN[:-1], "\u202e\x1b[2J\x00", "9" * 400, -1, 10**30, 0.5, None, True)
DICTS: Final[tuple[Any, ...]] = ({}, {"name": None, "id": UNKNOWN}, {"": [1]})
LISTS: Final[tuple[Any, ...]] = ([], [None], [UNKNOWN, {}])
ROUTES: Final = [options["route"] for _, options in RegistrationContext.get().decorated_pages] if app else []
FILLED_BY: Final = (f"{routes.CREATE}?template=[id]", f"{routes.CREATE}?edit=[id]", f"{routes.TEMPLATE_NEW}?copy=[id]")
DYNAMIC: Final = [page for page in (*ROUTES, *FILLED_BY) if "[" in page]
PAGES: Final = [
    "no-path",
    *(re.sub(r"\[\w+\]", UNKNOWN, page) for page in DYNAMIC),
    *(pytest.param(re.sub(r"\[\w+\]", "1", page), marks=pytest.mark.full) for page in DYNAMIC),
]
HANDLERS: Final = {
    name: registered.handler.fn
    for name, registered in RegistrationContext.get().event_handlers.items()
    if app and "tests___" not in name and "___dynamic___" not in name and access_of(name)
}


def calls(places: Sequence[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each handler without arguments, and with the value of each of ``places`` in all its arguments."""
    for name, function in HANDLERS.items():
        parameters = list(inspect.signature(function).parameters.values())[1:]
        yield name, {}
        for place in places if parameters else ():
            yield name, {each.name: value(str(each.annotation), place) for each in parameters}


def value(annotation: str, place: int) -> Any:
    values = DICTS if annotation.startswith("dict") else LISTS if annotation.startswith("list") else SCALARS
    return values[place % len(values)]


async def call_all(visitor: Visitor, page: str, places: Sequence[int]) -> None:
    async with tab(visitor, page) as opened:
        await opened.settled()
        for name, payload in calls(places):
            await opened.send(name, payload)
            await opened.updates(0.0)
        await opened.updates(QUIET_S)
        assert not opened.socket.closed


@pytest.fixture
async def said(stack: Stack, visitor: Visitor) -> Callable[[], str]:
    """Sign in as an operator; return a function that reads what the web server has logged since."""
    log = stack.children["web"]
    assert (await visitor.sign_in("operator@pve")).status_code == 303
    before = len(log.said())
    return lambda: log.said()[before:]


def traceback_in(said: str) -> str:
    """The first traceback with the line before it."""
    return said[max(said.find("Traceback") - 300, 0) :][:4000] if "Traceback" in said else ""


async def test_no_handler_fails_over_what_it_is_called_with(visitor: Visitor, said: Callable[[], str]) -> None:
    await call_all(visitor, "/nowhere", range(len(SCALARS)))
    assert not traceback_in(said())
    assert "\u202e" not in said()
    assert "\x1b[2J" not in said()


@pytest.mark.parametrize("page", PAGES)
async def test_no_handler_fails_on_a_page_whose_address_names_nothing(
    visitor: Visitor, said: Callable[[], str], page: str
) -> None:
    await call_all(visitor, page, [SCALARS.index(UNKNOWN)])
    assert not traceback_in(said())
