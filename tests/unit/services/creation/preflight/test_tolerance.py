"""A check that PVE refuses to the user becomes a warning with the exact missing privilege."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from lxc_dashboard.errors import PrivilegeError
from lxc_dashboard.services.creation import preflight
from tests.worded import cause

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.preflight.findings import Finding, Question


@pytest.mark.parametrize(
    ("privilege", "path", "told"),
    [
        ("Datastore.Audit", "/storage/data", "Datastore.Audit at /storage/data"),
        ("Sys.Audit", "/", "Sys.Audit at /"),
        ("", "", "a privilege"),
    ],
)
async def test_what_is_missing_is_told_whole(privilege: str, path: str, told: str) -> None:
    async def refused() -> list[Finding]:
        raise PrivilegeError(privilege, path)

    found = await preflight._tolerant(refused(), cast("Question", None))
    assert [cause(finding) for finding in found] == [f"Not everything could be checked: you lack {told}"]
