"""The frame of every page, and how a page is made.

::

    @page(routes.TEMPLATES, text.NAV_TEMPLATES, on_load=TemplatesState.load, actions=discover_button)
    def templates() -> rx.Component:
        return page_states(TemplatesState, template_table, empty=no_templates, retry=TemplatesState.load)

- ``page`` registers the function under its route, puts the frame around its result, and runs ``SessionState.enter``
  before ``on_load``. A new page also needs an import of its module in the ``__init__`` of its package.
- The sidebar lists the entries of ``NAV`` whose page exists. ``/templates/[name]`` highlights ``/templates``.
- ``title`` is text, or a Var (``TemplateState.name``) for a page about one object. While the Var is empty, page and tab
  show ``tab_title``. ``of`` is the ``PageState`` of title and actions. They are hidden while it belongs to another
  address.
- ``crumbs`` are ``(text, href)`` before the title. ``actions`` draws the part on its right. It has at most one
  primary button.
- ``rx.State.<argument>`` of a dynamic route exists only after the app has added its pages. A handler reads
  ``self.router.url.query_parameters`` or ``self.router.page.params``.
- The server redirects a visitor without a session to the sign-in page, and back afterwards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import reflex as rx
from reflex_base.registry import RegistrationContext

from lxc_dashboard import routes, text
from lxc_dashboard.components.controls import icon, link, native_form, native_link
from lxc_dashboard.components.frame import Clicks, palette, running_now, shortcuts, status_line, theme_toggle
from lxc_dashboard.components.widgets import away_note, here, name_in_tab, notices, offline_note
from lxc_dashboard.routes import NavItem
from lxc_dashboard.state.base import FAILED
from lxc_dashboard.state.guard import AwayState
from lxc_dashboard.state.jobs.running import RunningState
from lxc_dashboard.state.problems import NoticeState
from lxc_dashboard.state.search import QUERY_CHARS, SearchState
from lxc_dashboard.state.session import SessionState

NAV: Final = (
    NavItem(text.NAV_DASHBOARD, routes.DASHBOARD, "gauge"),
    NavItem(text.NAV_CONTAINERS, routes.CONTAINERS, "box"),
    NavItem(text.NAV_TEMPLATES, routes.TEMPLATES, "layers"),
    NavItem(text.NAV_JOBS, routes.JOBS, "list-checks"),
)
# Pages that the search finds and the sidebar does not list.
MORE_PAGES: Final = (
    (text.NEW_CONTAINER, routes.CREATE),
    (text.NEW_TEMPLATE, routes.TEMPLATE_NEW),
    (text.BUCKETS, routes.BUCKETS),
    (text.SOURCES, routes.SOURCES),
)
CONTENT_ID: Final = "content"
SIDEBAR_ID: Final = "sidebar"
ENDPOINTS_ID: Final = "endpoints"

Render = Callable[[], rx.Component]


def page(
    route: str,
    title: Any,
    *,
    on_load: Any = None,
    of: Any = None,
    tab_title: str = "",
    crumbs: Sequence[tuple[Any, Any]] = (),
    actions: Render | None = None,
) -> Callable[[Render], Render]:
    """Register a page within the frame. See the module's docstring."""

    def register(content: Render) -> Render:
        def render() -> rx.Component:
            name = rx.cond(title != "", title, tab_title) if isinstance(title, rx.Var) else title
            of_it = functools.partial(here, of) if of is not None else _as_it_is
            found = None if actions is None else lambda: of_it(actions(), "")
            in_tab = of_it(name_in_tab(name), name_in_tab(tab_title)) if isinstance(title, rx.Var) else rx.fragment()
            shown = rx.fragment(in_tab, content())
            return frame(route, of_it(name, tab_title), shown, crumbs=crumbs, actions=found)

        render.__module__, render.__name__ = content.__module__, content.__name__
        loads = [] if on_load is None else list(on_load) if isinstance(on_load, (list, tuple)) else [on_load]
        name = tab_title or (title if isinstance(title, str) else "")
        rx.page(
            route=route,
            title=f"{name} · {text.PRODUCT}" if name else text.PRODUCT,
            on_load=[SessionState.enter, *loads],
        )(render)
        return content

    return register


def _as_it_is(shown: Any, _other: Any) -> Any:
    return shown


def frame(
    route: str,
    title: Any,
    content: rx.Component,
    *,
    crumbs: Sequence[tuple[Any, Any]] = (),
    actions: Render | None = None,
) -> rx.Component:
    return rx.el.div(
        native_link(text.SKIP_TO_CONTENT, href=f"#{CONTENT_ID}", class_name="skip"),
        Clicks.create(),
        offline_note(),
        away_note(AwayState.since),
        _sidebar(route),
        rx.el.div(
            _topbar(title, crumbs),
            _main(title, content, actions),
            rx.el.footer(
                status_line(RunningState.feed),
                rx.el.div(SessionState.endpoint_name, class_name="status-right", title=SessionState.endpoint_name),
                class_name="status-line",
            ),
            class_name="column",
        ),
        notices(NoticeState.notices),
        class_name="frame",
    )


