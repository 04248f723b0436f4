"""What every page's state is made of.

A page's state mixes ``PageState`` in, marks each handler with ``requires``, and holds no ``try``::

    class TemplatesState(PageState, rx.State):
        rows: list[TemplateRow] = []

        @requires()
        async def load(self) -> None:
            async with self._filling():
                self.rows = rows_of(await service.list_templates(runtime(), session()))
                self._show(empty=not self.rows)

        @requires()
        async def discover(self) -> AsyncIterator[Any]:
            found = await service.discover(runtime(), session())
            yield said(text.TEMPLATES_FOUND.format(found=len(found.added)))
            yield TemplatesState.load

- ``runtime()`` and ``session()`` are the process's ``Runtime`` and the caller's ``Session``. They hold within a handler
  and within what it awaits. A background handler takes them before its first ``async with self``.
- ``_filling()`` belongs around what fills a page: it turns any error into the page's failed or forbidden state.
- Elsewhere let errors rise: the app's one handler shows ``user_message`` with a reference, and logs the rest.
- ``said``, ``warned`` and ``regretted`` tell a result. A handler must not send ``rx.toast``, ``rx.call_script`` or
  ``rx.call_function``: they evaluate code in the browser, which our Content-Security-Policy refuses. In a component, as
  ``on_click=rx.set_clipboard(...)``, they are compiled and work. ``rx.redirect`` and ``rx.download`` work from both.
- A push to many tabs goes through ``caller().sockets``: ``enter(sid, room)``, ``push(room, update)``, ``quit(sid, room)``.
- Methods with a leading underscore cannot be called from a browser. Vars with one are never sent to it.
- Vars are plain values and dataclasses made for the page. No table row, ticket or secret is ever put in one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.errors import (
    DashboardError,
    NotFoundError,
    PrivilegeError,
    ServiceUnavailableError,
    SessionExpiredError,
    UnreachableError,
)
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.state.guard import caller, public, requires
from lxc_dashboard.state.notices import regretted, said, warned
from lxc_dashboard.state.problems import recorded, reference

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

__all__ = [
    "PageState",
    "Problem",
    "caller",
    "public",
    "reference",
    "regretted",
    "requires",
    "runtime",
    "said",
    "session",
    "warned",
]

LOADING: Final = "loading"
READY: Final = "ready"
EMPTY: Final = "empty"
FAILED: Final = "failed"
FORBIDDEN: Final = "forbidden"


@dataclass(frozen=True)
class Problem:
    """Why a page cannot show what it is for. All of it may be read by the user. ``away``: PostgreSQL or Redis is.

    ``missing``: what the address names is not there, or not for this user to see.
    """

    cause: str = ""
    remedy: str = ""
    privilege: str = ""
    path: str = ""
    reference: str = ""
    away: bool = False
    missing: bool = False


def runtime() -> Runtime:
    """The web process's ``Runtime``."""
    return caller().runtime


def session() -> Session:
    """The caller's session. Raises ``SessionExpiredError`` in a ``public`` handler of somebody not signed in."""
    found = caller().session
    if found is None:
        raise SessionExpiredError
    return found


def problem_of(error: Exception) -> Problem:
    """What to show of an error, which is logged under the same reference."""
    cause, shown = recorded("page failed", error)
    if isinstance(error, PrivilegeError):
        return Problem(cause, text.REMEDY_PRIVILEGE, error.privilege, error.path, shown)
    remedy = text.REMEDY_UNREACHABLE if isinstance(error, UnreachableError) else ""
    is_worth_retrying = not isinstance(error, DashboardError) or error.retryable
    remedy = remedy or (text.REMEDY_RETRY if is_worth_retrying else "")
    away, missing = isinstance(error, ServiceUnavailableError), isinstance(error, NotFoundError)
    return Problem(cause, remedy, reference=shown, away=away, missing=missing)


class PageState(rx.State, mixin=True):
    """Loading, empty, failed and forbidden, for ``components.blocks.page_states``. ``address``: the path that all this is of.

    Its handler ``load`` fills the page.
    """

    address: str = ""
    phase: str = LOADING
    problem: Problem = Problem()

    @requires(unattended=True)
    async def fill_again(self) -> Any:
        """The services are back: what the page could not be filled with meanwhile is read. Pages ask for it by themselves."""
        return type(self).event_handlers["load"]

    def _show(self, *, empty: bool = False) -> None:
        """What was asked for is there, or there is none of it."""
        self.phase = EMPTY if empty else READY
        self.problem = Problem()

    async def _lose(self, error: Exception, **kept: Any) -> None:
        """What was shown may be seen no more: nothing stays but what is ``kept``, by name, and why is told."""
        self.reset()
        for name, value in kept.items():
            setattr(self, name, value)
        async with self._filling():
            raise error

    @asynccontextmanager
    async def _filling(self) -> AsyncIterator[None]:
        """Around the filling of a page, which no error leaves loading. A session that ended is no problem of the page: it rises."""
        self.address = str(self.router.url.path)
        try:
            yield
        except SessionExpiredError:
            raise
        except PrivilegeError as error:
            self.phase, self.problem = FORBIDDEN, problem_of(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the waiting too; it is logged whole
            self.phase, self.problem = FAILED, problem_of(error)
        else:
            if self.phase in {LOADING, FAILED, FORBIDDEN}:
                self._show()
