from __future__ import annotations

import ast
from pathlib import Path
from uuid import UUID

import pytest

from lxc_dashboard import state
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.state.base import id_in, uuid_of

ID = "0192f0c8-1111-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("path", "query"),
    [(f"/jobs/{ID}", {}), (f"/jobs/{ID}/", {}), ("/jobs/[job_id]", {"job_id": ID})],
)
def test_the_id_of_an_address(path: str, query: dict[str, str]) -> None:
    assert uuid_of(id_in(path, query, "job_id"), "gone") == UUID(ID)


@pytest.mark.parametrize("value", ["", "jobs", ID[:-1]])
def test_an_invalid_id_is_not_found(value: str) -> None:
    with pytest.raises(NotFoundError, match="gone"):
        uuid_of(value, "gone")


def test_states_read_ids_in_one_place() -> None:
    """Elsewhere ``UUID(...)`` would raise ``ValueError`` for an invalid id. ``sockets.py`` reads the product's own."""
    found = {
        file.name
        for file in Path(state.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UUID"
    }
    assert found == {"base.py", "sockets.py"}
