"""Imports have no cycles, so a process can import any module first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("lxc_dashboard", "pve_sandbox", "tasks")


def modules() -> dict[str, Path]:
    paths = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(body: list[ast.stmt]) -> Iterator[str]:
    """The names imported at module level. Skips functions and ``if TYPE_CHECKING``."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Try):
            yield from imported(node.body)


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    graph = {
        name: {
            target
            for found in imported(ast.parse((ROOT / path).read_text()).body)
            if (target := found if found in known else found.rpartition(".")[0]) in known and target != name
        }
        for name, path in known.items()
    }
    assert len(graph) > 100
    TopologicalSorter(graph).prepare()  # raises ``CycleError`` with the modules of the cycle
