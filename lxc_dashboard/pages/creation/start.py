"""Notes on where the values of the form come from, and the button that makes a link of it."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.controls import button, field, link
from lxc_dashboard.components.widgets import ago, copy_button, dialog
from lxc_dashboard.state.creation.start import LinkState, StartState
from lxc_dashboard.state.creation.wizard import WizardState


def notes() -> rx.Component:
    """Above the steps: the failed job to replace, the draft, the link, and what could not be filled in."""
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
    """One click copies the link, and shows what the link leaves out."""
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
