"""Templates that vanish from their source are kept and marked until they return."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lxc_dashboard.errors import SourceError, SourceGoneError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.model import DiscoveryReport, Refusal
from lxc_dashboard.services.templates.sources import passes, registry, sync
from lxc_dashboard.services.templates.sources.codes import FolderCode
from lxc_dashboard.services.templates.sources.registry import SourceInput
from tests.git_servers import WEB, HttpsGit, Repository
from tests.integration.templates.sources import audited, view


async def missing(rt: Runtime, session: Session) -> dict[str, bool]:
    return {summary.name: summary.missing_since is not None for summary in await catalog.list_templates(session, rt.db)}


@pytest.mark.parametrize("what", ["repository", "branch", "folder"])
async def test_what_vanishes_keeps_its_templates_marked_and_comes_back(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository, what: str
) -> None:
    files = {f"recipes/{name}": data for name, data in WEB.items()}
    repository.commit(files, branch="live")
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, ref="live", subfolder="recipes"))
    await passes.sync_source(rt, ann, source_id)
    away = repository.path.with_name("away.git")
    if what == "repository":
        repository.path.rename(away)
    elif what == "branch":
        repository.delete("live")
    else:
        repository.commit({"rest": "x"}, branch="live")
    with pytest.raises(SourceGoneError):
        await passes.sync_source(rt, ann, source_id)
    gone = await view(rt, ann)
    expected = {
        "repository": "does not exist on the server",
        "branch": "no branch or tag live",
        "folder": "no folder recipes",
    }
    assert expected[what] in gone.error
    assert (gone.templates, gone.missing, gone.report.removed) == (1, 1, ("web",))
    assert await missing(rt, ann) == {"web": True}
    if what == "repository":
        away.rename(repository.path)
    else:
        repository.commit(files, branch="live")
    assert (await passes.sync_source(rt, ann, source_id)).added == ("web",)
    back = await view(rt, ann)
    assert (back.error, back.missing) == ("", 0)
    (summary,) = await catalog.list_templates(ann, rt.db)
    assert (summary.missing_since, summary.revision_number) == (None, 1)


async def test_a_server_that_is_away_marks_nothing(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    await passes.sync_source(rt, ann, source_id)
    https.password = "changed"
    with pytest.raises(SourceError):
        await passes.sync_source(rt, ann, source_id)
    assert "credentials" in (await view(rt, ann)).error
    assert await missing(rt, ann) == {"web": False}
    assert {result for _, _, result in await audited(rt, "source.sync")} == {"ok", "failed"}
    https.password = ""
    await passes.sync_source(rt, ann, source_id)
    assert (await view(rt, ann)).error == ""


async def test_a_folder_that_vanishes_keeps_its_templates_marked(rt: Runtime, ann: Session, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "db").mkdir(parents=True)
    (folder / "db/template.conf").write_text("TEMPLATE_APP=db\n", encoding="utf-8")
    await sync.sync_folders(rt.db, [("own", folder)])
    folder.rename(tmp_path / "away")
    (report,) = await sync.sync_folders(rt.db, [("own", folder)])
    assert (report.removed, report.refused) == (
        ("db",),
        (Refusal(str(folder), 0, Message.of(FolderCode.NOT_THERE)),),
    )
    gone = await view(rt, ann, "own")
    assert ("does not exist" in gone.error, gone.missing) == (True, 1)
    (tmp_path / "away").rename(folder)
    assert await sync.sync_folders(rt.db, [("own", folder)]) == (DiscoveryReport("own", added=("db",)),)
    assert (await view(rt, ann, "own")).error == ""
