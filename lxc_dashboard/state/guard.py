"""Who may call an event handler: nobody, unless the handler says so.

In Reflex any public method of any state can be called by name over the websocket. ``Guard`` runs before each of them.
A handler is let through only when ``requires`` or ``public`` marked it and what it asks for is met; the few events of
the framework are known by their exact names; everything else is refused, and nothing has changed by then.

The session comes from the cookie of the websocket's handshake, is looked up for every event, and bound to the tab's
state: another session in the same tab finds the state as new. So does a tab that comes back from another process of the
web server, as each holds its tabs' states by itself: what was left here is old.
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

# What a marked method becomes is Reflex's matter: a value of its class, a method of its instances.
Handler = Callable[[Callable[..., Any]], Any]
ACCESS_ATTRIBUTE: Final = "_dashboard_access"


@dataclass(frozen=True, slots=True)
class Access:
    """What a handler asks for: a session unless ``anybody``, and each ``(privilege, path)`` in PVE.

    ``unattended``: an open page calls it by itself, which is no use of the session.
    """

    anybody: bool = False
    privileges: tuple[tuple[str, str], ...] = ()
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf the present handler or route runs. ``session`` is None only where anybody may call."""

    process: WebProcess
    session: Session | None

    @property
    def runtime(self) -> Runtime:
        return self.process.runtime

    @property
    def hub(self) -> FeedHub:
        """The feeds that are watched through this process."""
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
    """Makes an event handler of a method that a signed-in user may call.

    ``held`` are ``(privilege, path)`` pairs asked of PVE before each call, for what does not depend on the arguments;
    for what does, the service asks. ``unattended`` is what pages call by themselves, however long nobody is there: it
    does not keep the session open. ``background``, ``supersedes`` and ``actions`` (``debounce``, ``throttle``,
    ``temporal``, ``stop_propagation``, ``prevent_default``) are ``rx.event``'s.
    """
    return _marked(
        Access(privileges=held, unattended=unattended), background=background, supersedes=supersedes, **actions
    )


def public(function: Callable[..., Any]) -> Any:
    """Makes an event handler that anybody may call, signed in or not. Nothing of PVE may show in what it does."""
    return _marked(Access(anybody=True))(function)


def _marked(access: Access, **options: Any) -> Handler:
    def mark(function: Callable[..., Any]) -> Any:
        setattr(function, ACCESS_ATTRIBUTE, access)
        return rx.event(function, **options)

    return mark


def caller() -> Caller:
    """Raises ``SessionExpiredError`` outside a handler that the guard let through."""
    try:
        return _CALLER.get()
    except LookupError:
        raise SessionExpiredError(detail="no caller: the guard did not run") from None


@cache
def framework_events() -> dict[str, Access]:
    """Full names of the events of Reflex itself that its frontend needs. All want a session.

    Going to another page is a use of it. Connecting is none: a page does so by itself whenever the network comes back, and
    that it was opened has counted when it was asked for.
    """
    handlers = (
        OnLoadInternalState.event_handlers["on_load_internal"],
        OnLoadInternalState.event_handlers["set_is_hydrated"],
    )
    going = {format_event_handler(handler): Access() for handler in handlers}
    return going | {name: Access(unattended=True) for name in connecting_events()}


def access_of(event_name: str) -> Access | None:
    """What the event's handler asks for, or None where nobody may call it."""
    framework = framework_events().get(event_name)
    if framework is not None:
        return framework
    registered = RegistrationContext.get().event_handlers.get(event_name)
    access = getattr(registered.handler.fn, ACCESS_ATTRIBUTE, None) if registered else None
    return access if isinstance(access, Access) else None


def cookie_of(header: str, name: str) -> str:
    """The value of one cookie in a Cookie header, or nothing. What other applications of the host put there is passed over."""
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


class Guard(Middleware):
    """Refuses, redirects to the sign-in page, or lets an event through with its ``Caller`` set."""

    def __init__(self, process: WebProcess) -> None:
        self._process = process

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """An update ends the event here; None lets the handler run."""
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
            log.warning("event not let in", event_name=event.name, why=str(error))
            return AwayState.update()
        if session is None and not access.anybody:
            return to_sign_in(_address(state))
        connects = session is not None and event.name in connecting_events()
        afresh = connects and await self._process.seats.take(_token(state))
        await _bind(state, session, afresh=afresh)
        if session is not None:
            await self._process.sockets.join(_sid(state), session, _address(state))
            for privilege, path in access.privileges:
                await privileges.require(runtime, session, path, privilege)
        _CALLER.set(Caller(self._process, session))
        return None


def _follows_another() -> bool:
    """Whether a handler asked for the event, and no browser: what led there has counted as a use already, or is none."""
    try:
        return EventContext.get().parent_txid is not None
    except LookupError:
        return False


def _router_data(state: BaseState) -> dict[str, Any]:
    # Not public in Reflex: the public header vars leave the cookie out, and rightly so.
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


async def _bind(state: BaseState, session: Session | None, *, afresh: bool) -> None:
    """Gives the tab's state to ``session``: what another one left in it, or an old visit, is gone before anything is sent."""
    owner = await state.get_state(StateOwner)
    wanted = str(session.id) if session else ""
    if afresh or owner._session_id != wanted:  # noqa: SLF001
        state._get_root_state().reset()  # noqa: SLF001
        owner._give_to(session)  # noqa: SLF001


class AwayState(rx.State):
    """``since`` is never set here. Where nobody can be let in no handler can tell it either: ``update`` goes out in its place."""

    since: int = 0

    @classmethod
    def update(cls) -> StateUpdate:
        """Has the page say that a service of ours does not answer, and look for its return."""
        return StateUpdate(delta={cls.get_full_name(): {f"since{FIELD_MARKER}": time.time_ns() // 1_000_000}})
