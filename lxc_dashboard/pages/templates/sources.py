"""The sources of templates: the list, the open source with its last report, and the form of a git source."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, note, page_states, panel, table
from lxc_dashboard.components.controls import badge, button, field, link, link_button, mono
from lxc_dashboard.components.widgets import ago, confirm_button, copy_button
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.templates.rows import AuthoringState
from lxc_dashboard.state.templates.sources import KEEP, NEW, Brought, RefusedLine, SourceRow, SourcesState

FORM_ID: Final = "source"
OPENED: Final = SourcesState.opened


def source_form() -> rx.Component:
    return rx.el.form(
        rx.el.div(
            _text_field("name", text.SOURCE_NAME, text.SOURCE_NAME_HINT, value=OPENED.name),
            _text_field("location", text.SOURCE_ADDRESS, text.SOURCE_ADDRESS_HINT, value=OPENED.location),
            _text_field("ref", text.SOURCE_REF, text.SOURCE_REF_HINT, value=OPENED.ref),
            _text_field("subfolder", text.SOURCE_SUBFOLDER, text.SOURCE_SUBFOLDER_HINT, value=OPENED.subfolder),
            _every(),
            _access(),
            rx.match(SourcesState.access, ("password", _password()), ("key", _key()), rx.fragment()),
            _hooks(),
            rx.cond(SourcesState.hooks == "secret", _hook_secret()),
            class_name="source-fields",
        ),
        rx.cond(SourcesState.offered_server != "", _offered()),
        _foot(),
        key=SourcesState.chosen + SourcesState.formed.to_string(),
        on_submit=SourcesState.save,
        id=FORM_ID,
        no_validate=True,
        class_name="stack",
    )


def _common(name: str, *, hint: bool = True) -> dict[str, Any]:
    described = f"{name}-hint {name}-error" if hint else f"{name}-error"
    wrong = rx.cond(SourcesState.errors[name] != "", "true", "false")
    return {"id": name, "name": name, "aria_describedby": described, "aria_invalid": wrong}


def _text_field(name: str, label: str, hint: str, *, value: Any = "", kind: str = "text") -> rx.Component:
    control = rx.el.input(
        **_common(name),
        type=kind,
        class_name="input mono",
        default_value=value,
        auto_complete="new-password" if kind == "password" else "off",
        spell_check=False,
    )
    return field(label, control, hint=hint, error=SourcesState.errors[name], field_id=name)


def _select(name: str, label: str, options: list[rx.Component], value: Any, on_change: Any = None) -> rx.Component:
    more = {"on_change": on_change} if on_change is not None else {}
    control = rx.el.select(*options, id=name, name=name, class_name="select", default_value=value, **more)
    error = SourcesState.errors[name] if name == "every_s" else ""
    return field(label, control, error=error, field_id=name)


def _options(choices: dict[str, str]) -> list[rx.Component]:
    return [rx.el.option(label, value=value) for value, label in choices.items()]


def _every() -> rx.Component:
    return _select("every_s", text.SOURCE_SCHEDULE, _options(text.SOURCE_SCHEDULES), OPENED.every_s)


def _access() -> rx.Component:
    keep = rx.cond(OPENED.opened_with != "", rx.el.option(text.SOURCE_ACCESS_KEEP, value=KEEP))
    return _select(
        "access",
        text.SOURCE_ACCESS,
        [keep, *_options(text.SOURCE_ACCESSES)],
        SourcesState.access,
        SourcesState.open_with,
    )


def _hooks() -> rx.Component:
    keep = rx.cond(OPENED.webhook != "", rx.el.option(text.SOURCE_HOOKS_KEEP, value=KEEP))
    return _select(
        "hooks",
        text.SOURCE_HOOKS,
        [keep, *_options(text.SOURCE_HOOKS_CHOICES)],
        SourcesState.hooks,
        SourcesState.take_hooks,
    )


def _password() -> rx.Component:
    return rx.fragment(
        _text_field("username", text.SOURCE_USER, text.SOURCE_USER_HINT),
        _text_field("password", text.SOURCE_PASSWORD, "", kind="password"),
    )


def _key() -> rx.Component:
    control = rx.el.textarea(
        **_common("private_key"), class_name="textarea mono", rows="4", auto_complete="off", spell_check=False
    )
    error = SourcesState.errors["private_key"]
    return field(text.SOURCE_KEY, control, hint=text.SOURCE_KEY_HINT, error=error, field_id="private_key")


def _hook_secret() -> rx.Component:
    return _text_field("webhook_secret", text.SOURCE_HOOK_SECRET, text.SOURCE_HOOK_HINT, kind="password")


def _offered() -> rx.Component:
    before, _, after = text.SOURCE_PIN_TITLE.partition("{server}")
    return rx.el.div(
        rx.el.p(before, SourcesState.offered_server, after),
        rx.el.code(SourcesState.offered_fingerprint),
        rx.el.p(text.SOURCE_PIN_HOW, class_name="soft"),
        class_name="source-pin stack-small",
        role="status",
    )


def _foot() -> rx.Component:
    is_new = SourcesState.chosen == NEW
    verb = rx.cond(is_new, text.SOURCE_ADD, text.SOURCE_SAVE)
    label = rx.cond(SourcesState.offered_server != "", text.SOURCE_PIN, verb)
    cancel = rx.cond(
        is_new,
        link(text.CANCEL, routes.SOURCES, class_name="button plain"),
        button(text.CANCEL, on_click=SourcesState.leave),
    )
    return rx.el.div(
        button(
            rx.cond(SourcesState.trying, text.SOURCE_SAVING, label),
            kind="primary",
            type="submit",
            disabled=SourcesState.trying,
        ),
        cancel,
        class_name="row",
    )


def _add() -> rx.Component:
    """Hidden while a form is open, because the form has the page's primary button."""
    return rx.cond(
        AuthoringState.may_author & (SourcesState.chosen != NEW) & ~SourcesState.editing,
        link_button(text.SOURCE_ADD, routes.source(NEW), kind="primary"),
    )


