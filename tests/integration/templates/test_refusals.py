"""Templates that are not saved, restored or exported, and their audit entries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from lxc_dashboard.db.models import AuditResult, PackageManager, now
from lxc_dashboard.errors import InvalidInputError, SessionExpiredError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.format.content import MAX_SCRIPT_BYTES
from lxc_dashboard.services.templates.library import authoring, catalog, drafts
from lxc_dashboard.services.templates.library.revisions import revision_rows
from lxc_dashboard.services.templates.model import PackageEntry, Script, TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.sources import imports
from tests.integration.templates.authors import APT, audited, bucket, content, put, saved, template_of

# The fields of the draft below: each has an error.
FAULTY: Final = {
    "name",
    "config.cpu",
    "config.ram_mib",
    "config.storage",
    "config.tags",
    "config.description",
    "scripts.20-b.sh.timeout_s",
    "scripts.20-b.sh.description",
    "scripts.10-a.sh.name",
    "scripts.10-a.sh.content",
    "scripts.x.py.name",
    "files.a.target_dir",
    "files.a.mode",
    "files.a.owner",
    "files.a.name",
    "files.../b.name",
    "packages.base.apt",
    "packages.twice.apt",
    "packages.own.custom",
    "packages..x.apt",
}


async def test_every_fault_is_named_by_its_field_and_nothing_is_saved(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    file = await put(rt, ann, draft.id, "a", b"x")
    scripts = content(scripts={"20-b.sh": "", "10-a.sh": "#" * (MAX_SCRIPT_BYTES + 1), "x.py": ""}).scripts
    wrong = replace(
        content("no name!", cpu=0, ram_mib=1, storage="a b", tags=("x y",), description="\x1b[0m"),
        scripts=(replace(scripts[0], timeout_s=0, description="a\nb"), *scripts[1:]),
        files=(
            replace(file, target_dir="etc", mode=0o10000, owner="a b"),
            replace(file, name="../b"),
            file,
        ),
        buckets=(
            bucket("base", APT, PackageEntry("-y")),
            bucket("twice", APT, PackageEntry("a"), PackageEntry("a")),
            bucket("own", PackageManager.CUSTOM, PackageEntry("tool", "", "x")),
            bucket(".x", APT),
        ),
    )
    await drafts.store(rt, ann, draft.id, wrong)
    with pytest.raises(InvalidInputError) as refused:
        await authoring.save(rt, ann, draft.id, "")
    assert set(refused.value.fields) == FAULTY
    assert await catalog.list_templates(ann, rt.db) == []
    assert (await drafts.get_draft(rt, ann, draft.id)).content == wrong


async def test_the_audit_holds_no_secret(rt: Runtime, ann: Session) -> None:
    secret = "hunter2-in-plain"
    web = await template_of(
        rt,
        await saved(
            rt,
            ann,
            None,
            replace(
                content(description=secret, scripts={"1-a.sh": f"TOKEN={secret}\n"}),
                buckets=(bucket("base", PackageManager.PIP, PackageEntry(f"a @ git+https://u:{secret}@host/a")),),
            ),
        ),
    )
    draft = await drafts.open_draft(rt, ann, web)
    file = await put(rt, ann, draft.id, "key", secret.encode())
    await drafts.store(rt, ann, draft.id, replace(content(scripts={"1-a.sh": secret}), files=(file,)))
    await authoring.save(rt, ann, draft.id, "")
    for wrong in (
        content(storage=f" {secret}"),
        replace(content(), buckets=(bucket("base", APT, PackageEntry(f"-{secret}")),)),
        content(scripts={"1-a.sh": f"# {secret}".ljust(MAX_SCRIPT_BYTES + 1)}),
    ):
        with pytest.raises(InvalidInputError):
            await saved(rt, ann, web, wrong)
    entries = await audited(rt)
    assert {entry.result for entry in entries} == {AuditResult.OK, AuditResult.FAILED}
    assert all(secret not in repr(entry) for entry in entries)
    assert entries[-1].detail == {"number": 1, "config": [], "scripts": 1, "files": 0, "packages": 1}


async def test_what_is_restored_is_checked_as_it_is_today(rt: Runtime, ann: Session) -> None:
    held = TemplateContent("web", TemplateConfig(app="Web"), (Script("1.sh", "unused=1\n", 0),))
    web = await template_of(rt, await saved(rt, ann, None, content()))
    async with rt.db.transaction() as tx:
        (await tx.templates.get(web)).template.revision_number = 3
        of_old = [revision_rows(web, 2, held, author="x", note=""), revision_rows(web, 3, held, author="x", note="")]
        await tx.templates.add_revisions(of_old)
    await saved(rt, ann, web, content(cpu=2))
    restored = await authoring.restore(rt, ann, web, 2, "")
    found = (await catalog.get_revision(ann, rt.db, restored.id)).content.warnings
    assert [finding.code for finding in found] == ["SC2034"]


async def test_what_would_not_be_saved_today_is_not_restored(rt: Runtime, ann: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    scripts = (Script("1.sh", "true\n", 0), Script("0.sh", "true\n", 1))
    held = TemplateContent("web", TemplateConfig(app="Web", cpu=100_000), scripts)
    async with rt.db.transaction() as tx:
        (await tx.templates.get(web)).template.revision_number = 2
        await tx.templates.add_revisions([revision_rows(web, 2, held, author="x", note="")])
    await saved(rt, ann, web, content(cpu=2))
    with pytest.raises(InvalidInputError, match="Revision 2 is invalid") as refused:
        await authoring.restore(rt, ann, web, 2, "")
    assert set(refused.value.fields) == {"config.cpu", "scripts.0.sh.name"}
    detail = await catalog.get_template(ann, rt.db, web)
    assert [revision.number for revision in detail.revisions] == [3, 2, 1]
    assert [entry.result for entry in await audited(rt, "template.restore")] == [AuditResult.FAILED]


async def test_a_session_that_has_ended_exports_nothing(rt: Runtime, ann: Session, viewer: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    assert (await imports.export_templates(rt, viewer, [web], "zip")).filename == "web.zip"
    ended = replace(ann, signed_in_at=now() - timedelta(hours=13))
    with pytest.raises(SessionExpiredError):
        await imports.export_templates(rt, ended, [web], "zip")
