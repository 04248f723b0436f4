"""The step Configure: the fields, several containers, the mount points, and the search and download of OS templates."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.controls import badge, button, field
from lxc_dashboard.pages.creation.fields import (
    choice_field,
    entry,
    error_of,
    one_only,
    option,
    password_field,
    range_field,
    reset,
    select_field,
    stand_in,
    step_error,
    text_field,
)
from lxc_dashboard.state.creation.configure import ApplianceRow, AppliancesState, FieldsState, MountsState, OfferState
from lxc_dashboard.state.creation.mount_rows import FIELD, NODE_FOLDER, ShownMount
from lxc_dashboard.state.creation.wizard import WizardState

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
    """The text ``words`` with the template and the storage filled in."""
    fetching = AppliancesState.fetching
    before, _, rest = words.partition("{template}")
    between, there, after = rest.partition("{storage}")
    storage = [rx.el.span(fetching.storage, class_name="mono")] if there else []
    return rx.el.span(before, rx.el.span(fetching.template, class_name="mono wrap-anywhere"), between, *storage, after)


def configure_step() -> rx.Component:
    return rx.el.div(
        rx.cond(
            OfferState.missing.length() > 0,
            note(text.NOT_OFFERED, rx.el.ul(rx.foreach(OfferState.missing, rx.el.li)), tone="warm"),
        ),
        _essential(),
        several_block(),
        _fields(
            text.ACCESS,
            entry("password_mode"),
            password_field(),
            entry("ssh_keys"),
        ),
        _fields(
            text.NETWORK,
            choice_field("bridge", OfferState.bridges.length() > 0, rx.foreach(OfferState.bridges, option)),
            entry("vlan"),
            entry("ipv4_mode"),
            _if_static("ipv4", one_only(entry("ipv4_address"))),
            _if_static("ipv4", range_field("ipv4")),
            _if_static("ipv4", entry("ipv4_gateway")),
        ),
        mount_list(),
        rx.el.details(rx.el.summary(text.ADVANCED), _advanced(), class_name="advanced"),
        class_name="stack",
    )


def _essential() -> rx.Component:
    present, downloads = OfferState.os_present, OfferState.os_downloads
    groups = (
        rx.cond(present.length() > 0, rx.el.optgroup(rx.foreach(present, option), label=text.OS_PRESENT)),
        rx.cond(downloads.length() > 0, rx.el.optgroup(rx.foreach(downloads, option), label=text.TO_DOWNLOAD)),
    )
    return rx.el.div(
        _fields(
            text.ESSENTIAL,
            one_only(entry("hostname")),
            select_field("node", rx.foreach(OfferState.nodes, option), on_change=FieldsState.change_node),
            choice_field("ostemplate", (present.length() + downloads.length()) > 0, *groups),
            entry("cores"),
            entry("memory_mib"),
            entry("disk_gib"),
            choice_field("storage", OfferState.storages.length() > 0, rx.foreach(OfferState.storages, option)),
            entry("vmid", placeholder=OfferState.next_vmid),
        ),
        appliance_search(),
        class_name="stack-small",
    )


def _if_static(family: str, control: rx.Component) -> rx.Component:
    return rx.el.div(control, hidden=WizardState.form[f"{family}_mode"] != "static")


def _advanced() -> rx.Component:
    return rx.el.div(
        entry("swap_mib"),
        entry("ipv6_mode"),
        _if_static("ipv6", one_only(entry("ipv6_address"))),
        _if_static("ipv6", range_field("ipv6")),
        _if_static("ipv6", entry("ipv6_gateway")),
        entry("nameserver"),
        entry("searchdomain"),
        entry("mtu"),
        choice_field(
            "pool",
            OfferState.pools.length() > 0,
            rx.el.option(text.NO_POOL, value=""),
            rx.foreach(OfferState.pools, option),
        ),
        entry("tags"),
        entry("start_order"),
        *(entry(name) for name in ("unprivileged", "nesting", "keyctl", "fuse", "firewall", "onboot")),
        entry("pause_after_create"),
        entry("description"),
        class_name="fields",
    )


def _fields(title: str, *controls: rx.Component) -> rx.Component:
    return rx.el.fieldset(rx.el.legend(title, class_name="fields-title"), rx.el.div(*controls, class_name="fields"))


def several_block() -> rx.Component:
    """Hidden when a failed job is replaced, because that job has one container."""
    return rx.cond(
        WizardState.edits == "",
        rx.el.fieldset(
            rx.el.legend(text.SEVERAL, class_name="fields-title"),
            rx.el.p(text.SEVERAL_LEAD, class_name="soft fields-lead"),
            rx.el.div(text_field("hostname_pattern", placeholder="web-{01..20}"), class_name="fields"),
        ),
    )


def mount_list() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(text.FIELD_LABELS[FIELD], class_name="fields-title"),
        rx.el.div(
            rx.el.p(text.MOUNTS_LEAD, class_name="field-hint"),
            rx.cond(
                MountsState.mounts.length() > 0,
                rx.el.div(
                    rx.foreach(MountsState.mounts, _mount),
                    class_name="stack-small",
                    key="mounts-" + WizardState.versions[FIELD].to(str),
                ),
            ),
            step_error(FIELD),
            rx.el.div(
                button(text.MOUNT_ADD, small=True, on_click=MountsState.add_mount), reset(FIELD), class_name="row"
            ),
            class_name="stack-small",
        ),
    )


def _mount(row: rx.Var[ShownMount], at: rx.Var[int]) -> rx.Component:
    before, _, after = text.MOUNT.partition("{number}")
    title = before + row.number.to_string() + after
    return rx.el.div(
        rx.el.div(
            rx.cond(OfferState.storages.length() > 0, _chosen_source(row, at), _typed_source(row, at)),
            rx.cond(row.is_bind, rx.fragment(), _text(row, at, "size_gib", row.size_gib, kind="number")),
            _text(row, at, "path", row.path),
            class_name="fields",
        ),
        stand_in(row.key + ".source"),
        rx.el.div(
            rx.cond(row.is_bind, rx.fragment(), _flag(row, at, "backup", row.backup)),
            _flag(row, at, "read_only", row.read_only),
            button(
                text.REMOVE,
                kind="quiet",
                small=True,
                aria_label=text.MOUNT_REMOVE + " " + row.number.to_string(),
                on_click=MountsState.remove_mount(at),
            ),
            class_name="row",
        ),
        role="group",
        aria_label=title,
        class_name="mount",
    )


def _chosen_source(row: rx.Var[ShownMount], at: rx.Var[int]) -> rx.Component:
    select = rx.el.select(
        rx.foreach(OfferState.storages, option),
        rx.el.option(text.MOUNT_NODE_FOLDER, value=NODE_FOLDER),
        id=row.key + ".from",
        name=row.key + ".from",
        class_name="select",
        default_value=rx.cond(row.is_bind, NODE_FOLDER, row.source),
        aria_invalid=~row.is_bind & WizardState.errors.contains(row.key + ".source"),
        aria_describedby=row.key + ".source-stand-in",
        on_change=lambda value: MountsState.keep_mount(at, "from", value),
    )
    wrong = rx.cond(row.is_bind, "", error_of(_id(row, "source")))
    chosen = field(text.MOUNT_FIELDS["from"], select, error=wrong, field_id=_id(row, "from"))
    return rx.fragment(chosen, rx.cond(row.is_bind, _text(row, at, "source", row.source)))


def _typed_source(row: rx.Var[ShownMount], at: rx.Var[int]) -> rx.Component:
    """A text input, used if PVE did not list the storages."""
    return _text(row, at, "source", row.source, label=text.MOUNT_FIELDS["from"])


def _text(
    row: rx.Var[ShownMount], at: rx.Var[int], part: str, value: Any, *, kind: str = "text", label: str = ""
) -> rx.Component:
    hint = text.MOUNT_HINTS.get(part, "")
    name = _id(row, part)
    control = rx.el.input(
        id=name,
        name=name,
        type=kind,
        class_name="input num" if kind == "number" else "input mono",
        default_value=value,
        auto_complete="off",
        aria_invalid=WizardState.errors.contains(name),
        aria_describedby=(name + "-hint " if hint else "") + name + "-error",
        on_blur=lambda typed: MountsState.keep_mount(at, part, typed),
    )
    return field(label or text.MOUNT_FIELDS[part], control, hint=hint, error=error_of(_id(row, part)), field_id=name)


def _flag(row: rx.Var[ShownMount], at: rx.Var[int], part: str, on: Any) -> rx.Component:
    name = _id(row, part)
    return rx.el.label(
        rx.el.input(
            id=name,
            name=name,
            type="checkbox",
            default_checked=on,
            on_change=lambda value: MountsState.keep_mount(at, part, value),
        ),
        text.MOUNT_FIELDS[part],
        class_name="check",
    )


def _id(row: rx.Var[ShownMount], part: str) -> Any:
    return row.key + "." + part
