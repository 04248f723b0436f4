"""Shared package buckets: the list on the left, the open bucket on the right. A narrow screen shows one of them.

The form shows the bucket's faults while the user types.
"""

from __future__ import annotations

from typing import Any, Final

import reflex as rx
from reflex_base.components.component import field as prop

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, note, page_states, table
from lxc_dashboard.components.code import code
from lxc_dashboard.components.controls import badge, button, field, icon, link, link_button
from lxc_dashboard.components.list_parts import list_keys
from lxc_dashboard.components.scripts import script
from lxc_dashboard.components.widgets import ago, confirm_button
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.templates.buckets import NEW, BucketRow, BucketsState, DiffLine, FaultRow, UseRow
from lxc_dashboard.state.templates.rows import AuthoringState

FORM_ID: Final = "bucket"
FAULTS_ID: Final = "bucket-faults"
HINT_ID: Final = "bucket-hint"


def bucket_form() -> rx.Component:
    """Name, manager and list of the open bucket. The Save button is outside and refers to ``FORM_ID``."""
    return rx.el.form(
        rx.el.input(type="hidden", name="key", value=BucketsState.chosen, read_only=True),
        rx.cond(BucketsState.overtaken != "", _overtaken()),
        rx.cond(BucketsState.replacing != "", note(BucketsState.replacing, tone="warm")),
        rx.el.div(_name(), _manager(), class_name="bucket-fields"),
        _packages(),
        rx.el.p(BucketsState.touches, class_name="bucket-touches", role="status"),
        on_submit=BucketsState.save,
        id=FORM_ID,
        no_validate=True,
        class_name="stack",
    )


def _packages() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.span(text.PACKAGES, class_name="field-label grow"),
            rx.cond(BucketsState.fault_count == "", rx.el.span(BucketsState.count, class_name="soft")),
            class_name="row",
        ),
        bucket_list(on_change=lambda listing: BucketsState.typed(BucketsState.chosen, listing)),
        _faults(),
        rx.el.span(_hint(), class_name="field-hint", id=HINT_ID),
        class_name="stack-small",
    )


def bucket_list(on_change: Any = None) -> rx.Component:
    """The list's text; read-only without ``on_change``."""
    before, _, after = text.BUCKET_LIST.partition("{name}")
    return code(
        BucketsState.listing,
        name=BucketsState.chosen + BucketsState.opened.to_string(),
        label=before + BucketsState.label + after,
        language=rx.cond(BucketsState.manager == PackageManager.CUSTOM.value, "shell", "yaml"),
        findings=BucketsState.faults,
        described_by=f"{FAULTS_ID} {HINT_ID}" if on_change else "",
        wrap=True,
        go_to=BucketsState.go_to,
        on_change=on_change,
    )


def _name() -> rx.Component:
    wrong = BucketsState.name_fault
    control = rx.el.input(
        id="bucket-name",
        name="name",
        class_name="input mono",
        default_value=BucketsState.name,
        max_length=63,
        auto_complete="off",
        spell_check=False,
        on_blur=lambda name: BucketsState.renamed(BucketsState.chosen, name),
        aria_invalid=wrong != "",
        custom_attrs={"aria-describedby": "bucket-name-error"},
        key="name-" + BucketsState.chosen + BucketsState.opened.to_string(),
    )
    return field(text.BUCKET_FIELDS["name"], control, error=wrong, field_id="bucket-name")


def _manager() -> rx.Component:
    """Fixed for an existing bucket: another manager would read the list differently."""
    control = rx.el.select(
        *(rx.el.option(manager.value, value=manager.value) for manager in PackageManager),
        id="bucket-manager",
        name="manager",
        class_name="select",
        value=BucketsState.manager,
        disabled=BucketsState.chosen != NEW,
        on_change=BucketsState.managed,
    )
    return field(text.BUCKET_FIELDS["manager"], control, field_id="bucket-manager")


def _hint() -> Any:
    return rx.match(BucketsState.manager, *text.BUCKET_HINTS.items(), "")


def _faults() -> rx.Component:
    return rx.el.div(
        rx.cond(
            BucketsState.fault_count != "",
            rx.fragment(
                rx.el.p(BucketsState.fault_count, class_name="bucket-wrong"),
                rx.el.ul(rx.foreach(BucketsState.faults, _fault), class_name="stack-small"),
            ),
        ),
        id=FAULTS_ID,
        role="status",
        class_name="bucket-faults",
    )


