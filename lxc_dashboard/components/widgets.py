"""The React components of ``widgets.js``. Each argument takes a value or a Var."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field
from reflex_components_core.core.banner import connection_errors_count  # type: ignore[import-untyped] # no marker

from lxc_dashboard import routes, text
from lxc_dashboard.components.scripts import NoArgs, WithText, script

# ``widgets.js``, the log and the console import it.
script(__name__, "copy_text.js")
_WIDGETS = script(__name__, "widgets.js")


class Widget(rx.Component):
    """One export of ``widgets.js``."""

    library = _WIDGETS


class AgoWidget(Widget):
    tag = "Ago"
    at: rx.Var[str | float] = field()


class BytesWidget(Widget):
    tag = "Bytes"
    value: rx.Var[int | float] = field()


class CopyWidget(Widget):
    tag = "CopyButton"
    value: rx.Var[str] = field()
    label: rx.Var[str] = field()
    done: rx.Var[str] = field()
    failed: rx.Var[str] = field()
    at_once: rx.Var[bool] = field()


class DialogWidget(Widget):
    tag = "Dialog"
    open: rx.Var[bool] = field()
    title: rx.Var[str] = field()
    on_close: NoArgs


class ConfirmWidget(Widget):
    tag = "ConfirmButton"
    label: rx.Var[str] = field()
    title: rx.Var[str] = field()
    consequence: rx.Var[str] = field()
    verb: rx.Var[str] = field()
    cancel: rx.Var[str] = field()
    ask: rx.Var[str] = field()
    expected: rx.Var[str | int] = field()
    kind: rx.Var[str] = field()
    disabled: rx.Var[bool] = field()
    on_confirm: NoArgs
    on_typed: WithText


class MoreWidget(Widget):
    tag = "More"
    label: rx.Var[str] = field()


class HereWidget(Widget):
    tag = "Here"
    address: rx.Var[str] = field()


class AwayWidget(Widget):
    tag = "Away"
    since: rx.Var[int] = field()
    message: rx.Var[str] = field()
    source: rx.Var[str] = field()


class AgainWidget(Widget):
    tag = "Again"
    away: rx.Var[bool] = field()
    on_back: NoArgs


class OfflineWidget(Widget):
    tag = "Offline"
    source: rx.Var[str] = field()
    errors: rx.Var[int] = field()
    message: rx.Var[str] = field()


class NoticesWidget(Widget):
    tag = "Notices"
    notices: rx.Var[list[Any]] = field()
    label: rx.Var[str] = field()
    close: rx.Var[str] = field()
    reference: rx.Var[str] = field()
    job: rx.Var[str] = field()


class BoundaryWidget(Widget):
    tag = "Boundary"
    title: rx.Var[str] = field()
    detail: rx.Var[str] = field()
    verb: rx.Var[str] = field()


class LoadAgainWidget(Widget):
    tag = "LoadAgain"


class NameInTabWidget(Widget):
    tag = "NameInTab"
    name: rx.Var[str] = field()
    product: rx.Var[str] = field()


def here(state: Any, shown: Any, other: Any) -> rx.Component:
    """``shown`` if the ``PageState`` was filled for the browser's address, else ``other``.

    The browser changes pages at once. Until a handler fills the state, it belongs to the previous page.
    """
    return HereWidget.create(rx.fragment(shown), rx.fragment(other), address=state.address)


def ago(at: Any) -> rx.Component:
    """A time as its age, exact on hover. ``at``: ISO 8601 text, or seconds since the epoch."""
    return AgoWidget.create(at=at)


def size(value: Any) -> rx.Component:
    """Bytes in IEC units, exact on hover."""
    return BytesWidget.create(value=value)


def copy_button(value: Any, label: Any = text.COPY, *, at_once: bool = False) -> rx.Component:
    """Copies ``value``. ``at_once``: also copies when the button appears, for example after a reveal."""
    return CopyWidget.create(value=value, label=label, done=text.COPIED, failed=text.NOT_COPIED, at_once=at_once)


def dialog(*children: Any, is_open: Any, title: Any, on_close: Any) -> rx.Component:
    """A modal that a state opens. To ask a simple question, use ``confirm_button``."""
    return DialogWidget.create(*children, open=is_open, title=title, on_close=on_close)


def confirm_button(
    label: Any,
    *,
    title: Any,
    consequence: Any,
    verb: Any,
    on_confirm: Any = None,
    on_typed: Any = None,
    ask: Any = "",
    expected: Any = None,
    kind: str = "danger",
    disabled: Any = False,
    cancel: Any = text.CANCEL,
) -> rx.Component:
    """A button that asks first. ``title`` names the object ("Delete CT 101 web-01?"), ``consequence`` what is lost.

    The user must type ``expected`` (a vmid) to enable ``verb``; ``ask`` says so. ``on_typed`` gets the typed text, for
    a service that compares it itself. ``cancel`` closes the question; choose another label if ``verb`` is to cancel.
    """
    optional: dict[str, Any] = {"on_confirm": on_confirm, "on_typed": on_typed, "expected": expected}
    return ConfirmWidget.create(
        label=label,
        title=title,
        consequence=consequence,
        verb=verb,
        cancel=cancel,
        ask=ask,
        kind=kind,
        disabled=disabled,
        **{name: value for name, value in optional.items() if value is not None},
    )


def more(*buttons: Any) -> rx.Component:
    """The secondary actions of a page: beside the primary one, and in a menu on phones."""
    return MoreWidget.create(*buttons, label=text.MORE_ACTIONS)


def offline_note() -> rx.Component:
    """One line at the top while the websocket is down."""
    return OfflineWidget.create(errors=connection_errors_count, message=text.OFFLINE, source=routes.SESSION)


def away_note(since: Any) -> rx.Component:
    """One line at the top while PostgreSQL or Redis does not answer."""
    return AwayWidget.create(since=since, message=text.AWAY, source=routes.READY)


def again(fill: Any, *, away: Any = False) -> rx.Component:
    """Draws nothing. Calls ``fill`` when PostgreSQL and Redis answer again. ``away``: they do not answer now."""
    return AgainWidget.create(away=away, on_back=fill)


def notices(shown: Any) -> rx.Component:
    """The notices, at the lower right."""
    return NoticesWidget.create(
        notices=shown, label=text.NOTIFICATIONS, close=text.CLOSE, reference=text.REFERENCE_LABEL, job=text.OPEN_JOB
    )


def boundary() -> rx.Component:
    """Wraps the whole app. Says what to do if a page's code fails in the browser."""
    return BoundaryWidget.create(title=text.BROKEN_TITLE, detail=text.BROKEN_DETAIL, verb=text.LOAD_AGAIN)


def load_again() -> rx.Component:
    return LoadAgainWidget.create()


def name_in_tab(name: Any) -> rx.Component:
    """Puts the name of the page's object into the title of the tab."""
    return NameInTabWidget.create(name=name, product=text.PRODUCT)