@page(
    routes.SOURCES,
    text.SOURCES,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=[SourcesState.load, AuthoringState.ask],
    actions=_add,
)
def sources() -> rx.Component:
    return page_states(SourcesState, _content, empty=_none, retry=SourcesState.load)


def _none() -> rx.Component:
    gone = rx.cond(SourcesState.gone, note(text.SOURCE_GONE, tone="warm"))
    return rx.fragment(gone, empty_block(text.SOURCES_NONE, text.SOURCES_NONE_NEXT, _add()))


def _content() -> rx.Component:
    return rx.el.div(
        rx.cond(SourcesState.gone, note(text.SOURCE_GONE, tone="warm")),
        rx.cond(SourcesState.rows.length() > 0, _list()),
        rx.cond(
            (SourcesState.chosen == NEW) | SourcesState.editing,
            panel(_form_title(), source_form()),
            rx.cond(OPENED.id != "", _opened()),
        ),
        class_name="stack",
    )


def _list() -> rx.Component:
    head = [
        text.SOURCE_NAME,
        text.SOURCE_STATE,
        (text.SOURCE_KIND, "wide"),
        (text.SOURCE_LOCATION, "wide"),
        (text.NAV_TEMPLATES, "num wide"),
        (text.SOURCE_CHECKED, "wide"),
        rx.el.span(text.ACTIONS, class_name="unseen"),
    ]
    return table(head, rx.foreach(SourcesState.rows, _row), label=text.SOURCES)


def _row(row: rx.Var[SourceRow]) -> rx.Component:
    current = SourcesState.chosen == row.id
    return rx.el.tr(
        rx.el.td(link(row.name, row.href, aria_current=rx.cond(current, "true", "false"))),
        rx.el.td(badge(row.state, tone=row.tone)),
        rx.el.td(row.kind, class_name="wide"),
        rx.el.td(mono(row.location), class_name="wide wrap"),
        rx.el.td(
            rx.cond(row.missing != "", rx.fragment(badge(row.missing, tone="warm"), " ")),
            row.templates,
            class_name="num wide",
        ),
        rx.el.td(rx.cond(row.tried_at != "", ago(row.tried_at), text.SOURCE_NEVER), class_name="wide"),
        rx.el.td(rx.cond(AuthoringState.may_author & row.syncs, _sync(row.id, row.name, small=True)), class_name="num"),
        class_name=rx.cond(current, "current", ""),
        key=row.id,
    )


def _sync(source_id: Any, name: Any, *, small: bool = False) -> rx.Component:
    is_busy = SourcesState.busy.contains(source_id)
    return button(
        rx.cond(is_busy, text.SOURCE_SYNCING, text.SOURCE_SYNC),
        small=small,
        disabled=is_busy,
        aria_label=rx.cond(is_busy, text.SOURCE_SYNCING, text.SOURCE_SYNC) + " " + name,
        on_click=SourcesState.sync(source_id),
    )


