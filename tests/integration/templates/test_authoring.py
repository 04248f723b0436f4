"""Templates written in the dashboard, by people who are signed in to a sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import AuditResult, Container, FilePolicy, PackageManager, SourceKind, Template, now
from lxc_dashboard.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    OvertakenError,
    PrivilegeError,
    SessionExpiredError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import authoring, buckets, drafts, importing, service
from lxc_dashboard.services.templates.model import PackageEntry, Script, TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.report import RevisionSummary
from lxc_dashboard.services.templates.rows import revision_rows
from lxc_dashboard.services.templates.sync import sync_folder
from tests.integration.templates.authors import (
    ANN,
    BEN,
    audited,
    bucket,
    content,
    put,
    saved,
    stored,
    template_of,
)
from tests.trees import WriteTree

APT = PackageManager.APT


async def test_a_new_template_holds_what_was_drafted(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    binary = await put(rt, ann, draft.id, "logo.png", bytes(range(256)), target_dir="/srv//www/")
    conf = replace(await put(rt, ann, draft.id, "a.conf", b"x\n"), owner="www-data:adm", mode=0o600)
    written = replace(
        content(tags=("a", "b"), cpu=4, description="Serves\r\nall", scripts={"5-a.sh": "one\r\n", "10-b.sh": "two"}),
        files=(binary, replace(conf, policy=FilePolicy.BACKUP)),
        buckets=(bucket("base", APT, PackageEntry("nginx=1.26"), PackageEntry("curl")),),
    )
    written = replace(
        written, scripts=(replace(written.scripts[0], optional=True, timeout_s=7, enabled=False), written.scripts[1])
    )
    draft = await stored(rt, ann, draft, written)
    revision = await authoring.save(rt, ann, draft.id, " First ")

    found = await service.get_revision(ann, rt.db, revision.id)
    assert (revision.number, revision.author, revision.note, revision.unchanged) == (1, ANN, "First", False)
    assert found.content.config.description == "Serves\nall"
    assert [(s.name, s.content, s.position) for s in found.content.scripts] == [
        ("5-a.sh", "one\n", 0),
        ("10-b.sh", "two", 1),
    ]
    first = found.content.scripts[0]
    assert (first.optional, first.timeout_s, first.enabled) == (True, 7, False)
    assert [(f.name, f.target, f.mode, f.owner, f.policy) for f in found.content.files] == [
        ("a.conf", "/etc/a.conf", 0o600, "www-data:adm", FilePolicy.BACKUP),
        ("logo.png", "/srv/www/logo.png", 0o644, "", FilePolicy.DEFAULT),
    ]
    assert found.content.files[1].content == bytes(range(256))
    assert [package.spec for package in found.content.buckets[0].packages] == ["nginx=1.26", "curl"]
    (summary,) = await service.list_templates(ann, rt.db)
    assert (summary.name, summary.source_kind, summary.source_name) == ("web", SourceKind.CUSTOM, "custom")
    assert (summary.tags, summary.description) == (("a", "b"), "Serves\nall")
    assert await drafts.list_drafts(rt, ann) == []


async def test_each_save_is_a_revision_and_one_that_changes_nothing_is_none(rt: Runtime, ann: Session) -> None:
    first = await saved(rt, ann, None, content())
    web = await template_of(rt, first)
    second = await saved(rt, ann, web, content(cpu=2), "More cores")
    same = await saved(rt, ann, web, content(cpu=2), "Nothing")
    assert (first.number, second.number, same.number) == (1, 2, 2)
    assert (second.unchanged, same.unchanged, same.note) == (False, True, "More cores")
    detail = await service.get_template(ann, rt.db, web)
    assert [revision.number for revision in detail.revisions] == [2, 1]
    assert await drafts.list_drafts(rt, ann) == []


async def test_the_second_of_two_people_is_told_what_the_first_changed(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content(scripts={"10-a.sh": "one\n"})))
    of_ben = await drafts.open_draft(rt, ben, web)
    assert of_ben.overtaken is None
    await drafts.store(rt, ben, of_ben.id, content(scripts={"10-a.sh": "two\n"}))
    await saved(rt, ann, web, content(cpu=8, scripts={"10-a.sh": "one\nmore\n", "20-b.sh": ""}))

    told = (await drafts.get_draft(rt, ben, of_ben.id)).overtaken
    assert told is not None
    assert (told.number, told.author) == (2, ANN)
    assert told.changes == ("cpu: '1' is now '8'", "Script 10-a.sh changed (+1 -0 lines)", "Script 20-b.sh added")
    for over in (None, 1, 3):
        with pytest.raises(OvertakenError) as refused:
            await authoring.save(rt, ben, of_ben.id, "Mine", over=over)
        assert (refused.value.number, refused.value.author, refused.value.changes) == (2, ANN, list(told.changes))
    assert (await service.get_template(ben, rt.db, web)).summary.config.cpu == 8

    third = await authoring.save(rt, ben, of_ben.id, "Mine", over=2)
    assert third.number == 3
    current = await service.get_revision(ben, rt.db, third.id)
    assert [(s.name, s.content) for s in current.content.scripts] == [("10-a.sh", "two\n")]
    results = [(entry.userid, entry.result) for entry in await audited(rt, "template.save")]
    assert results[:2] == [(BEN, AuditResult.OK), (BEN, AuditResult.FAILED)]


async def test_saving_over_one_newer_revision_does_not_save_over_the_next(
    rt: Runtime, ann: Session, ben: Session
) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content(cpu=2))
    for cpu in (3, 4):
        await saved(rt, ann, web, content(cpu=cpu))
    with pytest.raises(OvertakenError) as refused:
        await authoring.save(rt, ben, of_ben.id, "", over=2)
    assert (refused.value.number, refused.value.changes) == (3, ["cpu: '1' is now '4'"])


async def test_who_may_not_author_changes_nothing_and_is_audited(rt: Runtime, ann: Session, viewer: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    of_ann = await drafts.open_draft(rt, ann, web)
    before = await service.get_template(viewer, rt.db, web)
    for change in (
        lambda: drafts.open_draft(rt, viewer, web),
        lambda: drafts.open_draft(rt, viewer, None),
        lambda: drafts.open_draft(rt, viewer, None, copy_of=web),
        lambda: drafts.store(rt, viewer, of_ann.id, content(cpu=9)),
        lambda: drafts.put_file(rt, viewer, of_ann.id, b"x"),
        lambda: drafts.discard(rt, viewer, of_ann.id),
        lambda: authoring.save(rt, viewer, of_ann.id, ""),
        lambda: authoring.restore(rt, viewer, web, 1, ""),
        lambda: authoring.rename(rt, viewer, web, "www"),
        lambda: authoring.delete(rt, viewer, web, name="web"),
    ):
        count = len(await audited(rt))
        with pytest.raises(PrivilegeError):
            await change()
        entry = (await audited(rt))[0]
        assert (entry.userid, entry.result) == (viewer.userid, AuditResult.REFUSED)
        assert len(await audited(rt)) == count + 1
    assert await service.get_template(viewer, rt.db, web) == before
    assert await drafts.list_drafts(rt, viewer) == []
    assert await drafts.get_draft(rt, ann, of_ann.id) == of_ann


async def test_an_older_revision_is_restored_as_a_new_one(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    await saved(rt, ann, web, content(cpu=2, scripts={}))
    third = await authoring.restore(rt, ben, web, 1, "", expected=2)
    assert (third.number, third.author, third.note) == (3, BEN, "Restored from revision 1")
    detail = await service.get_template(ann, rt.db, web)
    assert (detail.summary.config.cpu, [script.name for script in detail.scripts]) == (1, ["10-core.sh"])
    assert (await authoring.restore(rt, ben, web, 1, "", expected=3)).unchanged
    with pytest.raises(OvertakenError):
        await authoring.restore(rt, ben, web, 2, "", expected=2)
    with pytest.raises(NotFoundError):
        await authoring.restore(rt, ben, web, 9, "")


async def test_a_new_name_must_be_one_and_nobody_elses(rt: Runtime, ann: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content("web")))
    await saved(rt, ann, None, content("www"))
    for name in ("www", "", "-x", "a b", "../x", "x" * 64):
        with pytest.raises(InvalidInputError) as refused:
            await authoring.rename(rt, ann, web, name)
        assert list(refused.value.fields) == ["name"]
    with pytest.raises(InvalidInputError) as refused:
        await saved(rt, ann, None, content("web"))
    assert list(refused.value.fields) == ["name"]
    await authoring.rename(rt, ann, web, "web2")
    assert {summary.name for summary in await service.list_templates(ann, rt.db)} == {"web2", "www"}


async def test_a_rename_is_not_undone_by_a_draft_that_began_before_it(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content("web")))
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content("web", cpu=2))
    await authoring.rename(rt, ann, web, "www")
    assert (await drafts.get_draft(rt, ben, of_ben.id)).content.name == "www"
    await authoring.save(rt, ben, of_ben.id, "")
    assert (await service.get_template(ann, rt.db, web)).summary.name == "www"

    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content("of-ben"))
    await authoring.rename(rt, ann, web, "of-ann")
    with pytest.raises(InvalidInputError) as refused:
        await authoring.save(rt, ben, of_ben.id, "")
    assert "of-ann" in refused.value.fields["name"]
    await drafts.store(rt, ben, of_ben.id, content("of-ann"))
    await authoring.save(rt, ben, of_ben.id, "")
    await saved(rt, ben, web, content("mine"))
    assert (await service.get_template(ann, rt.db, web)).summary.name == "mine"


async def container_of(rt: Runtime, who: Session, revision_id: UUID, vmid: int = 901) -> Container:
    container = Container(
        endpoint_id=who.endpoint_id, vmid=vmid, node="pve1", hostname="web-01", template_revision_id=revision_id
    )
    async with rt.db.transaction() as tx:
        return await tx.containers.reserve(container)


async def test_a_template_that_nothing_was_built_from_is_gone_with_its_revisions(rt: Runtime, ann: Session) -> None:
    revision = await saved(rt, ann, None, content())
    web = await template_of(rt, revision)
    with pytest.raises(InvalidInputError):
        await authoring.delete(rt, ann, web, name="another")
    assert await authoring.delete(rt, ann, web, name="web") == authoring.Deleted("web", kept=False)
    with pytest.raises(NotFoundError):
        await service.get_revision(ann, rt.db, revision.id)
    assert (await audited(rt))[0].action == "template.delete"


async def test_what_containers_were_built_from_outlives_the_template(rt: Runtime, ann: Session) -> None:
    revision = await saved(rt, ann, None, content())
    web = await template_of(rt, revision)
    container = await container_of(rt, ann, revision.id)
    assert (await authoring.delete(rt, ann, web, name="web")).kept
    assert await service.list_templates(ann, rt.db) == []
    async with rt.db.transaction() as tx:
        assert (await tx.containers.get(container.id)).template_revision_id == revision.id
    assert (await service.get_revision(ann, rt.db, revision.id)).content.name == "web"
    for change in (lambda: drafts.open_draft(rt, ann, web), lambda: authoring.delete(rt, ann, web, name="web")):
        with pytest.raises(NotFoundError):
            await change()

    again = await saved(rt, ann, None, content(cpu=2))
    assert (await template_of(rt, again), again.number) == (web, 2)
    assert (await authoring.delete(rt, ann, web, name="web")).kept
    assert (await authoring.restore(rt, ann, web, 1, "")).number == 3
    assert [summary.name for summary in await service.list_templates(ann, rt.db)] == ["web"]


async def test_drafts_of_a_deleted_template_become_drafts_of_a_new_one(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content(cpu=5))
    await authoring.delete(rt, ann, web, name="web")
    left = await drafts.get_draft(rt, ben, of_ben.id)
    assert (left.template_id, left.base_number, left.overtaken) == (None, 0, None)
    assert left.content == of_ben.content
    assert (await authoring.save(rt, ben, of_ben.id, "")).number == 1


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
    (of_folder,) = await service.list_templates(ann, rt.db)
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
    original = await service.get_revision(ann, rt.db, of_folder.revision_id)
    copied = await service.get_revision(ann, rt.db, revision.id)
    assert replace(original.content, config=replace(original.content.config, config_path="")) == copied.content
    assert (await drafts.open_draft(rt, ann, None, copy_of=of_folder.id)).content.name == "web-copy"


async def test_a_revision_holds_what_its_shared_bucket_held(rt: Runtime, ann: Session) -> None:
    shared = await buckets.create(rt, ann, "base", "apt", "nginx\ncurl\n")
    with_bucket = replace(content(), buckets=(bucket("base", APT, PackageEntry("stale"), shared_id=shared.id),))
    first = await saved(rt, ann, None, with_bucket)
    held = (await service.get_revision(ann, rt.db, first.id)).content.buckets
    assert [(b.name, b.shared_id, [p.spec for p in b.packages]) for b in held] == [
        ("base", shared.id, ["nginx", "curl"])
    ]

    web = await template_of(rt, first)
    await buckets.edit(rt, ann, shared.id, "base", "nginx\n", version=shared.updated_at)
    restored = await authoring.restore(rt, ann, web, 1, "")
    (own,) = (await service.get_revision(ann, rt.db, restored.id)).content.buckets
    assert (own.shared_id, [package.spec for package in own.packages]) == (None, ["nginx", "curl"])

    gone = replace(content(), buckets=(bucket("base", APT, shared_id=uuid4()),))
    with pytest.raises(InvalidInputError) as refused:
        await saved(rt, ann, None, replace(gone, name="other"))
    assert list(refused.value.fields) == ["packages.base.apt"]


async def test_to_refer_to_a_shared_bucket_of_the_same_packages_is_a_change(rt: Runtime, ann: Session) -> None:
    shared = await buckets.create(rt, ann, "base", "apt", "nginx\n")
    own = replace(content(), buckets=(bucket("base", APT, PackageEntry("nginx")),))
    web = await template_of(rt, await saved(rt, ann, None, own))
    linked = replace(content(), buckets=(bucket("base", APT, shared_id=shared.id),))
    assert (await saved(rt, ann, web, linked)).number == 2
    assert (await saved(rt, ann, web, linked)).unchanged


async def test_every_fault_is_named_by_its_field_and_nothing_is_saved(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    file = await put(rt, ann, draft.id, "a", b"x")
    scripts = content(scripts={"20-b.sh": "", "10-a.sh": "# timeout: never\n", "x.py": ""}).scripts
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
    assert set(refused.value.fields) == {
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
    assert await service.list_templates(ann, rt.db) == []
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
        content(scripts={"1-a.sh": f"# timeout: {secret}"}),
    ):
        with pytest.raises(InvalidInputError):
            await saved(rt, ann, web, wrong)
    entries = await audited(rt)
    assert {entry.result for entry in entries} == {AuditResult.OK, AuditResult.FAILED}
    assert all(secret not in repr(entry) for entry in entries)
    assert entries[-1].detail == {"number": 1, "config": [], "scripts": 1, "files": 0, "packages": 1}


async def test_a_save_and_a_deletion_at_once_leave_a_template_or_a_new_one(
    rt: Runtime, ann: Session, ben: Session
) -> None:
    for round_ in range(5):
        name = f"web{round_}"
        web = await template_of(rt, await saved(rt, ann, None, content(name)))
        of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content(name, cpu=2))
        results = await asyncio.gather(
            authoring.delete(rt, ann, web, name=name), authoring.save(rt, ben, of_ben.id, ""), return_exceptions=True
        )
        assert [type(result) for result in results] == [authoring.Deleted, RevisionSummary]
        left = [summary.id for summary in await service.list_templates(ann, rt.db) if summary.name == name]
        assert web not in left
        assert len(left) == (1 if isinstance(results[1], RevisionSummary) and results[1].number == 1 else 0)


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
    both = await service.list_templates(ann, rt.db)
    assert [(summary.name, summary.source_name) for summary in both] == [("web", "custom"), ("web", "imported")]
    assert not (await authoring.delete(rt, ann, template.id, name="web")).kept


async def test_a_git_source_called_custom_stands_in_nobodys_way_but_is_named(rt: Runtime, ann: Session) -> None:
    async with rt.db.transaction() as tx:
        await tx.templates.source("custom", SourceKind.GIT, "https://192.0.2.1/x.git")
    with pytest.raises(ConflictError, match="git source is called custom"):
        await saved(rt, ann, None, content())


async def test_what_is_restored_is_checked_as_it_is_today(rt: Runtime, ann: Session) -> None:
    held = TemplateContent("web", TemplateConfig(app="Web"), (Script("1.sh", "unused=1\n", 0),))
    web = await template_of(rt, await saved(rt, ann, None, content()))
    async with rt.db.transaction() as tx:
        (await tx.templates.get(web)).template.revision_number = 3
        of_old = [revision_rows(web, 2, held, author="x", note=""), revision_rows(web, 3, held, author="x", note="")]
        await tx.templates.add_revisions(of_old)
    await saved(rt, ann, web, content(cpu=2))
    restored = await authoring.restore(rt, ann, web, 2, "")
    found = (await service.get_revision(ann, rt.db, restored.id)).content.warnings
    assert [finding.code for finding in found] == ["SC2034"]


async def test_what_would_not_be_saved_today_is_not_restored(rt: Runtime, ann: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    scripts = (Script("1.sh", "true\n", 0), Script("0.sh", "true\n", 1))
    held = TemplateContent("web", TemplateConfig(app="Web", cpu=100_000), scripts)
    async with rt.db.transaction() as tx:
        (await tx.templates.get(web)).template.revision_number = 2
        await tx.templates.add_revisions([revision_rows(web, 2, held, author="x", note="")])
    await saved(rt, ann, web, content(cpu=2))
    with pytest.raises(InvalidInputError, match="revision 2 cannot be saved") as refused:
        await authoring.restore(rt, ann, web, 2, "")
    assert set(refused.value.fields) == {"config.cpu", "scripts.0.sh.name"}
    detail = await service.get_template(ann, rt.db, web)
    assert [revision.number for revision in detail.revisions] == [3, 2, 1]
    assert [entry.result for entry in await audited(rt, "template.restore")] == [AuditResult.FAILED]


async def test_a_session_that_has_ended_exports_nothing(rt: Runtime, ann: Session, viewer: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    assert (await importing.export_templates(rt, viewer, [web], "zip")).filename == "web.zip"
    ended = replace(ann, signed_in_at=now() - timedelta(hours=13))
    with pytest.raises(SessionExpiredError):
        await importing.export_templates(rt, ended, [web], "zip")
