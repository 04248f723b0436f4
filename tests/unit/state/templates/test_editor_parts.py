"""The editor consists of parts. Each part shows changes of the others and imports none of them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import reflex as rx
from reflex.utils.format import format_event_handler

from lxc_dashboard.state.guard import access_of
from lxc_dashboard.state.templates.editor import page
from lxc_dashboard.state.templates.editor.files import FilesState
from lxc_dashboard.state.templates.editor.packages import PackagesState
from lxc_dashboard.state.templates.editor.page import EditorPart, EditorState
from lxc_dashboard.state.templates.editor.save import SaveState
from lxc_dashboard.state.templates.editor.scripts import ScriptsState

PARTS: tuple[type[Any], ...] = (FilesState, PackagesState, SaveState, ScriptsState)
EDITOR: tuple[type[Any], ...] = (EditorState, *PARTS)


@pytest.fixture
def states() -> dict[type[Any], Any]:
    """The editor of one tab and its parts."""
    root = rx.State(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    return {each: root.get_substate(each.get_full_name().split(".")) for each in EDITOR}


def test_the_parts_are_all_that_the_editor_has() -> None:
    assert EditorState.get_substates() == set(PARTS)
    assert all(issubclass(part, EditorPart) for part in PARTS)


@pytest.mark.parametrize("changing", EDITOR, ids=lambda state: state.__name__)
def test_a_change_in_one_part_is_shown_by_all(states: dict[type[Any], Any], changing: type[Any]) -> None:
    state = states[changing]
    work = state._work.with_script("10-core.sh").with_file("motd", "0" * 64, 3).with_list("base", "apt")
    assert state._change(work.typed("config.cpu", "many"), "config.cpu") is EditorState.keep
    assert [row.name for row in states[ScriptsState].scripts] == ["10-core.sh"]
    assert [row.name for row in states[FilesState].files] == ["motd"]
    assert [row.name for row in states[PackagesState].lists] == ["base"]
    assert states[EditorState].invalid_parts == ["config"]
    assert states[EditorState].counts == {"scripts": 1, "files": 1, "packages": 1}


def test_each_handler_of_the_editor_asks_for_a_session() -> None:
    handlers = [handler for state in EDITOR for handler in state.event_handlers.values()]
    open_to_anybody = [
        name
        for name in map(format_event_handler, handlers)
        if not name.endswith(".setvar") and ((access := access_of(name)) is None or access.anybody)
    ]
    assert len(handlers) > 30
    assert open_to_anybody == []


def test_no_part_imports_another() -> None:
    folder = Path(page.__file__).parent
    parts = {part.__module__ for part in PARTS}
    for part in parts:
        tree = ast.parse((folder / f"{part.rpartition('.')[2]}.py").read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & parts, part
