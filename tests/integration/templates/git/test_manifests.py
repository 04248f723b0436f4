"""An export pushed to git is stored as its manifest says, whether the source reads all of it or a subfolder."""

from __future__ import annotations

import dataclasses

import pytest

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.sources import passes, registry
from lxc_dashboard.services.templates.sources.registry import SourceInput
from tests.git_servers import Repository
from tests.integration.templates.test_manifests import WEB, exported, stored


@pytest.mark.parametrize("subfolder", ["", "exports", "exports/web"])
async def test_an_export_in_git_is_read_with_its_manifest(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository, subfolder: str
) -> None:
    files = {f"exports/{path}": data for path, data in exported(WEB).items()}
    repository.commit(files)
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, subfolder=subfolder))
    assert (await passes.sync_source(rt, ann, source_id)).added == ("web",)
    _, content = await stored(rt.db, ann)
    assert (content.scripts, content.files, content.checksum()) == (WEB.scripts, WEB.files, WEB.checksum())

    repository.commit(files | {"exports/manifest.json": b"{\n"})
    report = await passes.sync_source(rt, ann, source_id)
    assert [(told.name, told.file, told.line) for told in report.refused] == [("web", "exports/manifest.json", 2)]
    summary, content = await stored(rt.db, ann)
    assert summary.refusal == report.refused[0]
    assert (summary.revision_number, content.checksum()) == (1, WEB.checksum())


async def test_templates_beside_the_folder_that_is_read_are_not_missed(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository
) -> None:
    repository.commit(exported(WEB, dataclasses.replace(WEB, name="db")))
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, subfolder="web"))
    report = await passes.sync_source(rt, ann, source_id)
    assert (report.added, report.refused) == (("web",), ())
