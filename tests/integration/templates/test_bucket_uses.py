"""How a change of a shared bucket affects the templates that refer to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import FilePolicy, PackageManager, SourceKind, Template, now
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import authoring, buckets, catalog, drafts
from lxc_dashboard.services.templates.library.buckets import BucketDetail
from lxc_dashboard.services.templates.library.revisions import revision_rows
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    RevisionContent,
    Script,
    TemplateConfig,
    TemplateContent,
)
from tests.integration.templates.authors import bucket_audit

APT, PIP = PackageManager.APT, PackageManager.PIP
OWN = Bucket("own", APT, (PackageEntry("vim"),))


async def template(rt: Runtime, name: str, *held: Bucket) -> UUID:
    """Store a custom template whose first revision holds these buckets."""
    content = TemplateContent(
        name=name,
        config=TemplateConfig(app=name),
        scripts=(Script("10-core.sh", "true\n", 0),),
        files=(FileEntry("b.bin", "/opt", FilePolicy.BACKUP, bytes(range(256)), 0o755, "root:root"),),
        buckets=held,
    )
    async with rt.db.transaction() as tx:
        source = await tx.templates.source("custom", SourceKind.CUSTOM, "")
        row = Template(source_id=source.id, name=name)
        await tx.templates.add([row])
        await tx.templates.add_revisions([revision_rows(row.id, 1, content, author="test", note="")])
    return row.id


def referring(bucket: BucketDetail) -> Bucket:
    """The shared bucket as a revision holds it."""
    return Bucket(bucket.name, bucket.manager, bucket.packages, bucket.id)


async def current(rt: Runtime, ben: Session, template_id: UUID) -> RevisionContent:
    detail = await catalog.get_template(ben, rt.db, template_id)
    return await catalog.get_revision(ben, rt.db, detail.summary.revision_id)


async def test_an_edit_gives_each_template_that_refers_to_it_a_new_revision(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\nnginx=1.26.3-3\n")
    other = await buckets.create(rt, ben, "base", "pip", "flask\n")
    first = await template(rt, "first", referring(made), OWN, referring(other))
    second = await template(rt, "second", referring(made))
    apart = await template(rt, "apart", referring(other), replace(referring(made), shared_id=None))
    before = {one: await current(rt, ben, one) for one in (first, second, apart)}
    assert [use.name for use in (await buckets.get_bucket(rt, ben, made.id)).uses] == ["first", "second"]

    edited = await buckets.edit(rt, ben, made.id, "base", "# newer\nnginx=1.27.0-1\nhtop\n", version=made.updated_at)
    assert edited.changed
    assert [(use.name, use.revision_number) for use in edited.revised] == [("first", 2), ("second", 2)]
    assert edited.bucket.uses == edited.revised
    for one in (first, second):
        after = await current(rt, ben, one)
        assert (after.number, after.author) == (2, "operator@pve")
        assert "base.apt" in after.note
        assert "nginx=1.27.0-1" in after.note
        expected = replace(made, packages=(PackageEntry("nginx=1.27.0-1"), PackageEntry("htop")))
        others = tuple(b for b in before[one].content.buckets if b.shared_id != made.id)
        held = sorted((*others, referring(expected)), key=lambda b: (b.name, b.manager))
        assert after.content == replace(before[one].content, buckets=tuple(held))
        old = await catalog.get_revision(ben, rt.db, before[one].id)
        assert old == before[one]
    assert await current(rt, ben, apart) == before[apart]
    assert (await bucket_audit(rt))[-1] == ("bucket.edit", "base.apt", "ok")


async def test_what_changes_no_package_changes_no_template(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    commented = await buckets.edit(rt, ben, made.id, "base", "curl # why\n", version=made.updated_at)
    assert (commented.changed, commented.revised) == (True, ())
    assert commented.bucket.listing == "curl # why\n"
    assert commented.bucket.updated_at > made.updated_at
    same = await buckets.edit(rt, ben, made.id, "base", "curl # why\n", version=commented.bucket.updated_at)
    assert (same.changed, same.bucket) == (False, commented.bucket)
    assert (await current(rt, ben, used)).number == 1
    assert [action for action, _, _ in await bucket_audit(rt)] == ["bucket.create", "bucket.edit"]


async def test_the_order_of_packages_is_a_change(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "a\nb\n")
    used = await template(rt, "web", referring(made))
    await buckets.edit(rt, ben, made.id, "base", "b\na\n", version=made.updated_at)
    after = await current(rt, ben, used)
    assert [package.spec for package in after.content.buckets[0].packages] == ["b", "a"]
    assert "another order" in after.note


async def test_a_new_name_reaches_the_templates(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    renamed = await buckets.edit(rt, ben, made.id, "tools", "curl\n", version=made.updated_at)
    assert renamed.bucket.name == "tools"
    after = await current(rt, ben, used)
    assert [(b.name, b.shared_id) for b in after.content.buckets] == [("tools", made.id)]
    assert after.note == "Shared bucket base.apt: now called tools"


async def test_a_new_name_that_a_template_uses_for_a_list_of_its_own_is_refused_whole(
    rt: Runtime, ben: Session
) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    first = await template(rt, "first", referring(made))
    await template(rt, "second", referring(made), OWN)
    with pytest.raises(InvalidInputError) as caught:
        await buckets.edit(rt, ben, made.id, "own", "curl\n", version=made.updated_at)
    assert "second" in caught.value.fields["name"]
    assert (await buckets.get_bucket(rt, ben, made.id)).name == "base"
    assert (await current(rt, ben, first)).number == 1


async def test_of_edits_at_one_moment_one_counts(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    edits = [buckets.edit(rt, ben, made.id, "base", f"p{number}\n", version=made.updated_at) for number in range(4)]
    done = await asyncio.gather(*edits, return_exceptions=True)
    assert sum(isinstance(result, buckets.Edited) for result in done) == 1
    assert all(isinstance(result, buckets.Edited | ConflictError) for result in done)
    assert (await current(rt, ben, used)).number == 2


async def test_a_deleted_bucket_leaves_its_packages_to_the_templates(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    with pytest.raises(InvalidInputError) as caught:
        await buckets.delete(rt, ben, made.id, name="bas", version=made.updated_at)
    assert set(caught.value.fields) == {"name"}
    uses = await buckets.delete(rt, ben, made.id, name="base", version=made.updated_at)
    assert [use.name for use in uses] == ["web"]
    assert await buckets.list_buckets(rt, ben) == []
    after = await current(rt, ben, used)
    assert after.number == 1
    assert after.content.buckets == (Bucket("base", APT, (PackageEntry("curl"),), None),)
    for wanted in (
        buckets.get_bucket(rt, ben, made.id),
        buckets.edit(rt, ben, made.id, "base", "", version=made.updated_at),
        buckets.delete(rt, ben, made.id, name="base", version=made.updated_at),
    ):
        with pytest.raises(NotFoundError):
            await wanted
    assert (await bucket_audit(rt))[-1] == ("bucket.delete", str(made.id), "failed")


async def test_a_list_of_a_revision_is_no_shared_bucket(rt: Runtime, ben: Session) -> None:
    template_id = await template(rt, "web", OWN)
    revision = await current(rt, ben, template_id)
    async with rt.db.transaction() as tx:
        ((row, _),) = await tx.templates.buckets(revision.id)
        assert await tx.buckets.hold([row.id]) == {}
    with pytest.raises(NotFoundError):
        await buckets.get_bucket(rt, ben, row.id)
    with pytest.raises(NotFoundError):
        await buckets.delete(rt, ben, row.id, name="own", version=row.updated_at)
    assert (await current(rt, ben, template_id)) == revision


async def test_a_template_that_is_gone_uses_nothing(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    async with rt.db.transaction() as tx:
        (await tx.templates.get(used)).template.missing_since = now()
    assert (await buckets.get_bucket(rt, ben, made.id)).uses == ()
    edited = await buckets.edit(rt, ben, made.id, "base", "vim\n", version=made.updated_at)
    assert edited.revised == ()


async def test_an_older_revision_that_referred_to_it_uses_it_no_more(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    revision = await current(rt, ben, used)
    async with rt.db.transaction() as tx:
        row = (await tx.templates.get(used)).template
        row.revision_number = 2
        content = replace(revision.content, buckets=(OWN,))
        await tx.templates.add_revisions([revision_rows(used, 2, content, author="test", note="")])
    edited = await buckets.edit(rt, ben, made.id, "base", "vim\n", version=made.updated_at)
    assert edited.revised == ()
    assert (await current(rt, ben, used)).number == 2


async def test_a_revision_that_takes_its_packages_from_a_bucket_waits_for_a_change_of_it(
    rt: Runtime, ben: Session
) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    async with rt.db.transaction() as tx:
        held = await tx.buckets.hold([made.id, uuid4()])
        assert list(held) == [made.id]
        assert [package.spec for package in held[made.id].packages] == ["curl"]
        editing = asyncio.create_task(buckets.edit(rt, ben, made.id, "base", "vim\n", version=made.updated_at))
        done, _ = await asyncio.wait([editing], timeout=0.3)
        assert not done
    assert (await editing).changed


async def test_a_template_holds_what_its_bucket_holds_however_saves_and_edits_fall_together(
    rt: Runtime, ben: Session
) -> None:
    bucket = await buckets.create(rt, ben, "base", "apt", "p0\n")
    used = await template(rt, "web", referring(bucket))
    for number in range(1, 9):
        draft = await drafts.open_draft(rt, ben, used)
        config = replace(draft.content.config, ram_mib=512 + number)
        await drafts.store(rt, ben, draft.id, replace(draft.content, config=config))
        done = await asyncio.gather(
            authoring.save(rt, ben, draft.id, ""),
            buckets.edit(rt, ben, bucket.id, "base", f"p{number}\n", version=bucket.updated_at),
            return_exceptions=True,
        )
        assert not [error for error in done if isinstance(error, Exception) and not isinstance(error, ConflictError)]
        bucket = await buckets.get_bucket(rt, ben, bucket.id)
        after = await current(rt, ben, used)
        assert after.content.buckets == (referring(bucket),)
        await discard_rest(rt, ben)


async def discard_rest(rt: Runtime, ben: Session) -> None:
    for draft in await drafts.list_drafts(rt, ben):
        await drafts.discard(rt, ben, draft.id)


async def test_passwords_in_addresses_reach_neither_note_nor_audit(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "own", "pip", "")
    used = await template(rt, "web", referring(made))
    listing = "a @ git+https://me:hunter2@h/a.git\n"
    await buckets.edit(rt, ben, made.id, "own", listing, version=made.updated_at)
    after = await current(rt, ben, used)
    assert "https://" in after.note
    async with rt.db.transaction() as tx:
        entries = await tx.audit.list(action="bucket")
    assert "hunter2" not in after.note + "".join(str(entry.detail) for entry in entries)


async def test_a_note_is_short_however_much_changed(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "".join(f"old{n}\n" for n in range(500)))
    used = await template(rt, "web", referring(made))
    await buckets.edit(rt, ben, made.id, "base", "".join(f"new{n}\n" for n in range(500)), version=made.updated_at)
    note = (await current(rt, ben, used)).note
    assert len(note) < 400
    assert note.endswith("…")
