"""The texts of the interface: one module per subject, all read as one."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import lxc_dashboard
from lxc_dashboard import text

PRODUCT = Path(lxc_dashboard.__file__).parent
PARTS = [part for part in (PRODUCT / "text").glob("*.py") if part.name != "__init__.py"]


def defined(part: Path) -> list[str]:
    tree = ast.parse(part.read_text())
    named = (node.target for node in tree.body if isinstance(node, ast.AnnAssign))
    return [name.id for name in named if isinstance(name, ast.Name) and not name.id.startswith("_")]


def used(file: Path) -> set[str]:
    """The texts that a file uses: ``text.NAME``, or ``NAME`` alone in a part of ``text``."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    if file in PARTS:
        return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "text"}


def test_each_name_is_defined_once() -> None:
    counted = Counter(name for part in PARTS for name in defined(part))
    assert [name for name, times in counted.items() if times > 1] == []


def test_all_parts_are_read_as_one() -> None:
    assert {name for part in PARTS for name in defined(part)} == {name for name in vars(text) if name.isupper()}


def test_each_name_is_used_by_the_product() -> None:
    words = {name for part in PARTS for name in defined(part)}
    assert sorted(words.difference(*(used(file) for file in PRODUCT.rglob("*.py")))) == []
