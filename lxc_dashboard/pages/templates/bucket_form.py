"""The form of a shared package bucket, with its faults while the user types."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx
from reflex_base.components.component import field as prop

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.code import code
from lxc_dashboard.components.controls import button, field
from lxc_dashboard.components.scripts import script
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.state.templates.bucket_work import NEW, DiffLine, FaultRow
from lxc_dashboard.state.templates.buckets import BucketsState

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
    """Ctrl-S saves ``form`` (its id); a new count of ``refusals`` focuses the first fault; ``unsaved`` asks before leaving.

    When the bucket ``opened`` replaces the list, its ``title`` (an id) gets the focus.
    """
    return BucketGuide.create(form=form, title=title, opened=opened, refusals=refusals, unsaved=unsaved)
