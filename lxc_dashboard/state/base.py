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

- ``runtime()`` and ``session()`` are the process's ``Runtime`` and the caller's ``Session``, in a handler and in what it
  awaits. A background handler calls them before its first ``async with self``.
- ``_filling()`` surrounds the code that fills a page: it turns any error into the page's failed or forbidden state.
- Elsewhere let errors rise: the app's one handler shows ``user_message`` with a reference, and logs the rest.
- ``notify``, ``notify_warning`` and ``notify_error`` show a result. A handler must not send ``rx.toast``, ``rx.call_script`` or
  ``rx.call_function``: they evaluate code in the browser, which our Content-Security-Policy refuses. In a component, as
  ``on_click=rx.set_clipboard(...)``, they are compiled and work. ``rx.redirect`` and ``rx.download`` work from both.
- A push to many tabs uses ``caller().sockets``: ``enter(sid, room)``, ``push(room, update)``, ``quit(sid, room)``.
- A browser cannot call methods with a leading underscore, and never gets vars with one.
- Vars are plain values and dataclasses made for the page: never a table row, a ticket or a secret.
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
    """Raises ``NotFoundError`` with the message ``otherwise`` where ``value`` is no id."""
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError(otherwise) from None


def id_in(path: str, query: Mapping[str, Any], name: str) -> str:
    """The last part of a page's address. Reflex puts it into the query's parameters, or leaves it in the path."""
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
    """The caller's session. Raises ``SessionExpiredError`` where nobody is signed in, as in a ``public`` handler."""
    found = caller().session
    if found is None:
        raise SessionExpiredError
    return found


def problem_of(error: Exception) -> Problem:
    """What the page shows of an error. Logs the error under the same reference."""
    cause, shown = recorded("page failed", error)
    if isinstance(error, PrivilegeError):
        return Problem(cause, text.REMEDY_PRIVILEGE, error.privilege, error.path, shown)
    remedy = text.REMEDY_UNREACHABLE if isinstance(error, UnreachableError) else ""
    is_worth_retrying = not isinstance(error, DashboardError) or error.retryable
    remedy = remedy or (text.REMEDY_RETRY if is_worth_retrying else "")
    away, missing = isinstance(error, ServiceUnavailableError), isinstance(error, NotFoundError)
    return Problem(cause, remedy, reference=shown, away=away, missing=missing)


class PageState(rx.State, mixin=True):
    """Loading, ready, empty, failed or forbidden, for ``components.blocks.page_states``. The handler ``load`` fills the page.

    ``address``: the path that the page was filled for.
    """

    address: str = ""
    phase: str = LOADING
    problem: Problem = Problem()

    @requires(unattended=True)
    async def fill_again(self) -> Any:
        """Fill the page again: the services answer again. Pages call it by themselves."""
        return type(self).event_handlers["load"]

    def _show(self, *, empty: bool = False) -> None:
        """End the loading: the content is here, or there is none."""
        self.phase = EMPTY if empty else READY
        self.problem = Problem()

    async def _lose(self, error: Exception, **kept: Any) -> None:
        """Clear the page, since the user may not see its content now, and show the error. ``kept``: vars that stay, by name."""
        self.reset()
        for name, value in kept.items():
            setattr(self, name, value)
        async with self._filling():
            raise error

    @asynccontextmanager
    async def _filling(self) -> AsyncIterator[None]:
        """Turn an error while the page is filled into its phase and problem. ``SessionExpiredError`` rises."""
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
