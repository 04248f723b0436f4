"""A template's containers, as its page lists them."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from lxc_dashboard.db.models import now
from lxc_dashboard.services.templates.library.catalog import BuiltContainer
from lxc_dashboard.state.templates.detail import built_row

OLDER = BuiltContainer(uuid4(), 101, "web-1", "pve1", "running", 1, older=True, created_at=now())


def test_a_renamed_container_says_what_it_was_built_as() -> None:
    assert (built_row(OLDER, uuid4(), 2).older, built_row(OLDER, uuid4(), 2).renamed) == (True, "")
    renamed = built_row(replace(OLDER, hostname="db-7", built_as="web-1"), uuid4(), 2)
    assert (renamed.older, renamed.name, renamed.renamed) == (True, "db-7", "Renamed, formerly web-1")
    assert renamed.change_href
