"""The wizard: its steps on the left, the form in the middle, the container to create on the right.

Above them are notes on where the values of the form come from.
"""

from __future__ import annotations

import reflex as rx
from reflex_base.components.component import field as prop

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import missing_block, note, page_states, panel
from lxc_dashboard.components.controls import button, field, link
from lxc_dashboard.components.scripts import script
from lxc_dashboard.components.widgets import ago, confirm_button, copy_button, dialog
from lxc_dashboard.pages.creation.configure import configure_step
from lxc_dashboard.pages.creation.presets import presets_button, proposal
from lxc_dashboard.pages.creation.steps import packages_step, review_step, scripts_step, summary_list, template_step
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.creation.configure import AppliancesState
from lxc_dashboard.state.creation.form import STEPS
from lxc_dashboard.state.creation.page import CreateState, LinkState, StartState
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.creation.wizard import WizardState


def notes() -> rx.Component:
    """Notes above the steps: the failed job to replace, the draft, the link, and values that could not be filled in."""
    before, _, after = text.FROM_DRAFT.partition("{ago}")
    return rx.fragment(
        rx.cond(WizardState.edits != "", _edited()),
        rx.cond(StartState.moved_on != "", _moved_on()),
        rx.cond(WizardState.from_link, note(text.FROM_LINK)),
        rx.cond(WizardState.draft_at != "", note(before, ago(WizardState.draft_at), after)),
        rx.cond(
            WizardState.not_filled.length() > 0,
            note(text.NOT_FILLED, rx.el.ul(rx.foreach(WizardState.not_filled, rx.el.li)), tone="warm"),
        ),
    )


def _edited() -> rx.Component:
    before, _, after = text.EDITS.partition("{job}")
    there = link(StartState.edited_name, routes.job("") + WizardState.edits)
    as_new = button(text.EDITS_AS_NEW, small=True, on_click=StartState.as_new)
    return note(rx.el.div(rx.el.span(before, there, after), as_new, class_name="finding"))


def _moved_on() -> rx.Component:
    there = link(text.MOVED_ON_DIFF, StartState.moved_on_href)
    return note(rx.el.div(rx.el.span(StartState.moved_on), there, class_name="finding"), tone="warm")


def link_button() -> rx.Component:
    """A button that copies the link, and shows what the link leaves out."""
    return rx.fragment(
        button(text.SHARE_LINK, on_click=LinkState.open_link),
        dialog(
            rx.el.p(text.LINK_LEAD, class_name="soft dialog-text"),
            field(
                text.LINK,
                rx.el.input(
                    id="shared-link", value=LinkState.link, read_only=True, class_name="input mono", spell_check=False
                ),
                field_id="shared-link",
            ),
            rx.cond(LinkState.link_lacks != "", note(LinkState.link_lacks, tone="warm")),
            rx.el.div(
                copy_button(LinkState.link, text.COPY_LINK, at_once=True),
                button(text.CLOSE, on_click=LinkState.close_link),
                class_name="dialog-actions",
            ),
            is_open=LinkState.link != "",
            title=text.SHARE_LINK,
            on_close=LinkState.close_link,
        ),
    )


FORM_ID = "wizard"


class WizardGuide(rx.Component):
    """Moves the focus, and handles the wizard's keys."""

    library = script(__name__, "guide.js")
    tag = "WizardGuide"

    form: rx.Var[str] = prop()
    step: rx.Var[str] = prop()
    refusals: rx.Var[int] = prop()
    aim: rx.Var[str] = prop()


def _actions() -> rx.Component:
    start_again = confirm_button(
        text.START_OVER,
        title=text.START_OVER_TITLE,
        consequence=text.START_OVER_CONSEQUENCE,
        verb=text.START_OVER,
        kind="plain",
        on_confirm=StartState.start_again,
    )
    return rx.cond(CreateState.phase == "ready", rx.fragment(presets_button(), link_button(), start_again))