def _fault(fault: rx.Var[FaultRow]) -> rx.Component:
    place = rx.cond(
        fault.line > 0,
        button(fault.place, kind="quiet", small=True, on_click=BucketsState.show_line(fault.line)),
        rx.el.span(fault.place, class_name="bucket-place"),
    )
    return rx.el.li(place, rx.el.span(fault.message, class_name="grow"), class_name="bucket-fault")


def _overtaken() -> rx.Component:
    before, _, after = text.BUCKET_OVERTAKEN.partition("{userid}")
    lines = BucketsState.overtaken_lines
    return note(
        rx.el.p(before, BucketsState.overtaken, after, " ", BucketsState.overtaken_name, role="alert"),
        rx.cond(
            lines.length() > 0,
            rx.el.div(
                rx.el.p(text.BUCKET_OVERTAKEN_LINES, class_name="field-label"),
                rx.el.pre(
                    rx.foreach(lines, _diff_line),
                    class_name="code",
                    tab_index=0,
                    role="region",
                    aria_label=text.BUCKET_OVERTAKEN_LINES,
                ),
                class_name="bucket-diff",
            ),
        ),
        rx.el.div(
            button(text.BUCKET_MINE, on_click=BucketsState.keep_mine),
            button(text.BUCKET_THEIRS, on_click=BucketsState.discard),
            class_name="row",
        ),
        tone="warm",
    )


def _diff_line(line: rx.Var[DiffLine]) -> rx.Component:
    return rx.el.span(line.sign, " ", line.line, "\n", class_name=rx.cond(line.sign == "+", "plus", "minus"))


_BUCKET_GUIDE = script(__name__, "bucket_guide.js")


class BucketGuide(rx.Component):
    """Keyboard and focus of the form; draws nothing."""

    library = _BUCKET_GUIDE
    tag = "BucketGuide"

    form: rx.Var[str] = prop()
    title: rx.Var[str] = prop()
    opened: rx.Var[str] = prop()
    refusals: rx.Var[int] = prop()
    unsaved: rx.Var[bool] = prop()


def bucket_guide(form: str, *, title: str, opened: Any, refusals: Any, unsaved: Any) -> rx.Component:
    """Ctrl-S saves ``form`` (an id). A new count of ``refusals`` focuses the first fault.

    ``unsaved``: ask before leaving. When the bucket ``opened`` replaces the list, ``title`` (an id) gets the focus.
    """
    return BucketGuide.create(form=form, title=title, opened=opened, refusals=refusals, unsaved=unsaved)


TITLE_ID: Final = "bucket-title"


def _new_bucket() -> rx.Component:
    may = AuthoringState.may_author & (BucketsState.chosen != NEW)
    return rx.cond(may, link_button(text.BUCKET_NEW, routes.bucket(NEW)))


@page(
    routes.BUCKETS,
    text.BUCKETS,
    crumbs=((text.NAV_TEMPLATES, routes.TEMPLATES),),
    on_load=[BucketsState.load, AuthoringState.ask],
    actions=_new_bucket,
)
def buckets() -> rx.Component:
    return rx.el.div(list_keys(), page_states(BucketsState, _columns, empty=_no_buckets, retry=BucketsState.load))


def _no_buckets() -> rx.Component:
    return rx.el.div(
        empty_block(text.BUCKETS_NONE, text.BUCKETS_NONE_NEXT, _new_bucket()),
        rx.cond(AuthoringState.may_author, rx.fragment(), _read_only()),
    )


def _read_only() -> rx.Component:
    # ``late`` delays the note: the user's privileges are read in the background and may remove it.
    return rx.el.div(note(text.BUCKET_READ_ONLY), class_name="late")


def _columns() -> rx.Component:
    chosen = BucketsState.chosen != ""
    return rx.el.div(
        _list(),
        rx.cond(chosen, rx.el.section(_opened(), aria_label=BucketsState.label, class_name="stack"), _none_chosen()),
        class_name=rx.cond(chosen, "bucket-columns chosen", "bucket-columns"),
    )


def _list() -> rx.Component:
    return rx.el.div(rx.cond(BucketsState.total > 0, _found()), class_name="bucket-list")


def _found() -> rx.Component:
    head = [text.BUCKET, (text.PACKAGES, "num"), (text.NAV_TEMPLATES, "num")]
    return rx.el.div(
        rx.el.input(
            type="search",
            class_name="input",
            placeholder=text.BUCKETS_FILTER_HINT,
            aria_label=text.BUCKETS_FILTER,
            default_value=BucketsState.query,
            on_change=BucketsState.search.debounce(80),
        ),
        rx.cond(
            BucketsState.rows.length() > 0,
            table(head, rx.foreach(BucketsState.rows, _row), label=text.BUCKETS),
            rx.el.p(text.BUCKETS_NO_MATCH, class_name="soft"),
        ),
        class_name="stack-small",
    )


