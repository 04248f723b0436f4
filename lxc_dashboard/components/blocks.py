"""What a page shows while it loads, fails or is empty, and the frames of content: notes, panels, tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.controls import button, icon, link_button
from lxc_dashboard.components.widgets import again, here

SKELETON_ROWS = 8


def page_states(
    state: Any,
    content: Callable[[], rx.Component],
    *,
    empty: Callable[[], rx.Component] | None = None,
    missing: rx.Component | None = None,
    retry: Any,
    skeleton: Callable[[], rx.Component] | None = None,
    kept: bool = False,
) -> rx.Component:
    """Loading, empty, missing, failed, forbidden or ``content``, by the ``phase`` of a ``PageState``.

    ``retry``: the handler that fills the page. ``empty``: for pages that can be empty.
    ``skeleton``: shown while the page loads, or while its state belongs to another address; by default rows.
    ``missing``: shown instead of a failure if the object in the address does not exist.
    ``kept``: ready and empty pages, too, are read again when PostgreSQL and Redis answer again.
    """
    back = state.fill_again
    ended = failed(state.problem, retry, back)
    if missing is not None:
        ended = rx.cond(state.problem.missing, missing, ended)

    def outline() -> rx.Component:
        return rx.fragment((skeleton or loading_rows)(), again(back))

    def shown(part: Callable[[], rx.Component]) -> rx.Component:
        return rx.fragment(part(), again(back)) if kept else part()

    return here(
        state,
        rx.match(
            state.phase,
            ("ready", shown(content)),
            *([("empty", shown(empty))] if empty else []),
            ("failed", ended),
            ("forbidden", forbidden(state.problem, retry)),
            outline(),
        ),
        outline(),
    )


def loading_rows(rows: int = SKELETON_ROWS) -> rx.Component:
    """Grey rows. They appear after 150 ms, so that a quick page does not flicker."""
    return rx.el.div(
        rx.el.span(text.LOADING, class_name="unseen"),
        *(rx.el.div(class_name="skeleton-row") for _ in range(rows)),
        class_name="skeleton",
        role="status",
    )


def empty_block(title: Any, detail: Any, *actions: rx.Component) -> rx.Component:
    """An empty page: its purpose, and the next step."""
    return _block("inbox", title, rx.el.p(detail), *actions)


def missing_block(title: Any, detail: Any, label: Any, href: str) -> rx.Component:
    """A page whose object does not exist. ``label`` and ``href`` link to the list of existing ones."""
    return _block("search-x", title, rx.el.p(detail), link_button(label, href), role="alert")


def failed(problem: Any, retry: Any, back: Any) -> rx.Component:
    """Cause, remedy, Retry, reference. Calls ``back`` when PostgreSQL and Redis answer again."""
    return _block(
        "circle-alert",
        text.FAILED_TITLE,
        rx.el.p(problem.cause),
        rx.cond(problem.remedy != "", rx.el.p(problem.remedy)),
        button(text.RETRY, on_click=retry),
        _reference(problem),
        again(back, away=problem.away),
        role="alert",
    )


def forbidden(problem: Any, retry: Any) -> rx.Component:
    """The missing privilege with its path, and who can grant it."""
    before, _, rest = text.FORBIDDEN_DETAIL.partition("{privilege}")
    between, _, after = rest.partition("{path}")
    detail = rx.el.p(
        before, rx.el.code(problem.privilege), between, rx.el.code(problem.path), after, class_name="block-detail"
    )
    return _block(
        "lock",
        text.FORBIDDEN_TITLE,
        rx.cond(problem.privilege != "", detail, rx.el.p(problem.cause)),
        rx.el.p(problem.remedy),
        button(text.RETRY, on_click=retry),
        _reference(problem),
        role="alert",
    )


def note(*children: Any, tone: str = "plain") -> rx.Component:
    """One line above the content, for example that a part of it is missing. Tones: plain, warm, bad."""
    return rx.el.div(
        icon("info" if tone == "plain" else "triangle-alert"), rx.el.div(*children), class_name=f"note {tone}"
    )


def panel(title: Any, *children: Any, actions: Any = None) -> rx.Component:
    """A titled frame. Panels are not nested."""
    head = rx.el.div(
        rx.el.h2(title, class_name="panel-title"), *([actions] if actions is not None else []), class_name="panel-head"
    )
    return rx.el.section(head, *children, class_name="panel")


def table(head: list[Any], body: Any, *, label: str) -> rx.Component:
    """Rows of 32 px that scroll sideways. ``head`` holds texts, ``(text, "num")`` for numbers, or an ``rx.el.th``.

    ``body`` is ``rx.foreach(State.rows, row)`` where ``row`` returns an ``rx.el.tr``. Number cells have
    ``class_name="num"``.
    """
    return rx.el.div(
        rx.el.table(
            rx.el.thead(rx.el.tr(*(_th(item) for item in head))),
            rx.el.tbody(body),
            class_name="table",
            aria_label=label,
        ),
        class_name="table-scroll",
        tab_index=0,
        role="region",
        aria_label=label,
    )


def _th(item: Any) -> rx.Component:
    if isinstance(item, rx.el.Th):
        return item
    title, class_name = item if isinstance(item, tuple) else (item, "")
    return rx.el.th(title, class_name=class_name, scope="col") if class_name else rx.el.th(title, scope="col")


def _block(icon_name: str, title: Any, *children: Any, **props: Any) -> rx.Component:
    return rx.el.div(
        icon(icon_name, 20), rx.el.h2(title, class_name="block-title"), *children, class_name="block", **props
    )


def _reference(problem: Any) -> rx.Component:
    before, _, after = text.REFERENCE.partition("{reference}")
    return rx.el.p(before, rx.el.code(problem.reference), after, class_name="block-reference")
