"""Texts of messages. Each code of ``lxc_dashboard.messages`` has its text in one of the tables in this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lxc_dashboard.messages import Message
from lxc_dashboard.text.messages.creation import OF_FORM, OF_PREFLIGHT
from lxc_dashboard.text.messages.errors import ERRORS, OF_DATABASE, OF_GUESTS, OF_PROXMOX
from lxc_dashboard.text.messages.events import EVENTS
from lxc_dashboard.text.messages.remedies import WithRemedy
from lxc_dashboard.text.messages.templates import OF_FORMAT, OF_LIBRARY, OF_SOURCES

MESSAGES: Final[Mapping[str, str | tuple[str, str] | WithRemedy]] = {
    **EVENTS,
    **OF_PREFLIGHT,
    **OF_FORM,
    **ERRORS,
    **OF_FORMAT,
    **OF_SOURCES,
    **OF_GUESTS,
    **OF_LIBRARY,
    **OF_DATABASE,
    **OF_PROXMOX,
}


def in_words(code: str, params: Mapping[str, Any], message: str = "") -> str:
    """The text of a message, in one line. Without ``code`` it is ``message``.

    An unknown code, as of a newer version, is shown itself with its parameters.
    """
    if not code:
        return message
    words = MESSAGES.get(code)
    if words is None:
        return " ".join([code, *(f"{name}={_shown(value)}" for name, value in params.items())])
    if isinstance(words, WithRemedy):
        words = words.cause
    elif isinstance(words, tuple):
        words = words[params.get("count") != 1]
    return _filled(words, params)


def in_words_of(stored: Mapping[str, Any] | Message) -> str:
    """The text of a message, also of one stored in a result, an error or a parameter."""
    message = stored if isinstance(stored, Message) else Message.from_json(stored)
    return in_words(message.code, message.params, message.text)


def remedy_of(stored: Mapping[str, Any] | Message) -> str:
    """The remedy of a message: its own, or else that of a message among its parameters. Empty if there is none."""
    message = stored if isinstance(stored, Message) else Message.from_json(stored)
    words = MESSAGES.get(message.code)
    quoted = (remedy_of(value) for value in message.params.values() if isinstance(value, Mapping | Message))
    remedy = next(filter(None, quoted), "")
    return _filled(words.remedy, {**message.params, "remedy": remedy}) if isinstance(words, WithRemedy) else remedy


def with_remedy(stored: Mapping[str, Any] | Message) -> str:
    """The cause and the remedy in one line."""
    return ". ".join(filter(None, (in_words_of(stored), remedy_of(stored))))


def _filled(words: str, params: Mapping[str, Any]) -> str:
    return words.format_map(_Shown({name: _shown(value) for name, value in params.items()}))


def _shown(value: Any) -> str:
    """The text of a parameter. In a list of messages, each has its remedy."""
    if isinstance(value, Mapping | Message):
        return in_words_of(value)
    if isinstance(value, list) and value and isinstance(value[0], Mapping | Message):
        return "; ".join(map(with_remedy, value))
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("\n", " ")


class _Shown(dict[str, str]):
    """Parameters of a text. One that an older version did not store is shown as a question mark."""

    def __missing__(self, name: str) -> str:
        return "?"