def _form_title() -> Any:
    before, _, after = text.SOURCE_CHANGE_TITLE.partition("{name}")
    return rx.cond(SourcesState.chosen == NEW, text.SOURCE_ADD_TITLE, before + OPENED.name + after)


def _opened() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(OPENED.name, class_name="panel-title grow"),
            rx.cond(AuthoringState.may_author, _acts(), rx.el.span(text.SOURCE_READ_ONLY, class_name="soft late")),
            class_name="row",
        ),
        rx.cond(OPENED.error != "", note(OPENED.error, tone="bad")),
        rx.cond(OPENED.is_git, _facts()),
        _report(),
        class_name="stack",
        aria_label=OPENED.name,
    )


def _acts() -> rx.Component:
    return rx.cond(
        OPENED.is_git,
        rx.fragment(
            rx.cond(~OPENED.removed, button(text.SOURCE_CHANGE, on_click=SourcesState.change)),
            _remove(),
        ),
    )


def _remove() -> rx.Component:
    return confirm_button(
        text.SOURCE_REMOVE,
        title=_named(text.SOURCE_REMOVE_TITLE),
        consequence=text.SOURCE_REMOVE_MEANS,
        verb=text.SOURCE_REMOVE,
        ask=_named(text.SOURCE_REMOVE_ASK),
        expected=OPENED.name,
        on_typed=SourcesState.remove,
    )


def _named(sentence: str) -> Any:
    before, _, after = sentence.partition("{name}")
    return before + OPENED.name + after


def _facts() -> rx.Component:
    return rx.el.dl(
        _fact(text.SOURCE_LOCATION, mono(OPENED.location)),
        _fact(text.SOURCE_REF, mono(OPENED.ref), shown=OPENED.ref != ""),
        _fact(text.SOURCE_SUBFOLDER, mono(OPENED.subfolder), shown=OPENED.subfolder != ""),
        _fact(text.SOURCE_COMMIT, mono(OPENED.commit), shown=OPENED.commit != ""),
        _fact(text.SOURCE_SCHEDULE, OPENED.schedule),
        _fact(text.SOURCE_OPENED, OPENED.access),
        _fact(text.SOURCE_HOST_KEY, mono(OPENED.host_key), shown=OPENED.host_key != ""),
        _fact(text.SOURCE_HOOK, rx.cond(OPENED.webhook != "", _hook(), text.SOURCE_HOOK_NONE)),
        class_name="facts",
    )


def _fact(name: str, value: Any, *, shown: Any = None) -> rx.Component:
    pair = rx.fragment(rx.el.dt(name, class_name="soft"), rx.el.dd(value, class_name="wrap"))
    return pair if shown is None else rx.cond(shown, pair)


def _hook() -> rx.Component:
    return rx.fragment(
        rx.el.span(mono(SourcesState.webhook_url), copy_button(SourcesState.webhook_url), class_name="row"),
        rx.el.p(text.SOURCE_HOOK_NOTE, class_name="soft"),
    )


def _report() -> rx.Component:
    something = (OPENED.brought.length() > 0) | (OPENED.refused.length() > 0)
    return rx.el.section(
        rx.el.div(
            rx.el.h3(text.SOURCE_REPORT, class_name="panel-title"),
            rx.cond(OPENED.synced_at != "", rx.el.span(ago(OPENED.synced_at), class_name="soft")),
            class_name="row",
        ),
        rx.cond(
            OPENED.synced_at == "",
            rx.el.p(text.SOURCE_REPORT_NONE, class_name="soft"),
            rx.cond(something, _brought(), rx.el.p(text.SOURCE_REPORT_SAME, class_name="soft")),
        ),
        class_name="stack-small",
    )


def _brought() -> rx.Component:
    return rx.el.dl(
        rx.foreach(OPENED.brought, _line),
        rx.cond(
            OPENED.refused.length() > 0,
            rx.fragment(
                rx.el.dt(text.SOURCE_REPORT_WORDS["refused"], class_name="soft"),
                rx.el.dd(
                    rx.el.ul(rx.foreach(OPENED.refused, _refusal)),
                    rx.cond(OPENED.refused_more != "", rx.el.p(OPENED.refused_more, class_name="soft")),
                    class_name="wrap",
                ),
            ),
        ),
        class_name="facts",
    )


def _line(line: rx.Var[Brought]) -> rx.Component:
    return rx.fragment(rx.el.dt(line.word, class_name="soft"), rx.el.dd(line.names, class_name="wrap"))


def _refusal(line: rx.Var[RefusedLine]) -> rx.Component:
    return rx.el.li(rx.el.code(line.place), " ", line.why)
