"""A draft compared with the saved template: its own changes, and another user's changes merged into it."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from lxc_dashboard.errors import NotFoundError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import authoring, buckets, drafts
from tests.integration.templates.authors import bucket, content, put, saved, stored, template_of


async def test_a_draft_says_what_it_would_change(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    kept, gone = [await put(rt, ann, draft.id, name, name.encode()) for name in ("kept", "gone")]
    await drafts.store(rt, ann, draft.id, replace(content(), files=(gone, kept)))
    assert [change.name for change in (await drafts.difference(rt, ann, draft.id)).files] == ["gone", "kept"]
    web = await template_of(rt, await authoring.save(rt, ann, draft.id, ""))
    draft = await drafts.open_draft(rt, ann, web)
    assert (await drafts.difference(rt, ann, draft.id)).empty
    other = await put(rt, ann, draft.id, "kept", b"other")
    await stored(rt, ann, draft, replace(content(cpu=3, scripts={"10-core.sh": "false\n"}), files=(other,)))
    found = await drafts.difference(rt, ann, draft.id)
    assert [(change.field, change.old, change.new) for change in found.config] == [("cpu", "1", "3")]
    assert [line.text for line in found.scripts[0].text.lines if line.kind == "added"] == ["false"]
    assert [(change.name, change.kind) for change in found.files] == [("gone", "removed"), ("kept", "changed")]
    assert [line.text for line in found.files[1].text.lines] == ["kept", "other"]


async def test_a_shared_bucket_counts_as_what_it_holds_now(rt: Runtime, ann: Session) -> None:
    shared = await buckets.create(rt, ann, "base", "apt", "curl\n")
    web = await template_of(rt, await saved(rt, ann, None, content()))
    draft = await drafts.open_draft(rt, ann, web)
    mine = replace(content(), buckets=(bucket("base", shared.manager, shared_id=shared.id),))
    await stored(rt, ann, draft, mine)
    assert [change.added for change in (await drafts.difference(rt, ann, draft.id)).packages] == [("curl",)]


async def test_somebody_elses_changes_are_taken_into_the_draft(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    draft = await drafts.open_draft(rt, ann, web)
    await stored(rt, ann, draft, content(app="Mine", cpu=2))
    theirs = await drafts.open_draft(rt, ben, web)
    motd = await put(rt, ben, theirs.id, "motd", b"theirs")
    await stored(rt, ben, theirs, replace(content(cpu=4, ram_mib=1024), files=(motd,)))
    await authoring.save(rt, ben, theirs.id, "Theirs")
    assert [c.field for c in (await drafts.difference(rt, ann, draft.id, 2)).config] == ["app", "cpu", "ram_mib"]
    taken = await authoring.take_over(rt, ann, draft.id, seen=2)
    assert (taken.number, taken.author, taken.kept) == (2, "operator@pve", ("config.cpu",))
    again = await drafts.get_draft(rt, ann, draft.id)
    assert (again.base_number, again.overtaken, again.updated_at) == (2, None, taken.updated_at)
    config = again.content.config
    assert (config.app, config.cpu, config.ram_mib) == ("Mine", 2, 1024)
    assert await drafts.read_file(rt, ann, draft.id, motd.sha256) == b"theirs"
    summary = await authoring.save(rt, ann, draft.id, "Both")
    assert summary.number == 3


async def test_what_is_saved_while_one_looks_is_not_taken_over_unseen(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    draft = await drafts.open_draft(rt, ann, web)
    await stored(rt, ann, draft, content(app="Mine"))
    await saved(rt, ben, web, content(cpu=2))
    await saved(rt, ben, web, content(cpu=3))
    await authoring.take_over(rt, ann, draft.id, seen=2)
    again = await drafts.get_draft(rt, ann, draft.id)
    assert (again.base_number, again.content.config.cpu) == (2, 2)
    assert again.overtaken is not None
    assert again.overtaken.number == 3


async def test_drafts_of_others_and_of_no_template_are_refused(
    rt: Runtime, ann: Session, ben: Session, viewer: Session
) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    draft = await drafts.open_draft(rt, ann, web)
    new = await drafts.open_draft(rt, ann, None)
    for who, draft_id in ((ben, draft.id), (ann, uuid4())):
        with pytest.raises(NotFoundError):
            await drafts.difference(rt, who, draft_id)
        with pytest.raises(NotFoundError):
            await authoring.take_over(rt, who, draft_id, seen=1)
    with pytest.raises(NotFoundError):
        await authoring.take_over(rt, ann, new.id, seen=1)
    with pytest.raises(PrivilegeError):
        await authoring.take_over(rt, viewer, draft.id, seen=1)
