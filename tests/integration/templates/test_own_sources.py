"""The sources that the dashboard has from the start: the shipped folder and the custom templates."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from lxc_dashboard.app import _read_templates
from lxc_dashboard.db.models import SourceKind
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.sources import passes, registry, sync
from tests.integration.templates.sources import audited, view


async def test_what_is_read_at_the_start_is_audited_where_it_changed_anything(rt: Runtime) -> None:
    await _read_templates(rt)
    entries = await audited(rt, "source.sync")
    assert ("start", "shipped", "ok") in entries
    await _read_templates(rt)
    assert await audited(rt, "source.sync") == entries


async def test_a_source_of_the_dashboard_itself_is_not_read_and_not_removed(rt: Runtime, ann: Session) -> None:
    async with rt.db.transaction() as tx:
        custom = await tx.templates.source("custom", SourceKind.CUSTOM, "")
    with pytest.raises(ConflictError, match="Nothing is read"):
        await passes.sync_source(rt, ann, custom.id)
    with pytest.raises(ConflictError, match="not a git source"):
        await registry.remove(rt, ann, custom.id, name="custom")
    with pytest.raises(NotFoundError):
        await passes.sync_source(rt, ann, UUID(int=uuid4().int))


async def test_the_shipped_folder_is_read_by_the_button_too(rt: Runtime, ann: Session) -> None:
    await sync.sync_folders(rt.db, rt.settings.template_folders())
    shipped = await view(rt, ann, "shipped")
    report = await passes.sync_source(rt, ann, shipped.id)
    assert (report.added, report.changed) == ((), ())
    assert await audited(rt, "source.sync") == [(ann.userid, "shipped", "ok")]
