"""The wizard consists of parts. Each part shows changes of the others, and each requires a session."""

from __future__ import annotations

from typing import Any

import pytest
import reflex as rx
from reflex.utils.format import format_event_handler

from lxc_dashboard.services.creation.form.choices import Choices, StorageChoice, defaults
from lxc_dashboard.state.creation.configure import AddressesState, AppliancesState, FieldsState, MountsState, OfferState
from lxc_dashboard.state.creation.mount_rows import MountRow, format_rows
from lxc_dashboard.state.creation.page import CreateState, LinkState, SelectionState, StartState
from lxc_dashboard.state.creation.presets import PresetsState, ProposalState
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.creation.wizard import WizardState
from lxc_dashboard.state.guard import access_of

PARTS: tuple[type[Any], ...] = (
    AddressesState,
    AppliancesState,
    CreateState,
    FieldsState,
    LinkState,
    MountsState,
    OfferState,
    PresetsState,
    ProposalState,
    ReviewState,
    SelectionState,
    StartState,
)
WIZARD: list[type[Any]] = [WizardState, *PARTS]
STORAGE = StorageChoice("fast", "dir", 1 << 40, 1 << 41)


@pytest.fixture
def states() -> dict[type[Any], Any]:
    """The wizard of one tab and its parts."""
    root = rx.State(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    return {each: root.get_substate(each.get_full_name().split(".")) for each in WIZARD}


def test_the_parts_are_all_that_the_wizard_has() -> None:
    assert WizardState.get_substates() == set(PARTS)
    assert {part.__bases__[-1] for part in PARTS} == {WizardState}, "no part inherits from another"


@pytest.mark.parametrize("changing", WIZARD, ids=lambda state: state.__name__)
def test_a_change_in_one_part_is_shown_by_all(states: dict[type[Any], Any], changing: type[Any]) -> None:
    state = states[changing]
    state._choices = Choices("pve1", (), storages=(STORAGE,))
    state.initial = state.form = defaults(None, state._choices)
    state.form = {**state.form, "hostname": "web", "mounts": format_rows([MountRow("fast", "/srv")])}
    state._changed("hostname")
    assert [row.path for row in states[MountsState].mounts] == ["/srv"]
    assert [option.value for option in states[OfferState].storages] == ["fast"]
    assert "web" in [line.value for line in states[WizardState].summary]
    states[WizardState]._wizard().reset()
    assert (states[MountsState].mounts, states[OfferState].storages, state.form) == ([], [], {})


def test_a_changed_field_sends_no_options_again(states: dict[type[Any], Any]) -> None:
    state = states[FieldsState]
    state._choices = Choices("pve1", (), storages=(STORAGE,))
    state.form = defaults(None, state._choices)
    state._draw()
    for each in WIZARD:
        states[each].dirty_vars.clear()
    state.form["hostname"] = "web"
    state._changed("hostname")
    assert {name for each in WIZARD for name in states[each].dirty_vars} == {"form", "summary"}


def test_each_handler_of_the_wizard_asks_for_a_session() -> None:
    handlers = [handler for state in PARTS for handler in state.event_handlers.values()]
    open_to_anybody = [
        name
        for name in map(format_event_handler, handlers)
        if not name.endswith(".setvar") and ((access := access_of(name)) is None or access.anybody)
    ]
    assert len(handlers) > 40
    assert open_to_anybody == []
