"""Checks the messages of a page's socket before Reflex reads them.

Reflex expects only messages of its own frontend. Any other message would cause a traceback in Reflex or in a handler. Here
it is refused with one line in the log.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import structlog
from reflex.state import State
from reflex_base.registry import RegistrationContext
from reflex_base.utils.format import format_event_handler
from socketio import AsyncNamespace  # type: ignore[import-untyped]

log = structlog.get_logger(__name__)

ADDRESS_CHARS: Final = 16_384
QUERY_FIELDS: Final = 100
# The query contains the parts of the path again.
QUERY_CHARS: Final = 2 * ADDRESS_CHARS
HASHES_AT_MOST: Final = 1000
SCALARS: Final = (str, int, float, bool)
# JavaScript's integers are exact up to this number.
LARGEST_NUMBER: Final = 2**53
UNREADABLE: Final = object()
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}")
EVENT, CLIENT_ERROR, CONNECT, DISCONNECT = "event", "client_error", "connect", "disconnect"
BOOT: Final = "event"
FIELDS: Final = ("name", "payload", "router_data")
# Fields of a page's address. Reflex would store any other field in the state.
PLACE_FIELDS: Final = frozenset({"pathname", "asPath", "query"})


class CheckedNamespace(AsyncNamespace):
    """Passes to Reflex's own namespace only the messages that it can read."""

    def __init__(self, inner: AsyncNamespace) -> None:
        super().__init__(inner.namespace)
        self._inner = inner

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Check a message. ``args``: the socket's id, then the message.

        Returns False to refuse a connection, None for any other invalid message.
        """
        sid, *data = args
        fault = self._fault(event, sid, data)
        if not fault:
            return await self._inner.trigger_event(event, sid, *_read(event, data))
        log.warning("message of a page refused", sid=sid, why=fault)
        return False if self._is_ours(event, sid, data) else None

    def _fault(self, event: Any, sid: str, data: list[Any]) -> str:
        if event == EVENT:
            return fault_of(data[0]) if len(data) == 1 else "not one event"
        if event == CLIENT_ERROR:
            return "" if len(data) == 1 else "not one error"
        if event in (CONNECT, DISCONNECT) and self._is_ours(event, sid, data):
            return _boot_fault(data[1]) if event == CONNECT and len(data) > 1 else ""
        return "unknown message"

    def _is_ours(self, event: Any, sid: str, data: list[Any]) -> bool:
        """Whether the server itself reports a connection or its end. A browser may send messages with the same names."""
        if event == CONNECT:
            return bool(data) and data[0] is self.server.get_environ(sid, self.namespace)
        return event == DISCONNECT and not self.server.manager.is_connected(sid, self.namespace)


def _read(event: Any, data: list[Any]) -> list[Any]:
    """A valid message, with the arguments of its handler converted to the declared types."""
    if event == EVENT:
        return [as_declared(data[0])]
    if event == CONNECT and len(data) > 1 and data[1] and data[1].get(BOOT) is not None:
        return [data[0], {**data[1], BOOT: as_declared(data[1][BOOT])}]
    return data


def as_declared(event: Mapping[str, Any]) -> dict[str, Any]:
    """A valid event, with its payload converted to the types that its handler declares."""
    if event["name"] in connecting_events():
        return dict(event)
    function = RegistrationContext.get().event_handlers[event["name"]].handler.fn
    return {**event, "payload": _payload(function, event.get("payload", {}))}


def fault_of(event: Any) -> str:
    """Why the event is invalid; empty for a valid event. The text does not quote the event."""
    if not isinstance(event, dict):
        return "not an event"
    name, payload, place = (event.get(field, default) for field, default in zip(FIELDS, ("", {}, {}), strict=True))
    registered = RegistrationContext.get().event_handlers.get(name) if isinstance(name, str) else None
    if registered is None:
        return "unknown handler"
    if not _is_place(place):
        return f"address of {name}"
    takes = _connects if name in connecting_events() else partial(_takes, registered.handler.fn)
    return "" if isinstance(payload, dict) and takes(payload) else f"payload of {name}"


@cache
def connecting_events() -> frozenset[str]:
    """Full names of the events that a page sends when it connects, to receive all of its state."""
    return frozenset(format_event_handler(State.event_handlers[name]) for name in ("hydrate", "hydrate_and_load"))


def _boot_fault(auth: Any) -> str:
    """Why the first event is invalid, which a page may send with its connection; empty for a valid one."""
    if auth is None:
        return ""
    if not isinstance(auth, dict):
        return "first event"
    return fault_of(auth[BOOT]) if auth.get(BOOT) is not None else ""


def _is_place(place: Any) -> bool:
    if not isinstance(place, dict) or not place.keys() <= PLACE_FIELDS:
        return False
    path, address, query = place.get("pathname", ""), place.get("asPath", ""), place.get("query", {})
    return (
        all(isinstance(text, str) and len(text) <= ADDRESS_CHARS for text in (path, address))
        and isinstance(query, dict)
        and len(query) <= QUERY_FIELDS
        and all(_is_part(value) for value in query.values())
        and sum(len(name) + _size(value) for name, value in query.items()) <= QUERY_CHARS
    )


def _is_part(value: Any) -> bool:
    """Whether the value of a query is valid. Reflex's frontend sends the rest of an unknown address as a list of parts."""
    if isinstance(value, list):
        return all(isinstance(piece, str) for piece in value)
    return isinstance(value, SCALARS)