def _row(row: rx.Var[BucketRow]) -> rx.Component:
    current = BucketsState.chosen == row.id
    return rx.el.tr(
        rx.el.td(
            link(
                rx.fragment(row.name, rx.el.span(".", row.manager, class_name="soft")),
                row.href,
                class_name="mono",
                aria_current=rx.cond(current, "true", "false"),
            ),
            rx.cond(row.unsaved, rx.fragment(" ", badge(text.BUCKET_UNSAVED, tone="warm"))),
            class_name="wrap",
        ),
        rx.el.td(row.packages, class_name="num"),
        rx.el.td(row.templates, class_name="num"),
        class_name=rx.cond(current, "current", ""),
        custom_attrs={"data-line": "true"},
        key=row.id,
    )


def _none_chosen() -> rx.Component:
    return rx.el.div(
        rx.cond(BucketsState.gone, note(text.BUCKET_GONE, tone="warm")),
        rx.el.p(text.BUCKET_CHOOSE, class_name="soft"),
        rx.cond(AuthoringState.may_author, rx.fragment(), _read_only()),
        class_name="stack-small bucket-none",
    )


def _opened() -> rx.Component:
    return rx.fragment(
        link(rx.fragment(icon("arrow-left"), text.BUCKETS_ALL), routes.BUCKETS, class_name="bucket-back"),
        rx.el.div(
            rx.el.h2(BucketsState.label, class_name="bucket-title", id=TITLE_ID, tab_index=-1),
            rx.cond(BucketsState.unsaved, badge(text.BUCKET_UNSAVED, tone="warm")),
            rx.cond(BucketsState.updated_by != "", _changed()),
            class_name="row",
        ),
        rx.cond(AuthoringState.may_author, rx.fragment(bucket_form(), _foot()), _reading()),
        rx.cond(BucketsState.chosen != NEW, _uses()),
        bucket_guide(
            FORM_ID,
            title=TITLE_ID,
            opened=BucketsState.chosen,
            refusals=BucketsState.refusals,
            unsaved=BucketsState.unsaved,
        ),
    )


def _changed() -> rx.Component:
    before, _, after = text.BUCKET_CHANGED.partition("{userid}")
    return rx.el.span(before, BucketsState.updated_by, after, " ", ago(BucketsState.updated_at), class_name="soft")


def _reading() -> rx.Component:
    return rx.fragment(_read_only(), rx.cond(BucketsState.chosen != NEW, bucket_list()))


def _foot() -> rx.Component:
    is_new = BucketsState.chosen == NEW
    return rx.el.div(
        button(
            rx.cond(is_new, text.BUCKET_CREATE, text.BUCKET_SAVE),
            kind="primary",
            type="submit",
            form=FORM_ID,
            disabled=BucketsState.overtaken != "",
        ),
        rx.cond(BucketsState.unsaved, _discard()),
        rx.el.span(class_name="grow"),
        rx.cond(is_new, rx.fragment(), _delete()),
        class_name="row",
    )


def _discard() -> rx.Component:
    return confirm_button(
        text.BUCKET_DISCARD,
        title=_with_name(text.BUCKET_DISCARD_TITLE, BucketsState.label),
        consequence=text.BUCKET_DISCARD_MEANS,
        verb=text.BUCKET_DISCARD,
        kind="plain",
        on_confirm=BucketsState.discard,
    )


def _delete() -> rx.Component:
    return confirm_button(
        text.BUCKET_DELETE,
        title=_with_name(text.BUCKET_DELETE_TITLE, BucketsState.label),
        consequence=BucketsState.delete_means,
        verb=text.BUCKET_DELETE,
        ask=_with_name(text.BUCKET_DELETE_ASK, BucketsState.saved_name),
        expected=BucketsState.saved_name,
        on_typed=BucketsState.delete,
    )


def _uses() -> rx.Component:
    return rx.el.section(
        rx.el.h3(text.BUCKET_USED_BY, class_name="panel-title"),
        rx.cond(
            BucketsState.used != "",
            rx.el.ul(rx.foreach(BucketsState.uses, _use), class_name="bucket-uses"),
            rx.el.p(text.BUCKET_UNUSED, class_name="soft"),
        ),
        class_name="stack-small",
    )


def _use(use: rx.Var[UseRow]) -> rx.Component:
    return rx.el.li(link(use.name, use.href), " ", rx.el.span(use.note, class_name="soft"))


def _with_name(sentence: str, name: Any) -> Any:
    before, _, after = sentence.partition("{name}")
    return before + name + after
