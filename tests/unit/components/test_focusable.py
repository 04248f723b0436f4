"""An element with focus only for scrolling has a role and a name: screen readers skip the name of a plain ``div``."""

from __future__ import annotations

import ast
from pathlib import Path

import lxc_dashboard

PRODUCT = Path(lxc_dashboard.__file__).parent


def scrolled(file: Path) -> list[set[str]]:
    """The argument names and values of each element with ``tab_index`` 0."""
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    named = ({word.arg or "": word.value for word in call.keywords} for call in calls)
    return [set(words) for words in named if getattr(words.get("tab_index"), "value", None) == 0]


def test_each_has_a_role_and_a_name() -> None:
    found = [
        words
        for folder in ("components", "pages")
        for file in (PRODUCT / folder).rglob("*.py")
        for words in scrolled(file)
    ]
    assert len(found) > 3
    assert all({"role", "aria_label"} <= words for words in found)
