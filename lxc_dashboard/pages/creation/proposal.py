"""What a shared preset or a link changes, in a dialog that asks before it fills the form."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.components.blocks import note
from lxc_dashboard.components.controls import button
from lxc_dashboard.components.widgets import ago, dialog
from lxc_dashboard.state.creation.filled import Change
from lxc_dashboard.state.creation.presets import ProposalState


def proposal() -> rx.Component:
    asked_at = rx.cond(ProposalState.proposal_at != "", rx.fragment(" (", ago(ProposalState.proposal_at), ")."))
    is_preset = ProposalState.proposal_at != ""
    return dialog(
        rx.el.p(ProposalState.proposal_about, asked_at, class_name="soft dialog-text"),
        rx.cond(
            ProposalState.proposed.length() > 0,
            rx.el.section(
                rx.el.h3(text.PROPOSED_CHANGES, class_name="findings-title"),
                rx.foreach(ProposalState.proposed, _risky),
                rx.el.dl(rx.foreach(ProposalState.proposed, _plain), class_name="summary"),
                class_name="proposed stack-small",
                tab_index=0,
                role="region",
                aria_label=text.PROPOSED_CHANGES,
            ),
            rx.el.p(text.PROPOSED_NOTHING, class_name="proposed"),
        ),
        rx.el.div(
            button(text.CANCEL, on_click=ProposalState.decline_proposal),
            button(
                rx.cond(is_preset, text.PROPOSED_USE, text.PROPOSED_USE_LINK),
                kind="primary",
                on_click=ProposalState.accept_proposal,
            ),
            class_name="dialog-actions",
        ),
        is_open=ProposalState.proposal != "",
        title=ProposalState.proposal,
        on_close=ProposalState.decline_proposal,
    )


def _risky(change: rx.Var[Change]) -> rx.Component:
    told = rx.el.div(rx.el.strong(change.label), rx.el.div(change.value, class_name="proposed-value mono"))
    return rx.cond(change.risky, note(told, tone="warm"))


def _plain(change: rx.Var[Change]) -> Any:
    line = rx.el.div(rx.el.dt(change.label), rx.el.dd(change.value, class_name="proposed-value"))
    return rx.cond(change.risky, rx.fragment(), line)
