"""Shared package buckets over a real PostgreSQL, with the right to change them asked of a sandbox node."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import AuditEntry, FilePolicy, PackageManager, SourceKind, Template, now
from lxc_dashboard.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PrivilegeError,
    SessionExpiredError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import authoring, buckets, drafts, service
from lxc_dashboard.services.templates.buckets import BucketDetail
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.services.templates.report import RevisionContent
from lxc_dashboard.services.templates.rows import revision_rows

APT, PIP = PackageManager.APT, PackageManager.PIP
OWN = Bucket("own", APT, (PackageEntry("vim"),))


@pytest.fixture
async def session(ben: Session) -> Session:
    return ben


async def template(rt: Runtime, name: str, *held: Bucket) -> UUID:
    """A custom template whose first revision holds these buckets."""
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
    """What a revision holds of a shared bucket."""
    return Bucket(bucket.name, bucket.manager, bucket.packages, bucket.id)


async def current(rt: Runtime, session: Session, template_id: UUID) -> RevisionContent:
    detail = await service.get_template(session, rt.db, template_id)
    return await service.get_revision(session, rt.db, detail.summary.revision_id)


async def audited(rt: Runtime, action: str = "bucket") -> list[tuple[str, str, str]]:
    async with rt.db.transaction() as tx:
        entries: list[AuditEntry] = [*await tx.audit.list(action=action)]
    return [(entry.action, entry.subject, entry.result) for entry in reversed(entries)]


async def test_a_bucket_is_kept_as_it_was_pasted(rt: Runtime, session: Session) -> None:
    pasted = "# web servers\r\nnginx=1.26.3-3  # pinned\r\ncurl\r\n"
    made = await buckets.create(rt, session, "web", "apt", pasted)
    assert made.listing == "# web servers\nnginx=1.26.3-3  # pinned\ncurl\n"
    assert made.packages == (PackageEntry("nginx=1.26.3-3"), PackageEntry("curl"))
    assert await buckets.get_bucket(rt, session, made.id) == made
    await buckets.create(rt, session, "web", "pip", "flask>=3\n")
    await buckets.create(rt, session, "Alpha", "custom", "tool|true|echo a \\| b|timeout_s=9\n")
    found = await buckets.list_buckets(rt, session)
    assert sorted((b.name, b.manager.value, b.packages) for b in found) == [
        ("Alpha", "custom", 1),
        ("web", "apt", 2),
        ("web", "pip", 1),
    ]
    assert {b.updated_by for b in found} == {"operator@pve"}
    assert await audited(rt) == [
        ("bucket.create", "web.apt", "ok"),
        ("bucket.create", "web.pip", "ok"),
        ("bucket.create", "Alpha.custom", "ok"),
    ]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        (("", "apt", ""), {"name"}),
        (("a/b", "apt", "-y\n"), {"name", "listing"}),
        ((".hidden", "apt", ""), {"name"}),
        (("x" * 64, "apt", ""), {"name"}),
        (("web", "brew", ""), {"manager"}),
        (("web", "apt", "nginx\nnginx=1.26\n"), {"listing"}),
        (("web", "apt", "a\ud800\n"), {"listing"}),
        (("a\ud800", "apt", ""), {"name"}),
    ],
)
async def test_what_is_wrong_with_a_new_bucket_is_told_by_field_and_nothing_is_stored(
    rt: Runtime, session: Session, given: tuple[str, str, str], fields: set[str]
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await buckets.create(rt, session, *given)
    assert set(caught.value.fields) == fields
    assert await buckets.list_buckets(rt, session) == []
    assert [result for _, _, result in await audited(rt)] == ["failed"]


async def test_a_name_and_manager_stand_for_one_bucket(rt: Runtime, session: Session) -> None:
    await buckets.create(rt, session, "web", "apt", "")
    other = await buckets.create(rt, session, "other", "apt", "")
    with pytest.raises(InvalidInputError) as caught:
        await buckets.create(rt, session, "web", "apt", "")
    assert set(caught.value.fields) == {"name"}
    with pytest.raises(InvalidInputError) as caught:
        await buckets.edit(rt, session, other.id, "web", "", version=other.updated_at)
    assert set(caught.value.fields) == {"name"}
    assert (await buckets.get_bucket(rt, session, other.id)) == other


async def test_two_who_make_one_name_at_once_make_one_bucket(rt: Runtime, session: Session) -> None:
    made = await asyncio.gather(
        *(buckets.create(rt, session, "web", "apt", f"p{number}\n") for number in range(4)), return_exceptions=True
    )
    assert sum(isinstance(bucket, BucketDetail) for bucket in made) == 1
    refused = [error for error in made if not isinstance(error, BucketDetail)]
    assert all(isinstance(error, InvalidInputError | ConflictError) for error in refused)
    assert len(await buckets.list_buckets(rt, session)) == 1


async def test_an_edit_gives_each_template_that_refers_to_it_a_new_revision(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\nnginx=1.26.3-3\n")
    other = await buckets.create(rt, session, "base", "pip", "flask\n")
    first = await template(rt, "first", referring(made), OWN, referring(other))
    second = await template(rt, "second", referring(made))
    apart = await template(rt, "apart", referring(other), replace(referring(made), shared_id=None))
    before = {one: await current(rt, session, one) for one in (first, second, apart)}
    assert [use.name for use in (await buckets.get_bucket(rt, session, made.id)).uses] == ["first", "second"]

    edited = await buckets.edit(
        rt, session, made.id, "base", "# newer\nnginx=1.27.0-1\nhtop\n", version=made.updated_at
    )
    assert edited.changed
    assert [(use.name, use.revision_number) for use in edited.revised] == [("first", 2), ("second", 2)]
    assert edited.bucket.uses == edited.revised
    for one in (first, second):
        after = await current(rt, session, one)
        assert (after.number, after.author) == (2, "operator@pve")
        assert "base.apt" in after.note
        assert "nginx=1.27.0-1" in after.note
        expected = replace(made, packages=(PackageEntry("nginx=1.27.0-1"), PackageEntry("htop")))
        others = tuple(b for b in before[one].content.buckets if b.shared_id != made.id)
        held = sorted((*others, referring(expected)), key=lambda b: (b.name, b.manager))
        assert after.content == replace(before[one].content, buckets=tuple(held))
        old = await service.get_revision(session, rt.db, before[one].id)
        assert old == before[one]
    assert await current(rt, session, apart) == before[apart]
    assert (await audited(rt))[-1] == ("bucket.edit", "base.apt", "ok")


async def test_what_changes_no_package_changes_no_template(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    commented = await buckets.edit(rt, session, made.id, "base", "curl # why\n", version=made.updated_at)
    assert (commented.changed, commented.revised) == (True, ())
    assert commented.bucket.listing == "curl # why\n"
    assert commented.bucket.updated_at > made.updated_at
    same = await buckets.edit(rt, session, made.id, "base", "curl # why\n", version=commented.bucket.updated_at)
    assert (same.changed, same.bucket) == (False, commented.bucket)
    assert (await current(rt, session, used)).number == 1
    assert [action for action, _, _ in await audited(rt)] == ["bucket.create", "bucket.edit"]


async def test_the_order_of_packages_is_a_change(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "a\nb\n")
    used = await template(rt, "web", referring(made))
    await buckets.edit(rt, session, made.id, "base", "b\na\n", version=made.updated_at)
    after = await current(rt, session, used)
    assert [package.spec for package in after.content.buckets[0].packages] == ["b", "a"]
    assert "another order" in after.note


async def test_a_new_name_reaches_the_templates(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    renamed = await buckets.edit(rt, session, made.id, "tools", "curl\n", version=made.updated_at)
    assert renamed.bucket.name == "tools"
    after = await current(rt, session, used)
    assert [(b.name, b.shared_id) for b in after.content.buckets] == [("tools", made.id)]
    assert after.note == "Shared bucket base.apt: now called tools"


async def test_a_new_name_that_a_template_uses_for_a_list_of_its_own_is_refused_whole(
    rt: Runtime, session: Session
) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    first = await template(rt, "first", referring(made))
    await template(rt, "second", referring(made), OWN)
    with pytest.raises(InvalidInputError) as caught:
        await buckets.edit(rt, session, made.id, "own", "curl\n", version=made.updated_at)
    assert "second" in caught.value.fields["name"]
    assert (await buckets.get_bucket(rt, session, made.id)).name == "base"
    assert (await current(rt, session, first)).number == 1


async def test_the_second_of_two_who_edit_one_bucket_is_told_and_overwrites_nothing(
    rt: Runtime, session: Session, ann: Session
) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    first = await buckets.edit(rt, ann, made.id, "base", "curl\nvim\n", version=made.updated_at)
    with pytest.raises(ConflictError, match=r"root@pam changed base\.apt"):
        await buckets.edit(rt, session, made.id, "base", "curl\nhtop\n", version=made.updated_at)
    with pytest.raises(ConflictError):
        await buckets.delete(rt, session, made.id, name="base", version=made.updated_at)
    assert await buckets.get_bucket(rt, session, made.id) == first.bucket
    assert [result for _, _, result in await audited(rt)] == ["ok", "ok", "failed", "failed"]


async def test_of_edits_at_one_moment_one_counts(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    edits = [buckets.edit(rt, session, made.id, "base", f"p{number}\n", version=made.updated_at) for number in range(4)]
    done = await asyncio.gather(*edits, return_exceptions=True)
    assert sum(isinstance(result, buckets.Edited) for result in done) == 1
    assert all(isinstance(result, buckets.Edited | ConflictError) for result in done)
    assert (await current(rt, session, used)).number == 2


async def test_a_deleted_bucket_leaves_its_packages_to_the_templates(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    with pytest.raises(InvalidInputError) as caught:
        await buckets.delete(rt, session, made.id, name="bas", version=made.updated_at)
    assert set(caught.value.fields) == {"name"}
    uses = await buckets.delete(rt, session, made.id, name="base", version=made.updated_at)
    assert [use.name for use in uses] == ["web"]
    assert await buckets.list_buckets(rt, session) == []
    after = await current(rt, session, used)
    assert after.number == 1
    assert after.content.buckets == (Bucket("base", APT, (PackageEntry("curl"),), None),)
    for wanted in (
        buckets.get_bucket(rt, session, made.id),
        buckets.edit(rt, session, made.id, "base", "", version=made.updated_at),
        buckets.delete(rt, session, made.id, name="base", version=made.updated_at),
    ):
        with pytest.raises(NotFoundError):
            await wanted
    assert (await audited(rt))[-1] == ("bucket.delete", str(made.id), "failed")


async def test_a_list_of_a_revision_is_no_shared_bucket(rt: Runtime, session: Session) -> None:
    template_id = await template(rt, "web", OWN)
    revision = await current(rt, session, template_id)
    async with rt.db.transaction() as tx:
        ((row, _),) = await tx.templates.buckets(revision.id)
        assert await tx.buckets.hold([row.id]) == {}
    with pytest.raises(NotFoundError):
        await buckets.get_bucket(rt, session, row.id)
    with pytest.raises(NotFoundError):
        await buckets.delete(rt, session, row.id, name="own", version=row.updated_at)
    assert (await current(rt, session, template_id)) == revision


async def test_a_template_that_is_gone_uses_nothing(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    async with rt.db.transaction() as tx:
        (await tx.templates.get(used)).template.missing_since = now()
    assert (await buckets.get_bucket(rt, session, made.id)).uses == ()
    edited = await buckets.edit(rt, session, made.id, "base", "vim\n", version=made.updated_at)
    assert edited.revised == ()


async def test_an_older_revision_that_referred_to_it_uses_it_no_more(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    used = await template(rt, "web", referring(made))
    revision = await current(rt, session, used)
    async with rt.db.transaction() as tx:
        row = (await tx.templates.get(used)).template
        row.revision_number = 2
        content = replace(revision.content, buckets=(OWN,))
        await tx.templates.add_revisions([revision_rows(used, 2, content, author="test", note="")])
    edited = await buckets.edit(rt, session, made.id, "base", "vim\n", version=made.updated_at)
    assert edited.revised == ()
    assert (await current(rt, session, used)).number == 2


async def test_a_revision_that_takes_its_packages_from_a_bucket_waits_for_a_change_of_it(
    rt: Runtime, session: Session
) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    async with rt.db.transaction() as tx:
        held = await tx.buckets.hold([made.id, uuid4()])
        assert list(held) == [made.id]
        assert [package.spec for package in held[made.id].packages] == ["curl"]
        editing = asyncio.create_task(buckets.edit(rt, session, made.id, "base", "vim\n", version=made.updated_at))
        done, _ = await asyncio.wait([editing], timeout=0.3)
        assert not done
    assert (await editing).changed


async def test_a_template_holds_what_its_bucket_holds_however_saves_and_edits_fall_together(
    rt: Runtime, session: Session
) -> None:
    bucket = await buckets.create(rt, session, "base", "apt", "p0\n")
    used = await template(rt, "web", referring(bucket))
    for number in range(1, 9):
        draft = await drafts.open_draft(rt, session, used)
        config = replace(draft.content.config, ram_mib=512 + number)
        await drafts.store(rt, session, draft.id, replace(draft.content, config=config))
        done = await asyncio.gather(
            authoring.save(rt, session, draft.id, ""),
            buckets.edit(rt, session, bucket.id, "base", f"p{number}\n", version=bucket.updated_at),
            return_exceptions=True,
        )
        assert not [error for error in done if isinstance(error, Exception) and not isinstance(error, ConflictError)]
        bucket = await buckets.get_bucket(rt, session, bucket.id)
        after = await current(rt, session, used)
        assert after.content.buckets == (referring(bucket),)
        await discard_rest(rt, session)


async def discard_rest(rt: Runtime, session: Session) -> None:
    for draft in await drafts.list_drafts(rt, session):
        await drafts.discard(rt, session, draft.id)


async def test_passwords_in_addresses_reach_neither_note_nor_audit(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "own", "pip", "")
    used = await template(rt, "web", referring(made))
    listing = "a @ git+https://me:hunter2@h/a.git\n"
    await buckets.edit(rt, session, made.id, "own", listing, version=made.updated_at)
    after = await current(rt, session, used)
    assert "https://" in after.note
    async with rt.db.transaction() as tx:
        entries = await tx.audit.list(action="bucket")
    assert "hunter2" not in after.note + "".join(str(entry.detail) for entry in entries)


async def test_a_note_is_short_however_much_changed(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "".join(f"old{n}\n" for n in range(500)))
    used = await template(rt, "web", referring(made))
    await buckets.edit(rt, session, made.id, "base", "".join(f"new{n}\n" for n in range(500)), version=made.updated_at)
    note = (await current(rt, session, used)).note
    assert len(note) < 400
    assert note.endswith("…")


async def test_who_may_make_no_containers_may_read_buckets_and_change_none(
    rt: Runtime, session: Session, viewer: Session
) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    assert await buckets.get_bucket(rt, viewer, made.id) == made
    assert len(await buckets.list_buckets(rt, viewer)) == 1
    for wanted in (
        buckets.create(rt, viewer, "mine", "apt", ""),
        buckets.edit(rt, viewer, made.id, "base", "vim\n", version=made.updated_at),
        buckets.delete(rt, viewer, made.id, name="base", version=made.updated_at),
    ):
        with pytest.raises(PrivilegeError) as caught:
            await wanted
        assert (caught.value.privilege, caught.value.path) == ("VM.Allocate", "/vms")
    assert await buckets.get_bucket(rt, session, made.id) == made
    assert [entry for entry in await audited(rt) if entry[2] == "refused"] == [
        ("bucket.create", "mine.apt", "refused"),
        ("bucket.edit", "base.apt", "refused"),
        ("bucket.delete", "base.apt", "refused"),
    ]


async def test_a_session_that_has_ended_reads_and_changes_nothing(rt: Runtime, session: Session) -> None:
    made = await buckets.create(rt, session, "base", "apt", "curl\n")
    ended = replace(session, signed_in_at=now() - timedelta(days=2))
    for wanted in (
        buckets.list_buckets(rt, ended),
        buckets.get_bucket(rt, ended, made.id),
        buckets.create(rt, ended, "b", "apt", ""),
        buckets.edit(rt, ended, made.id, "b", "", version=made.updated_at),
        buckets.delete(rt, ended, made.id, name="base", version=made.updated_at),
    ):
        with pytest.raises(SessionExpiredError):
            await wanted
