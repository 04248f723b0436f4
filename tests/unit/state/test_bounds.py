"""A tab's state is bounded, however often and however much a browser sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form.choices import Choices, defaults
from lxc_dashboard.services.creation.form.fields import MOUNTS_MAX
from lxc_dashboard.services.creation.form.filled import MAX_ITEMS, VALUE_CHARS
from lxc_dashboard.services.templates.format.packages import MAX_LIST_BYTES
from lxc_dashboard.services.templates.library.authoring import MAX_NOTE_CHARS
from lxc_dashboard.state import guard
from lxc_dashboard.state.creation.configure import FieldsState, MountsState
from lxc_dashboard.state.creation.form import KEYS_CHARS
from lxc_dashboard.state.creation.page import CreateState, SelectionState
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.templates.buckets import LISTING_CHARS, NAME_CHARS, NEW, BucketsState, Work
from lxc_dashboard.state.templates.editor.page import EditorState
from lxc_dashboard.state.templates.editor.save import SaveState
from lxc_dashboard.state.templates.editor.scripts import ScriptsState
from tests.unit.state.test_page_states import state_of

LONG = "x" * 3_000_000


class NoRuntime:
    """A runtime without any service."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.fixture(autouse=True)
def _signed_in() -> Iterator[None]:
    session = Session(uuid4(), uuid4(), "pve", "op@pve", datetime.now(UTC))
    caller: Any = guard.Caller(SimpleNamespace(runtime=NoRuntime()), session)  # type: ignore[arg-type]
    token = guard._CALLER.set(caller)
    yield
    guard._CALLER.reset(token)


async def sent(state: Any, handler: str, *arguments: Any) -> None:
    called = type(state).event_handlers[handler].fn(state, *arguments)
    with suppress(RuntimeError):
        if hasattr(called, "__anext__"):
            [_ async for _ in called]
        else:
            await called


def wizard(part: type[Any]) -> Any:
    """A part of the wizard with the form of a new container."""
    state = state_of(part)
    state.initial = defaults(None, Choices("pve1", ()))
    state.form = dict(state.initial)
    return state


async def test_fields_of_the_wizard() -> None:
    state = wizard(FieldsState)
    for name in list(state.initial):
        await sent(state, "keep", name, LONG)
    page = wizard(CreateState)
    page.step = "configure"
    await sent(page, "forward", {"step": "configure", **dict.fromkeys(state.initial, LONG)})
    for form in (state.form, page.form):
        assert {name for name, value in form.items() if len(value) > VALUE_CHARS + 1} == {"ssh_keys"}
        assert len(form["ssh_keys"]) == KEYS_CHARS + 1


async def test_packages_and_mount_points_of_the_wizard() -> None:
    state = wizard(SelectionState)
    for turn in range(40):
        await sent(state, "write_extra", " ".join(f"{turn}.{number}" for number in range(100)))
        await sent(state, "add_extra")
    assert 1000 < len(state.extras) <= MAX_ITEMS
    mounts = wizard(MountsState)
    for _ in range(MOUNTS_MAX + 20):
        await sent(mounts, "add_mount")
    assert len(mounts.mounts) == MOUNTS_MAX + 1


async def test_paths_that_the_editor_does_not_have() -> None:
    state = EditorState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    state.draft_id, state.epoch = str(uuid4()), "now"
    for number in range(100):
        for path in (f"made.up.{number}", f"config.{number}", f"scripts.{number}.name", f"name.{number}", str(number)):
            await sent(state, "typed", "before", path, "x")
    assert (len(state._touched), state.versions) == (0, {})
    await sent(state, "typed", "before", "config.cpu", "many")
    assert (set(state._touched), list(state.versions)) == ({"config.cpu"}, ["config.cpu"])


async def test_notes_and_lists() -> None:
    editor = EditorState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    saving = SaveState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    await sent(saving, "write_note", LONG)
    assert len(saving.note) == MAX_NOTE_CHARS + 1
    editor._work = editor._work.with_list("base", "apt")
    path = f"packages.{editor._work.packages[0].key}.lines"
    assert len(editor._work.typed(path, LONG).packages[0].lines) == MAX_LIST_BYTES + 1
    buckets = BucketsState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    buckets.chosen, buckets._works = NEW, {NEW: Work()}
    await sent(buckets, "typed", NEW, LONG)
    await sent(buckets, "renamed", NEW, LONG)
    assert (len(buckets._works[NEW].listing), len(buckets._works[NEW].name)) == (LISTING_CHARS, NAME_CHARS)
    assert buckets.faults


@pytest.mark.parametrize(
    ("state", "handler"), [(ReviewState, "check_now"), (ReviewState, "watch_review"), (ScriptsState, "check_script")]
)
def test_what_takes_long_runs_once_in_a_tab(state: Any, handler: str) -> None:
    assert state.event_handlers[handler].supersedes