@page(
    routes.CREATE,
    text.CREATE_TITLE,
    crumbs=((text.NAV_CONTAINERS, routes.CONTAINERS),),
    on_load=[CreateState.load, AppliancesState.resume_download, ReviewState.watch_review],
    actions=_actions,
)
def create() -> rx.Component:
    missing = missing_block(CreateState.problem.cause, text.MISSING_BEGUN_DETAIL, text.NEW_CONTAINER, routes.CREATE)
    return page_states(CreateState, _wizard, missing=missing, retry=CreateState.load)


def _wizard() -> rx.Component:
    return rx.el.div(notes(), _form(), proposal(), class_name="stack")


def _form() -> rx.Component:
    return rx.el.div(
        _steps(),
        rx.el.form(
            _hidden_marks(),
            _step("template", template_step()),
            _step("configure", configure_step()),
            _step("packages", packages_step()),
            _step("scripts", scripts_step()),
            _step("review", review_step()),
            rx.el.div(
                button(text.BACK, on_click=CreateState.back, disabled=WizardState.step == STEPS[0]),
                _forward(),
                class_name="wizard-foot",
            ),
            on_submit=CreateState.forward,
            class_name="wizard-form",
            id=FORM_ID,
            no_validate=True,
        ),
        rx.el.aside(panel(text.SUMMARY, summary_list()), class_name="wizard-aside"),
        WizardGuide.create(form=FORM_ID, step=WizardState.step, refusals=WizardState.refusals, aim=ReviewState.aim),
        class_name="wizard",
    )


def _hidden_marks() -> rx.Component:
    """Hidden inputs that submit the step and the ``versions`` that the page shows."""
    return rx.fragment(
        rx.el.input(type="hidden", name="step", default_value=WizardState.step, key="step-" + WizardState.step),
        rx.el.input(
            type="hidden",
            name="versions",
            default_value=WizardState.versions.to_string(),
            key="versions-" + WizardState.versions.to_string(),
        ),
    )


def _forward() -> rx.Component:
    last = WizardState.step == STEPS[-1]
    label = rx.cond(last, rx.cond(ReviewState.creating, text.CREATING, text.CREATE), text.NEXT)
    waiting = ReviewState.creating | (last & (ReviewState.checking | ReviewState.blocked))
    return button(label, kind="primary", type="submit", disabled=waiting, id="forward")


def _steps() -> rx.Component:
    return rx.el.nav(
        rx.el.ol(*(_step_entry(index, name) for index, name in enumerate(STEPS)), class_name="wizard-steps"),
        aria_label=text.WIZARD_STEPS,
    )


def _step_entry(index: int, name: str) -> rx.Component:
    """A step, with a sign for done, current or invalid. Its label tells screen readers the same."""
    title = text.STEP_NAMES[name]
    current = WizardState.step == name
    wrong = WizardState.invalid_steps.contains(name)
    done = (WizardState.reached > index) & ~current
    sign = rx.cond(wrong, "!", rx.cond(done, "✓", str(index + 1)))
    looks = rx.cond(current, "tree-entry wizard-step current", "tree-entry wizard-step") + rx.cond(wrong, " bad", "")
    return rx.el.li(
        rx.el.button(
            rx.el.span(sign, class_name="wizard-number", aria_hidden=True),
            title,
            type="button",
            class_name=looks,
            disabled=WizardState.reached < index,
            on_click=CreateState.go(name),
            aria_label=rx.cond(wrong, text.STEP_INVALID.format(step=title), title),
            custom_attrs={"aria-current": rx.cond(current, "step", "false")},
        )
    )


def _step(name: str, content: rx.Component) -> rx.Component:
    return rx.el.section(
        content,
        hidden=WizardState.step != name,
        aria_label=text.STEP_NAMES[name],
        id=f"step-{name}",
        tab_index=-1,
        class_name="wizard-section",
    )
