"""Templates written in the dashboard by users who are signed in to a sandbox."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import AuditResult, FilePolicy, SourceKind
from lxc_dashboard.errors import InvalidInputError, NotFoundError, OvertakenError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import authoring, buckets, catalog, drafts
from lxc_dashboard.services.templates.model import PackageEntry
from lxc_dashboard.text import in_words_of
from tests.integration.templates.authors import ANN, APT, BEN, audited, bucket, content, put, saved, stored, template_of


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

    found = await catalog.get_revision(ann, rt.db, revision.id)
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
    (summary,) = await catalog.list_templates(ann, rt.db)
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
    detail = await catalog.get_template(ann, rt.db, web)
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
    assert tuple(map(in_words_of, told.changes)) == (
        "cpu: '1' is now '8'",
        "Script 10-a.sh changed (+1 -0 lines)",
        "Script 20-b.sh added",
    )
    for over in (None, 1, 3):
        with pytest.raises(OvertakenError) as refused:
            await authoring.save(rt, ben, of_ben.id, "Mine", over=over)
        assert (refused.value.number, refused.value.author, refused.value.changes) == (2, ANN, told.changes)
    assert (await catalog.get_template(ben, rt.db, web)).summary.config.cpu == 8

    third = await authoring.save(rt, ben, of_ben.id, "Mine", over=2)
    assert third.number == 3
    current = await catalog.get_revision(ben, rt.db, third.id)
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
    assert (refused.value.number, [*map(in_words_of, refused.value.changes)]) == (3, ["cpu: '1' is now '4'"])


async def test_who_may_not_author_changes_nothing_and_is_audited(rt: Runtime, ann: Session, viewer: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    of_ann = await drafts.open_draft(rt, ann, web)
    before = await catalog.get_template(viewer, rt.db, web)
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
    assert await catalog.get_template(viewer, rt.db, web) == before
    assert await drafts.list_drafts(rt, viewer) == []
    assert await drafts.get_draft(rt, ann, of_ann.id) == of_ann


async def test_an_older_revision_is_restored_as_a_new_one(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    await saved(rt, ann, web, content(cpu=2, scripts={}))
    third = await authoring.restore(rt, ben, web, 1, "As it was", expected=2)
    assert (third.number, third.author, third.note) == (3, BEN, "As it was")
    detail = await catalog.get_template(ann, rt.db, web)
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
    detail = (await audited(rt, "template.rename"))[0].detail
    assert detail == {"cause": {"code": "error.invalid_input", "params": {}}, "fields": ["name"]}
    with pytest.raises(InvalidInputError) as refused:
        await saved(rt, ann, None, content("web"))
    assert list(refused.value.fields) == ["name"]
    await authoring.rename(rt, ann, web, "web2")
    assert {summary.name for summary in await catalog.list_templates(ann, rt.db)} == {"web2", "www"}


async def test_a_rename_is_not_undone_by_a_draft_that_began_before_it(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content("web")))
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content("web", cpu=2))
    await authoring.rename(rt, ann, web, "www")
    assert (await drafts.get_draft(rt, ben, of_ben.id)).content.name == "www"
    await authoring.save(rt, ben, of_ben.id, "")
    assert (await catalog.get_template(ann, rt.db, web)).summary.name == "www"

    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content("of-ben"))
    await authoring.rename(rt, ann, web, "of-ann")
    with pytest.raises(InvalidInputError) as refused:
        await authoring.save(rt, ben, of_ben.id, "")
    assert "of-ann" in refused.value.fields["name"]
    await drafts.store(rt, ben, of_ben.id, content("of-ann"))
    await authoring.save(rt, ben, of_ben.id, "")
    await saved(rt, ben, web, content("mine"))
    assert (await catalog.get_template(ann, rt.db, web)).summary.name == "mine"


async def test_a_revision_holds_what_its_shared_bucket_held(rt: Runtime, ann: Session) -> None:
    shared = await buckets.create(rt, ann, "base", "apt", "nginx\ncurl\n")
    with_bucket = replace(content(), buckets=(bucket("base", APT, PackageEntry("stale"), shared_id=shared.id),))
    first = await saved(rt, ann, None, with_bucket)
    held = (await catalog.get_revision(ann, rt.db, first.id)).content.buckets
    assert [(b.name, b.shared_id, [p.spec for p in b.packages]) for b in held] == [
        ("base", shared.id, ["nginx", "curl"])
    ]

    web = await template_of(rt, first)
    await buckets.edit(rt, ann, shared.id, "base", "nginx\n", version=shared.updated_at)
    restored = await authoring.restore(rt, ann, web, 1, "")
    (own,) = (await catalog.get_revision(ann, rt.db, restored.id)).content.buckets
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