def _size(value: Any) -> int:
    """The size in characters."""
    return sum(len(piece) + 1 for piece in value) if isinstance(value, list) else len(str(value))


def _connects(payload: Mapping[str, Any]) -> bool:
    """Whether a connecting event is valid. ``vars`` must be empty, since the browser stores none of our state."""
    hashes = payload.get("hashes") or []
    return (
        payload.keys() <= {"vars", "hashes"}
        and payload.get("vars") in (None, {})
        and isinstance(hashes, list)
        and len(hashes) <= HASHES_AT_MOST
        and all(isinstance(value, str) for value in hashes)
    )


@cache
def _parameters(function: Callable[..., Any]) -> dict[str, tuple[bool, tuple[Any, ...]]]:
    """For each parameter: whether it is required, and its types. No types mean any type."""
    hints = get_type_hints(function)
    _, *parameters = inspect.signature(function).parameters.values()
    return {each.name: (each.default is each.empty, _types(hints.get(each.name, Any))) for each in parameters}


def _types(hint: Any) -> tuple[Any, ...]:
    if hint is Any:
        return ()
    found = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return tuple(get_origin(each) or each for each in found)


def _takes(function: Callable[..., Any], payload: Mapping[str, Any]) -> bool:
    """Whether the payload has each required argument, each of a declared type."""
    return _payload(function, payload) is not None


def _payload(function: Callable[..., Any], payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments in the declared types; None if one is missing, unknown, or of another type."""
    known = _parameters(function)
    read = {name: _as_kind(value, known[name][1]) for name, value in payload.items() if name in known}
    is_whole = payload.keys() <= known.keys() and all(name in payload for name, (needed, _) in known.items() if needed)
    return read if is_whole and UNREADABLE not in read.values() else None


def _as_kind(value: Any, kinds: tuple[Any, ...]) -> Any:
    """``value`` as one of ``kinds``, else ``UNREADABLE``. An input may send a number as text, and a lost value as null."""
    if not kinds or (type(value) in kinds and not _is_too_large(value)):
        return value
    if str in kinds:
        return "" if value is None else str(value) if isinstance(value, (int, float)) else UNREADABLE
    if int in kinds:
        return _whole_number(value)
    return False if bool in kinds and value is None else UNREADABLE


def _whole_number(value: Any) -> Any:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() and not _is_too_large(value) else UNREADABLE


def _is_too_large(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER
