"""Decides who may call an event handler. Without a mark on the handler, nobody may.

With Reflex a browser can call any public method of any state by name. ``Guard`` runs before each event. It lets an event
through if ``requires`` or ``public`` marks the handler and the caller meets the mark. It also lets through a few events of
Reflex by their exact names. It refuses all other events before anything changes.

For every event, the session is read from the cookie of the websocket's handshake, and bound to the tab's state. Another
session in the same tab gets a new state. A tab that comes back from another web process also gets a new state. Each process
holds the states of its own tabs, so the earlier state in this process is outdated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import reflex as rx
import structlog
from reflex.event import Event
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, OnLoadInternalState, StateUpdate
from reflex_base.constants.state import FIELD_MARKER
from reflex_base.event.context import EventContext
from reflex_base.registry import RegistrationContext
from reflex_base.utils.format import format_event_handler

from lxc_dashboard import routes
from lxc_dashboard.errors import ServiceUnavailableError, SessionExpiredError
from lxc_dashboard.services.auth import privileges, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.state.process import WebProcess
from lxc_dashboard.state.socket.messages import connecting_events
from lxc_dashboard.state.socket.sockets import Sockets, to_sign_in
from lxc_dashboard.state.socket.tabs import StateOwner

if TYPE_CHECKING:
    from reflex.app import App

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.monitor.feed import FeedHub

log = structlog.get_logger(__name__)

# Any: Reflex turns a marked method into an event handler of the class, and a method of its instances.
Handler = Callable[[Callable[..., Any]], Any]
ACCESS_ATTRIBUTE: Final = "_dashboard_access"


@dataclass(frozen=True, slots=True)
class Access:
    """The requirements of a handler: a session unless ``anybody``, and each ``(privilege, path)`` in PVE.

    ``unattended``: open pages call it without an action of the user, so a call does not keep the session open.
    """

    anybody: bool = False
    privileges: tuple[tuple[str, str], ...] = ()
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of the running handler or route. ``session`` may be None only where anybody may call."""

    process: WebProcess
    session: Session | None

    @property
    def runtime(self) -> Runtime:
        return self.process.runtime

    @property
    def hub(self) -> FeedHub:
        """The feeds with viewers in this process."""
        return self.process.hub

    @property
    def sockets(self) -> Sockets:
        """The sockets of this process: ``enter``, ``quit`` and ``push`` rooms."""
        return self.process.sockets


_CALLER: ContextVar[Caller] = ContextVar("lxc_dashboard_caller")


def requires(
    *held: tuple[str, str],
    background: bool = False,
    supersedes: bool = False,
    unattended: bool = False,
    **actions: Any,
) -> Handler:
    """Turn a method into an event handler that a signed-in user may call.

    ``held``: ``(privilege, path)`` pairs that are checked in PVE before each call. The service checks privileges that depend
    on the arguments. ``unattended`` as in ``Access``. ``background``, ``supersedes`` and ``actions`` (``debounce``,
    ``throttle``, ``temporal``, ``stop_propagation``, ``prevent_default``) as in ``rx.event``.
    """
    return _marked(
        Access(privileges=held, unattended=unattended), background=background, supersedes=supersedes, **actions
    )


def public(function: Callable[..., Any]) -> Any:
    """Turn a method into an event handler that anybody may call, signed in or not. It must show no data from PVE."""
    return _marked(Access(anybody=True))(function)


def _marked(access: Access, **options: Any) -> Handler:
    def mark(function: Callable[..., Any]) -> Any:
        setattr(function, ACCESS_ATTRIBUTE, access)
        return rx.event(function, **options)

    return mark


def caller() -> Caller:
    """The caller of the running handler. Raises ``SessionExpiredError`` outside a handler that the guard let through."""
    try:
        return _CALLER.get()
    except LookupError:
        raise SessionExpiredError(detail="no caller: the guard did not run") from None


