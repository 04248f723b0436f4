"""An export in a folder or a repository is stored as its manifest says."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.model import FileEntry, Script, TemplateConfig, TemplateContent, TemplateSummary
from lxc_dashboard.services.templates.sources.archive import export
from lxc_dashboard.services.templates.sources.sync import sync_folder

WriteTree = Callable[[Mapping[str, str | bytes]], Path]

WEB = TemplateContent(
    "web",
    TemplateConfig(app="Web"),
    scripts=(Script("1.sh", "true\n", 0, timeout_s=60, enabled=False),),
    files=(FileEntry("key", "/etc", FilePolicy.DEFAULT, b"", 0o600, "root:www-data"),),
)


def exported(*contents: TemplateContent) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(export(contents, "zip"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def stored(database: DatabaseService, session: Session) -> tuple[TemplateSummary, TemplateContent]:
    (summary,) = await catalog.list_templates(session, database)
    return summary, (await catalog.get_revision(session, database, summary.revision_id)).content


async def test_an_unpacked_export_keeps_its_last_revision_while_its_manifest_is_broken(
    database: DatabaseService, session: Session, write_tree: WriteTree
) -> None:
    files = exported(WEB)
    root = write_tree(files)
    await sync_folder(database, "lab", root)
    _, content = await stored(database, session)
    assert (content.scripts, content.files) == (WEB.scripts, WEB.files)

    manifest = files["manifest.json"].decode()
    write_tree({"manifest.json": manifest.replace('"enabled": false', '"enabled": false,')})
    broken = await sync_folder(database, "lab", root)
    assert (broken.added, broken.changed, broken.removed) == ((), (), ())
    summary, content = await stored(database, session)
    assert summary.refusal is not None
    assert (summary.refusal.file, summary.refusal.line > 1) == ("manifest.json", True)
    assert (summary.revision_number, content.checksum()) == (1, WEB.checksum())

    changed = exported(dataclasses.replace(WEB, scripts=(dataclasses.replace(WEB.scripts[0], enabled=True),)))
    write_tree({"manifest.json": changed["manifest.json"]})
    assert (await sync_folder(database, "lab", root)).changed == ("web",)
    summary, content = await stored(database, session)
    assert (summary.refusal, summary.revision_number, content.scripts[0].enabled) == (None, 2, True)
