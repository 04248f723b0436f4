"""The parts of every page's state.

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
            yield notify(text.TEMPLATES_FOUND.format(found=len(found.added)))
            yield TemplatesState.load

- ``runtime()`` and ``session()`` return the process's ``Runtime`` and the caller's ``Session``, in a handler and in the code
  that it awaits. A background handler calls them before its first ``async with self``.
- ``_filling()`` surrounds the code that fills a page: it turns any error into the page's failed or forbidden state.
- Elsewhere do not catch errors. The app's one handler shows ``user_message`` with a reference, and logs the rest.
- ``notify``, ``notify_warning`` and ``notify_error`` show a result. A handler must not send ``rx.toast``, ``rx.call_script`` or
  ``rx.call_function``: they evaluate code in the browser, which our Content-Security-Policy refuses. In a component they are
  compiled and work, such as ``on_click=rx.set_clipboard(...)``. ``rx.redirect`` and ``rx.download`` work from both.
- A push to many tabs uses ``caller().sockets``: ``enter(sid, room)``, ``push(room, update)``, ``quit(sid, room)``.
- A browser cannot call methods with a leading underscore, and never receives vars with one.
- Vars are plain values, and dataclasses defined for the page. They never hold a table row, a ticket or a secret.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

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
from lxc_dashboard.state.problems import notify, notify_error, notify_warning, recorded, reference

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime


def uuid_of(value: str, otherwise: str) -> UUID:
    """Parse an id. Raises ``NotFoundError`` with the message ``otherwise`` if ``value`` is none."""
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError(otherwise) from None


def id_in(path: str, query: Mapping[str, Any], name: str) -> str:
    """The id at the end of a page's address. Reflex moves it to the query parameter ``name``, or leaves it in the path."""
    return str(query.get(name, "")) or path.rstrip("/").rpartition("/")[2]


__all__ = [
    "PageState",
    "Problem",
    "caller",
    "notify",
    "notify_error",
    "notify_warning",
    "public",
    "reference",
    "requires",
    "runtime",
    "session",
]

LOADING: Final = "loading"
READY: Final = "ready"
EMPTY: Final = "empty"
FAILED: Final = "failed"
FORBIDDEN: Final = "forbidden"


@dataclass(frozen=True)
class Problem:
    """Why a page has no content. The user may read all of it.

    ``away``: PostgreSQL or Redis does not answer. ``missing``: the object in the address does not exist, or the user may
    not see it.
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
    """The caller's session. Raises ``SessionExpiredError`` without one, as in a ``public`` handler before the sign-in."""
    found = caller().session
    if found is None:
        raise SessionExpiredError
    return found


def problem_of(error: Exception) -> Problem:
    """The problem that a page shows for an error. Logs the error under the same reference."""
    cause, shown = recorded("page failed", error)
    if isinstance(error, PrivilegeError):
        return Problem(cause, text.REMEDY_PRIVILEGE, error.privilege, error.path, shown)
    remedy = text.REMEDY_UNREACHABLE if isinstance(error, UnreachableError) else ""
    is_worth_retrying = not isinstance(error, DashboardError) or error.retryable
    remedy = remedy or (text.REMEDY_RETRY if is_worth_retrying else "")
    away, missing = isinstance(error, ServiceUnavailableError), isinstance(error, NotFoundError)
    return Problem(cause, remedy, reference=shown, away=away, missing=missing)


class PageState(rx.State, mixin=True):
    """The phase of a page, for ``components.blocks.page_states``. The handler ``load`` fills the page.

    ``address``: the path that the page was filled for.
    """

    address: str = ""
    phase: str = LOADING
    problem: Problem = Problem()

    @requires(unattended=True)
    async def fill_again(self) -> Any:
        """Fill the page again. A page calls it when the services answer again."""
        return type(self).event_handlers["load"]

    def _show(self, *, empty: bool = False) -> None:
        """End the loading; ``empty``: the page has no content."""
        self.phase = EMPTY if empty else READY
        self.problem = Problem()

    async def _lose(self, error: Exception, **kept: Any) -> None:
        """Clear the page, since the user may no longer see it, and show the error. ``kept``: vars that stay, by name."""
        self.reset()
        for name, value in kept.items():
            setattr(self, name, value)
        async with self._filling():
            raise error

    @asynccontextmanager
    async def _filling(self) -> AsyncIterator[None]:
        """Show an error of the block as the page's phase and problem. Raises ``SessionExpiredError`` only."""
        self.address = str(self.router.url.path)
        try:
            yield
        except SessionExpiredError:
            raise
        except PrivilegeError as error:
            self.phase, self.problem = FORBIDDEN, problem_of(error)
        except Exception as error:  # noqa: BLE001 - an unexpected error ends the loading, too, and is logged whole
            self.phase, self.problem = FAILED, problem_of(error)
        else:
            if self.phase in {LOADING, FAILED, FORBIDDEN}:
                self._show()
