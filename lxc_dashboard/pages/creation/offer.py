"""The search for OS templates that PVE offers, and the progress of a download."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.controls import badge, button, field
from lxc_dashboard.pages.creation.fields import option
from lxc_dashboard.state.creation.offer import ApplianceRow, AppliancesState

SEARCH_ID = "appliance-search"
STORAGE_ID = "appliance-storage"
RUNNING = "running"


def appliance_search() -> rx.Component:
    return rx.el.div(
        _fetching(),
        rx.cond(
            AppliancesState.template_storages.length() > 0,
            rx.el.details(
                rx.el.summary(text.APPLIANCES),
                rx.el.div(_query(), _found(), class_name="stack-small"),
                class_name="advanced appliances",
            ),
        ),
        class_name="stack-small",
    )


def _query() -> rx.Component:
    search = rx.el.input(
        id=SEARCH_ID,
        type="search",
        class_name="input",
        auto_complete="off",
        default_value=AppliancesState.query,
        aria_describedby=f"{SEARCH_ID}-hint",
        on_change=AppliancesState.search.debounce(80),
    )
    storage = rx.el.select(
        rx.foreach(AppliancesState.template_storages, option),
        id=STORAGE_ID,
        class_name="select",
        value=AppliancesState.template_storage,
        on_change=AppliancesState.choose_template_storage,
    )
    return rx.el.div(
        field(text.APPLIANCE_SEARCH, search, hint=text.APPLIANCE_SEARCH_HINT, field_id=SEARCH_ID),
        field(text.APPLIANCE_STORAGE, storage, field_id=STORAGE_ID),
        class_name="fields",
    )


def _found() -> rx.Component:
    before, _, after = text.APPLIANCE_MORE.partition("{count}")
    more = AppliancesState.matches > AppliancesState.appliances.length()
    return rx.el.div(
        rx.cond(
            AppliancesState.appliances.length() > 0,
            rx.el.ul(rx.foreach(AppliancesState.appliances, _appliance), class_name="appliance-list"),
            rx.el.p(text.APPLIANCE_NONE, class_name="soft"),
        ),
        rx.cond(more, rx.el.p(before, AppliancesState.matches, after, class_name="soft")),
        role="status",
    )


def _appliance(row: rx.Var[ApplianceRow]) -> rx.Component:
    take = button(
        text.APPLIANCE_TAKE,
        small=True,
        aria_label=text.APPLIANCE_TAKE + " " + row.name,
        on_click=AppliancesState.take_appliance(row.template),
    )
    download = button(
        text.APPLIANCE_DOWNLOAD,
        small=True,
        aria_label=text.APPLIANCE_DOWNLOAD + ": " + row.name,
        disabled=AppliancesState.fetching.state == RUNNING,
        on_click=AppliancesState.download_now(row.template),
    )
    return rx.el.li(
        rx.el.div(
            rx.el.span(row.name, class_name="mono", title=row.template),
            badge(row.section),
            rx.cond(row.there, badge(text.APPLIANCE_THERE, tone="good")),
            rx.el.div(row.headline, class_name="soft"),
            class_name="appliance-about",
        ),
        rx.cond(row.there, rx.fragment(), download),
        take,
        key=row.template,
        class_name="appliance",
    )


def _fetching() -> rx.Component:
    fetching = AppliancesState.fetching
    return rx.el.div(
        rx.match(
            fetching.state,
            (RUNNING, _running()),
            ("done", note(_words(text.FETCH_DONE), tone="good")),
            ("cancelled", note(_words(text.FETCH_STOPPED), tone="warm")),
            ("failed", note(_words(text.FETCH_FAILED), " ", fetching.cause, tone="bad")),
            rx.fragment(),
        ),
        role="status",
        id="fetching",
    )


def _running() -> rx.Component:
    fetching = AppliancesState.fetching
    stop = button(
        rx.cond(fetching.stopping, text.FETCH_STOPPING, text.FETCH_STOP),
        small=True,
        disabled=fetching.stopping | (fetching.job == ""),
        on_click=AppliancesState.stop_download,
    )
    return rx.el.div(
        rx.el.div(_words(text.FETCHING), rx.el.span(fetching.percent, " %", class_name="num"), class_name="row"),
        rx.el.progress(
            value=fetching.percent.to_string(), max="100", class_name="archive-progress", aria_label=text.PROGRESS
        ),
        rx.el.div(fetching.line, class_name="mono soft fetch-line"),
        rx.el.div(stop, class_name="row"),
        class_name="stack-small mount",
    )


def _words(words: str) -> rx.Component:
    """``words`` with the template and the storage filled in."""
    fetching = AppliancesState.fetching
    before, _, rest = words.partition("{template}")
    between, there, after = rest.partition("{storage}")
    storage = [rx.el.span(fetching.storage, class_name="mono")] if there else []
    return rx.el.span(before, rx.el.span(fetching.template, class_name="mono wrap-anywhere"), between, *storage, after)