def _main(title: Any, content: rx.Component, actions: Render | None) -> rx.Component:
    return rx.el.main(
        rx.el.div(
            rx.el.h1(title, class_name="page-title"),
            rx.el.div(*([actions()] if actions else []), class_name="page-actions"),
            class_name="page-head",
        ),
        content,
        id=CONTENT_ID,
        class_name="content",
        tab_index=-1,
    )


def shown_nav() -> list[NavItem]:
    """The entries of ``NAV`` whose page is registered."""
    there = {kwargs.get("route") for _, kwargs in RegistrationContext.get().decorated_pages}
    return [item for item in NAV if item.route in there]


def _is_current(item: NavItem, route: str) -> bool:
    if route == routes.BATCH:
        return item.route == routes.JOBS
    return route == item.route or (item.route != routes.DASHBOARD and route.startswith(f"{item.route}/"))


def _sidebar(route: str) -> rx.Component:
    entries = [
        rx.el.li(
            link(
                rx.fragment(icon(item.icon), rx.el.span(item.text, class_name="nav-text")),
                item.route,
                class_name="nav-link current" if _is_current(item, route) else "nav-link",
                title=item.text,
                **({"aria_current": "page"} if _is_current(item, route) else {}),
            )
        )
        for item in shown_nav()
    ]
    return rx.el.div(
        rx.el.div(
            rx.el.span(class_name="brand-mark", aria_hidden=True),
            rx.el.span(text.PRODUCT, class_name="nav-text brand-name"),
            class_name="brand",
        ),
        rx.cond(SessionState.others.length() > 0, _endpoints(), _endpoint(class_name="endpoint nav-text")),
        rx.el.nav(rx.el.ul(*entries, class_name="nav"), aria_label=text.MAIN_NAVIGATION),
        _foot(),
        id=SIDEBAR_ID,
        class_name="sidebar",
        custom_attrs={"popover": "auto"},
    )


def _endpoint(**props: Any) -> rx.Component:
    return rx.el.span(
        rx.el.span(text.ENDPOINT, class_name="nav-label"),
        rx.el.span(SessionState.endpoint_name, class_name="endpoint-name"),
        **props,
    )


def _endpoints() -> rx.Component:
    """A menu of the other endpoints. Links to their sign-in pages, as a session belongs to one endpoint."""
    others = rx.foreach(
        SessionState.others, lambda other: rx.el.li(native_link(other.name, href=other.href, class_name="nav-link"))
    )
    return rx.el.div(
        rx.el.button(
            icon("server"),
            _endpoint(class_name="nav-text grow"),
            rx.el.span(icon("chevron-down"), class_name="nav-text"),
            type="button",
            class_name="nav-link endpoint-button",
            title=text.OTHER_ENDPOINTS,
            custom_attrs={"popoverTarget": ENDPOINTS_ID},
        ),
        rx.el.div(
            rx.el.p(text.OTHER_ENDPOINTS, class_name="nav-label", id=f"{ENDPOINTS_ID}-title"),
            rx.el.ul(others, aria_labelledby=f"{ENDPOINTS_ID}-title"),
            id=ENDPOINTS_ID,
            class_name="endpoint-menu",
            custom_attrs={"popover": "auto"},
        ),
    )


def _foot() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.span(text.SIGNED_IN_AS, class_name="unseen"),
            rx.el.span(SessionState.userid, class_name="user mono", title=SessionState.userid),
            class_name="nav-text",
        ),
        shortcuts(),
        native_form(
            rx.el.button(
                icon("log-out"),
                rx.el.span(text.SIGN_OUT, class_name="nav-text"),
                type="submit",
                class_name="nav-link sign-out",
                title=text.SIGN_OUT,
            ),
            action=routes.SIGN_OUT,
        ),
        class_name="foot",
    )


def _search() -> rx.Component:
    pages = [(item.text, item.route) for item in shown_nav()]
    return palette(
        [{"title": title, "href": href} for title, href in (*pages, *MORE_PAGES)],
        found=SearchState.found,
        of=SearchState.of,
        failure=rx.cond(SearchState.phase == FAILED, SearchState.problem.cause, ""),
        chars=QUERY_CHARS,
        on_load=SearchState.load,
        on_find=SearchState.find,
    )


def _topbar(title: Any, crumbs: Sequence[tuple[Any, Any]]) -> rx.Component:
    trail = [rx.el.li(link(label, href)) for label, href in crumbs]
    return rx.el.header(
        rx.el.button(
            icon("menu"),
            type="button",
            class_name="button quiet icon-only drawer-button",
            title=text.OPEN_NAVIGATION,
            aria_label=text.OPEN_NAVIGATION,
            custom_attrs={"popoverTarget": SIDEBAR_ID},
        ),
        rx.el.nav(
            rx.el.ol(*trail, rx.el.li(title, aria_current="page"), class_name="crumbs"), aria_label=text.BREADCRUMB
        ),
        rx.el.div(
            _search(),
            running_now(RunningState.now, on_watch=RunningState.watch, on_leave=RunningState.leave),
            theme_toggle(),
            class_name="tools",
        ),
        class_name="topbar",
    )
