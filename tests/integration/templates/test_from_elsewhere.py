"""Templates from other places than the editor: folders, git, imports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lxc_dashboard.db.models import SourceKind, Template
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import authoring, catalog, drafts
from lxc_dashboard.services.templates.library.revisions import revision_rows
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.sources.sync import sync_folder
from tests.integration.templates.authors import content, saved
from tests.trees import WriteTree


async def test_templates_of_a_folder_are_not_changed_here_but_copied(
    rt: Runtime, ann: Session, write_tree: WriteTree
) -> None:
    files: dict[str, str | bytes] = {
        "web/template.conf": "TEMPLATE_APP=Web\nTEMPLATE_CONFIG_PATH=web/container-configs\n",
        "web/container-configs/scripts/1-a.sh": "true\n",
        "web/container-configs/files/x": b"\0\xff",
        "web/container-configs/files/x.path": "/srv",
    }
    await sync_folder(rt.db, "lab", write_tree(files))
    (of_folder,) = await catalog.list_templates(ann, rt.db)
    for change in (
        lambda: drafts.open_draft(rt, ann, of_folder.id),
        lambda: authoring.rename(rt, ann, of_folder.id, "x"),
        lambda: authoring.delete(rt, ann, of_folder.id, name="web"),
        lambda: authoring.restore(rt, ann, of_folder.id, 1, ""),
    ):
        with pytest.raises(ConflictError):
            await change()

    copy = await drafts.open_draft(rt, ann, None, copy_of=of_folder.id)
    assert await drafts.open_draft(rt, ann, None, copy_of=of_folder.id) == copy
    assert (copy.template_id, copy.copy_of, copy.content.name) == (None, of_folder.id, "web")
    revision = await authoring.save(rt, ann, copy.id, "")
    original = await catalog.get_revision(ann, rt.db, of_folder.revision_id)
    copied = await catalog.get_revision(ann, rt.db, revision.id)
    assert replace(original.content, config=replace(original.content.config, config_path="")) == copied.content
    assert (await drafts.open_draft(rt, ann, None, copy_of=of_folder.id)).content.name == "web-copy"


async def test_an_imported_template_is_edited_where_it_is(rt: Runtime, ann: Session) -> None:
    held = TemplateContent("web", TemplateConfig(app="Web", config_path="x"))
    async with rt.db.transaction() as tx:
        source = await tx.templates.own_source(SourceKind.IMPORTED)
        assert source.id == (await tx.templates.own_source(SourceKind.IMPORTED)).id
        template = Template(source_id=source.id, name="web")
        await tx.templates.add([template])
        await tx.templates.add_revisions([revision_rows(template.id, 1, held, author="x", note="")])
    assert (await saved(rt, ann, template.id, content(cpu=2))).number == 2
    assert (await saved(rt, ann, None, content())).number == 1
    both = await catalog.list_templates(ann, rt.db)
    assert [(summary.name, summary.source_name) for summary in both] == [("web", "custom"), ("web", "imported")]
    assert not (await authoring.delete(rt, ann, template.id, name="web")).kept


async def test_a_git_source_called_custom_stands_in_nobodys_way_but_is_named(rt: Runtime, ann: Session) -> None:
    async with rt.db.transaction() as tx:
        await tx.templates.source("custom", SourceKind.GIT, "https://192.0.2.1/x.git")
    with pytest.raises(ConflictError, match="git source is called custom"):
        await saved(rt, ann, None, content())