@cache
def framework_events() -> dict[str, Access]:
    """Requirements of the events that Reflex's own frontend sends, by full name. All need a session.

    Navigating to another page keeps the session open. Connecting does not, because a page also connects by itself when the
    network returns. The request for a page counts separately.
    """
    handlers = (
        OnLoadInternalState.event_handlers["on_load_internal"],
        OnLoadInternalState.event_handlers["set_is_hydrated"],
    )
    navigation = {format_event_handler(handler): Access() for handler in handlers}
    return navigation | {name: Access(unattended=True) for name in connecting_events()}


def access_of(event_name: str) -> Access | None:
    """The requirements of the event's handler; None if nobody may call it."""
    framework = framework_events().get(event_name)
    if framework is not None:
        return framework
    registered = RegistrationContext.get().event_handlers.get(event_name)
    access = getattr(registered.handler.fn, ACCESS_ATTRIBUTE, None) if registered else None
    return access if isinstance(access, Access) else None


def cookie_of(header: str, name: str) -> str:
    """The value of one cookie in a Cookie header; empty if there is none. Ignores cookies of other applications."""
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


class Guard(Middleware):
    """Refuses an event, redirects to the sign-in page, or lets the event through with its ``Caller`` set."""

    def __init__(self, process: WebProcess) -> None:
        self._process = process

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Return None to let the handler run. An update is sent to the page instead."""
        del app
        access = access_of(event.name)
        if access is None:
            log.warning("event refused", event_name=event.name[:200])
            return StateUpdate()
        runtime = self._process.runtime
        try:
            used = not access.unattended and not _follows_another()
            session = await sessions.find(runtime, _cookie(state, runtime.settings.PUBLIC_URL), used=used)
        except ServiceUnavailableError as error:
            log.warning("session not read", event_name=event.name, why=str(error))
            return AwayState.update()
        if session is None and not access.anybody:
            return to_sign_in(_address(state))
        connects = session is not None and event.name in connecting_events()
        is_outdated = connects and await self._process.seats.take(_token(state))
        await _bind(state, session, is_outdated=is_outdated)
        if session is not None:
            await self._process.sockets.join(_sid(state), session, _address(state))
            for privilege, path in access.privileges:
                await privileges.require(runtime, session, path, privilege)
        _CALLER.set(Caller(self._process, session))
        return None


def _follows_another() -> bool:
    """Whether a handler, not a browser, caused the event. Only the browser's event may count as a use of the session."""
    try:
        return EventContext.get().parent_txid is not None
    except LookupError:
        return False


def _router_data(state: BaseState) -> dict[str, Any]:
    # Private in Reflex, whose public header vars leave out the cookie for good reasons.
    return state._get_root_state().router_data  # noqa: SLF001


def _cookie(state: BaseState, public_url: str) -> str:
    header = _router_data(state).get("headers", {}).get("cookie", "")
    return cookie_of(header, sessions.cookie_name(public_url))


def _sid(state: BaseState) -> str:
    return str(_router_data(state).get("sid", ""))


def _token(state: BaseState) -> str:
    return str(_router_data(state).get("token", ""))


def _address(state: BaseState) -> str:
    return str(_router_data(state).get("asPath", "")) or routes.DASHBOARD


async def _bind(state: BaseState, session: Session | None, *, is_outdated: bool) -> None:
    """Bind the tab's state to ``session``. Clears it first if it belongs to another session, or is outdated."""
    owner = await state.get_state(StateOwner)
    session_id = str(session.id) if session else ""
    if is_outdated or owner._session_id != session_id:  # noqa: SLF001
        state._get_root_state().reset()  # noqa: SLF001
        owner._give_to(session)  # noqa: SLF001


class AwayState(rx.State):
    """``since``: the time of the push, in ms. The guard pushes ``update``, because no handler can set it without services."""

    since: int = 0

    @classmethod
    def update(cls) -> StateUpdate:
        """The update that makes the page show that a service does not answer, and wait for it."""
        return StateUpdate(delta={cls.get_full_name(): {f"since{FIELD_MARKER}": time.time_ns() // 1_000_000}})
