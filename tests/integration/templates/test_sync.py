"""Folders of templates on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import PackageManager, SourceKind
from lxc_dashboard.errors import NotFoundError, SessionExpiredError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.format import shellcheck
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.model import DiscoveryReport, Refusal, TemplateSummary
from lxc_dashboard.services.templates.sources.codes import FolderCode
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.services.templates.sources.sync import sync_folder, sync_folders
from lxc_dashboard.text import in_words_of

WriteTree = Callable[[Mapping[str, str | bytes]], Path]

WEB: dict[str, str | bytes] = {
    "web/template.conf": "TEMPLATE_APP=Web\nTEMPLATE_TAGS='a;b'\nTEMPLATE_DESCRIPTION='Serves'\nTEMPLATE_TYPO=1\n",
    "web/container-configs/scripts/10-core.sh": "#!/bin/bash\n# Installs\n# timeout: 60\n# optional: yes\ntrue\n",
    "web/container-configs/scripts/9-first.sh": "true\n",
    "web/container-configs/packages/base.apt": "nginx\ncurl\n",
    "web/container-configs/packages/base.pip": "flask\n",
    "web/container-configs/packages/own.custom": "tool|command -v tool|curl x | bash|timeout_s=90\n",
    "web/container-configs/files/b.bin": bytes(range(256)),
    "web/container-configs/files/b.bin.path": "/opt",
    "web/container-configs/files/b.bin.policy": "backup",
    "web/container-configs/files/B.conf": "",
    "web/container-configs/files/B.conf.path": "/",
}


async def listed(session: Session, database: DatabaseService) -> dict[str, TemplateSummary]:
    return {summary.name: summary for summary in await catalog.list_templates(session, database)}


async def test_what_is_read_back_is_what_was_found(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    (root / "web/container-configs/files/b.bin").chmod(0o755)
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab", added=("web",))
    (summary,) = await catalog.list_templates(session, database)
    assert (summary.scripts, summary.files, summary.packages, summary.warnings) == (2, 2, 4, 1)
    assert (summary.tags, summary.description, summary.source_name) == (("a", "b"), "Serves", "lab")
    assert (summary.revision_number, summary.missing_since, summary.refusal) == (1, None, None)

    revision = await catalog.get_revision(session, database, summary.revision_id)
    (found,) = discover(root).found
    assert revision.content == found
    assert revision.content.checksum() == found.checksum()
    assert (revision.number, revision.author, revision.template_id) == (1, "lab", summary.id)


async def test_the_detail_of_a_template_leaves_file_contents_out(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    await sync_folder(database, "lab", write_tree(WEB))
    summary = (await listed(session, database))["web"]
    detail = await catalog.get_template(session, database, summary.id)
    assert detail.summary == summary
    assert [script.name for script in detail.scripts] == ["9-first.sh", "10-core.sh"]
    assert [(file.target, file.size) for file in detail.files] == [("/B.conf", 0), ("/opt/b.bin", 256)]
    assert [(b.name, b.manager) for b in detail.buckets] == [
        ("base", PackageManager.APT),
        ("base", PackageManager.PIP),
        ("own", PackageManager.CUSTOM),
    ]
    assert "TEMPLATE_TYPO" in in_words_of(detail.warnings[0].message)
    assert [revision.number for revision in detail.revisions] == [1]
    file = await catalog.get_file(session, database, summary.revision_id, "b.bin")
    assert file.content == bytes(range(256))
    with pytest.raises(NotFoundError):
        await catalog.get_file(session, database, summary.revision_id, "c.bin")


async def test_a_second_pass_changes_nothing(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    await sync_folder(database, "lab", root)
    before = await listed(session, database)
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab")
    shutil.copytree(root, root.parent / "moved")
    assert await sync_folder(database, "lab", root.parent / "moved") == DiscoveryReport("lab")
    assert await listed(session, database) == before


async def test_a_change_makes_a_new_revision_and_leaves_the_old_one(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    await sync_folder(database, "lab", root)
    old = (await listed(session, database))["web"]
    write_tree({"web/container-configs/scripts/10-core.sh": "false\n"})
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab", changed=("web",))
    new = (await listed(session, database))["web"]
    assert (new.id, new.revision_number) == (old.id, 2)
    before = await catalog.get_revision(session, database, old.revision_id)
    after = await catalog.get_revision(session, database, new.revision_id)
    assert before.content.scripts[1].description == "Installs"
    assert after.content.scripts[1].content == "false\n"
    detail = await catalog.get_template(session, database, new.id)
    assert [revision.id for revision in detail.revisions] == [new.revision_id, old.revision_id]


async def test_a_comment_makes_no_revision_but_moves_the_findings(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    await sync_folder(database, "lab", root)
    write_tree({"web/template.conf": f"# a comment\n{WEB['web/template.conf']!s}"})
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab")
    summary = (await listed(session, database))["web"]
    detail = await catalog.get_template(session, database, summary.id)
    assert (summary.revision_number, detail.warnings[0].line) == (1, 5)


async def test_a_template_that_is_gone_is_marked_and_comes_back(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB | {"other/template.conf": "TEMPLATE_APP=Other\n"})
    await sync_folder(database, "lab", root)
    (root / "web").rename(root / ".web")
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab", removed=("web",))
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab")
    gone = (await listed(session, database))["web"]
    assert gone.missing_since is not None
    assert (await catalog.get_revision(session, database, gone.revision_id)).content.name == "web"
    (root / ".web").rename(root / "web")
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab", added=("web",))
    back = (await listed(session, database))["web"]
    assert (back.id, back.missing_since, back.revision_number) == (gone.id, None, 1)


async def test_a_template_that_comes_back_changed_has_a_new_revision(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    await sync_folder(database, "lab", root)
    shutil.move(root / "web", root.parent / "away")
    await sync_folder(database, "lab", root)
    shutil.move(root.parent / "away", root / "web")
    write_tree({"web/container-configs/scripts/10-core.sh": "false\n"})
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab", added=("web",))
    assert (await listed(session, database))["web"].revision_number == 2


async def test_a_broken_template_keeps_its_last_revision_and_hides_no_other(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB | {"bad/template.conf": "id\n"})
    first = await sync_folder(database, "lab", root)
    assert (first.added, [refusal.name for refusal in first.refused]) == (("web",), ["bad"])
    write_tree({"web/template.conf": "TEMPLATE_CPU=many\n", "new/template.conf": "TEMPLATE_APP=New\n"})
    second = await sync_folder(database, "lab", root)
    assert (second.added, second.changed, second.removed) == (("new",), (), ())
    assert [(r.name, r.file, r.line) for r in second.refused] == [
        ("bad", "bad/template.conf", 1),
        ("web", "web/template.conf", 1),
    ]
    web = (await listed(session, database))["web"]
    assert (web.revision_number, web.missing_since) == (1, None)
    assert web.refusal is not None
    assert "TEMPLATE_CPU" in in_words_of(web.refusal.why)
    assert (await sync_folder(database, "lab", root)).refused == second.refused
    (source,) = await catalog.list_sources(session, database)
    assert (source.name, source.location, source.report.refused) == ("lab", str(root), second.refused)
    assert source.synced_at is not None


async def test_sources_keep_templates_of_the_same_name_apart(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    other = root.parent / "other"
    shutil.copytree(root, other)
    reports = await sync_folders(database, [("a", root), ("gone", root.parent / "gone"), ("b", other)])
    assert [(report.source, report.added) for report in reports] == [("a", ("web",)), ("gone", ()), ("b", ("web",))]
    assert reports[1].refused == (Refusal(str(root.parent / "gone"), 0, Message.of(FolderCode.NOT_THERE)),)
    assert [s.source_name for s in await catalog.list_templates(session, database)] == ["a", "b"]


async def test_a_folder_that_vanishes_as_a_whole_marks_nothing_missing(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    await sync_folder(database, "lab", root)
    root.rename(root.parent / "unmounted")
    with pytest.raises(TemplateError, match="does not exist"):
        await sync_folder(database, "lab", root)
    assert (await listed(session, database))["web"].missing_since is None


async def test_a_forgotten_template_is_read_again_though_its_folder_is_unchanged(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB)
    await sync_folder(database, "lab", root)
    async with database.transaction() as tx:
        source = await tx.templates.source("lab", SourceKind.FOLDER, "")
        ((template, _),) = await tx.templates.of_source(source.id)
        await tx.session.delete(template)
    assert await sync_folder(database, "lab", root) == DiscoveryReport("lab", added=("web",))
    assert len(await listed(session, database)) == 1


async def test_passes_at_the_same_time_store_each_change_once(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    root = write_tree(WEB | {f"t{n}/template.conf": "TEMPLATE_APP=T\n" for n in range(20)})
    reports = await asyncio.gather(*(sync_folder(database, "lab", root) for _ in range(3)))
    assert sorted(len(report.added) for report in reports) == [0, 0, 21]
    assert {summary.revision_number for summary in await catalog.list_templates(session, database)} == {1}


async def test_what_does_not_exist_is_not_found(database: DatabaseService, session: Session) -> None:
    assert await catalog.list_templates(session, database) == []
    with pytest.raises(NotFoundError):
        await catalog.get_template(session, database, uuid4())
    with pytest.raises(NotFoundError):
        await catalog.get_revision(session, database, uuid4())


async def test_an_ended_session_reads_nothing(database: DatabaseService, session: Session) -> None:
    ended = dataclasses.replace(session, signed_in_at=datetime.now(UTC) - timedelta(hours=13))
    nothing = UUID(int=0)
    for reading in (
        catalog.list_templates(ended, database),
        catalog.list_sources(ended, database),
        catalog.get_template(ended, database, nothing),
        catalog.get_revision(ended, database, nothing),
        catalog.get_file(ended, database, nothing, "x"),
    ):
        with pytest.raises(SessionExpiredError):
            await reading


async def test_a_script_that_could_not_be_checked_is_looked_at_again_though_nothing_changed(
    database: DatabaseService, session: Session, write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = "web/container-configs/scripts"
    tree = {"web/template.conf": "TEMPLATE_APP=Web\n", f"{scripts}/1.sh": f"# {uuid4()}\nunused=1\n"}
    root = write_tree({**tree, "other/template.conf": "TEMPLATE_APP=Other\n"})

    async def read() -> list[str]:
        await sync_folder(database, "lab", root)
        revision_id = (await listed(session, database))["web"].revision_id
        return [f.code for f in (await catalog.get_revision(session, database, revision_id)).content.warnings]

    with monkeypatch.context() as without_time:
        without_time.setattr(shellcheck, "LINT_TIMEOUT_S", 0.0)
        assert await read() == [shellcheck.UNCHECKED]
    assert await read() == ["SC2034"]
    async with database.transaction() as tx:
        (source,) = await tx.templates.sources()
    assert len(source.fingerprints) == 2
