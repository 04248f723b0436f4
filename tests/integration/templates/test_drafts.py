"""Drafts of users who are signed in to a sandbox."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    OvertakenError,
    SessionExpiredError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME, Session
from lxc_dashboard.services.templates.format import files
from lxc_dashboard.services.templates.format import tree as bounds
from lxc_dashboard.services.templates.library import authoring, catalog, drafts
from lxc_dashboard.text import in_words_of
from tests.integration.templates.authors import ANN, SignIn, audited, content, put, saved, stored, template_of


async def test_a_draft_is_found_again_with_what_was_typed(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    assert (draft.template_id, draft.base_number, draft.content.name, draft.overtaken) == (None, 0, "", None)
    at = await drafts.store(rt, ann, draft.id, content("half done", cpu=0))
    again = await drafts.open_draft(rt, ann, None)
    assert (again.id, again.content, again.updated_at) == (draft.id, content("half done", cpu=0), at)
    (listed,) = await drafts.list_drafts(rt, ann)
    assert (listed.id, listed.name, listed.overtaken, listed.updated_at) == (draft.id, "half done", False, at)


async def test_a_draft_begins_as_the_current_revision_with_its_files(rt: Runtime, ann: Session, ben: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    one = await put(rt, ann, draft.id, "one", b"same")
    await drafts.store(rt, ann, draft.id, replace(content(), files=(one, replace(one, name="two"))))
    web = await template_of(rt, await authoring.save(rt, ann, draft.id, ""))
    begun = await drafts.open_draft(rt, ben, web)
    assert (begun.template_id, begun.base_number) == (web, 1)
    assert begun.content == replace(content(), files=(one, replace(one, name="two")))
    assert await drafts.read_file(rt, ben, begun.id, one.sha256) == b"same"
    assert (await drafts.open_draft(rt, ben, web)).id == begun.id
    assert (await drafts.open_draft(rt, ann, web)).id != begun.id


async def test_a_draft_that_nothing_was_stored_in_follows_its_template(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    untouched = await drafts.open_draft(rt, ben, web)
    await saved(rt, ann, web, content(cpu=2))
    begun = await drafts.open_draft(rt, ben, web)
    assert (begun.base_number, begun.content.config.cpu, begun.overtaken) == (2, 2, None)
    with pytest.raises(NotFoundError):
        await drafts.get_draft(rt, ben, untouched.id)
    await drafts.store(rt, ben, begun.id, content(cpu=3))
    await saved(rt, ann, web, content(cpu=4))
    kept = await drafts.open_draft(rt, ben, web)
    assert (kept.id, kept.base_number, kept.content.config.cpu) == (begun.id, 2, 3)
    assert kept.overtaken is not None
    assert [draft.overtaken for draft in await drafts.list_drafts(rt, ben)] == [True]


async def test_a_draft_knows_what_it_was_begun_from(rt: Runtime, ann: Session, ben: Session) -> None:
    new = await drafts.open_draft(rt, ann, None)
    assert new.saved == new.content
    one = await put(rt, ann, new.id, "one", b"same")
    held = replace(content(), files=(one, replace(one, name="two")))
    await drafts.store(rt, ann, new.id, held)
    assert (await drafts.get_draft(rt, ann, new.id)).saved == new.saved
    web = await template_of(rt, await authoring.save(rt, ann, new.id, ""))
    begun = await drafts.open_draft(rt, ben, web)
    assert begun.saved == begun.content == held
    await drafts.store(rt, ben, begun.id, content(cpu=3))
    await saved(rt, ann, web, content(cpu=4))
    kept = await drafts.get_draft(rt, ben, begun.id)
    assert (kept.saved, kept.content) == (held, content(cpu=3))
    copy = await drafts.open_draft(rt, ben, None, copy_of=web)
    assert copy.saved == copy.content
    assert [draft.touched for draft in await drafts.list_drafts(rt, ben)] == [False, True]
    await drafts.store(rt, ben, copy.id, content("other"))
    assert (await drafts.get_draft(rt, ben, copy.id)).saved is None


async def test_nobody_else_can_open_a_draft(rt: Runtime, ann: Session, ben: Session, sign_in: SignIn) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    file = await put(rt, ann, draft.id, "key", b"mine alone")
    draft = await stored(rt, ann, draft, replace(content(), files=(file,)))
    async with rt.db.transaction() as tx:
        first = await tx.nodes.get(ann.endpoint_id)
        other = ProxmoxNode(name="other", host="localhost", port=first.port, fingerprint=first.fingerprint)
        await tx.nodes.add(other)
    namesake = await sign_in(ANN, other.id)
    for stranger in (ben, namesake):
        for use in (
            lambda who: drafts.get_draft(rt, who, draft.id),
            lambda who: drafts.read_file(rt, who, draft.id, file.sha256),
            lambda who: drafts.store(rt, who, draft.id, content("theirs")),
            lambda who: drafts.put_file(rt, who, draft.id, b"theirs"),
            lambda who: drafts.discard(rt, who, draft.id),
            lambda who: authoring.save(rt, who, draft.id, ""),
            lambda who: authoring.preview(rt, who, draft.id),
        ):
            with pytest.raises(NotFoundError):
                await use(stranger)
        assert await drafts.list_drafts(rt, stranger) == []
        assert (await drafts.open_draft(rt, stranger, None)).id != draft.id
    assert await drafts.get_draft(rt, ann, draft.id) == draft


async def test_a_session_that_has_ended_opens_nothing(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    ended = replace(ann, signed_in_at=ann.signed_in_at - ABSOLUTE_LIFETIME - timedelta(seconds=1))
    for use in (
        drafts.get_draft(rt, ended, draft.id),
        drafts.list_drafts(rt, ended),
        drafts.read_file(rt, ended, draft.id, "0" * 64),
        drafts.store(rt, ended, draft.id, content()),
        authoring.save(rt, ended, draft.id, ""),
        authoring.preview(rt, ended, draft.id),
        catalog.search(ended, rt.db, ""),
    ):
        with pytest.raises(SessionExpiredError):
            await use


async def test_what_another_window_stored_is_not_overwritten_unseen(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    seen = await drafts.store(rt, ann, draft.id, content("first"), seen=draft.updated_at)
    with pytest.raises(ConflictError):
        await drafts.store(rt, ann, draft.id, content("second"), seen=draft.updated_at)
    assert (await drafts.get_draft(rt, ann, draft.id)).content.name == "first"
    assert await drafts.store(rt, ann, draft.id, content("second"), seen=seen) > seen


async def test_discarding_a_draft_leaves_its_template(rt: Runtime, ann: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    draft = await stored(rt, ann, await drafts.open_draft(rt, ann, web), content(cpu=9))
    await drafts.discard(rt, ann, draft.id)
    assert await drafts.list_drafts(rt, ann) == []
    assert (await catalog.get_template(ann, rt.db, web)).summary.config.cpu == 1
    entry = (await audited(rt))[0]
    assert (entry.action, entry.subject) == ("template.discard", "web")


async def test_a_file_that_was_not_put_in_is_refused(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    file = await put(rt, ann, draft.id, "a", b"x")
    lost = replace(file, name="b", sha256=hashlib.sha256(b"elsewhere").hexdigest())
    with pytest.raises(InvalidInputError) as refused:
        await drafts.store(rt, ann, draft.id, replace(content(), files=(file, lost)))
    assert list(refused.value.fields) == ["files.b.content"]
    with pytest.raises(NotFoundError):
        await drafts.read_file(rt, ann, draft.id, lost.sha256)
    lied = replace(file, size=0)
    assert (await stored(rt, ann, draft, replace(content(), files=(lied,)))).content.files == (file,)


async def test_what_cannot_be_stored_is_named_and_stores_nothing(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    for wrong, field in (
        (content("a\0b"), "name"),
        (content(description="\ud800"), "config"),
        (content(scripts={"1.sh": "a\0"}), "scripts.1.sh.content"),
        (content(scripts={f"{number}.sh": "" for number in range(201)}), "scripts"),
        (content(scripts={f"{number}.sh": "x" * (1 << 20) for number in range(65)}), "files"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            await drafts.store(rt, ann, draft.id, wrong)
        assert list(refused.value.fields) == [field]
    assert await drafts.get_draft(rt, ann, draft.id) == draft


async def test_files_are_bounded_each_and_in_all(rt: Runtime, ann: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    with pytest.raises(InvalidInputError):
        await drafts.put_file(rt, ann, draft.id, bytes(files.MAX_FILE_BYTES + 1))
    largest = [bytes([number]) * files.MAX_FILE_BYTES for number in range(6)]
    count = bounds.MAX_TEMPLATE_BYTES // files.MAX_FILE_BYTES
    named = tuple(
        [await put(rt, ann, draft.id, f"f{number}", data) for number, data in enumerate(largest[: count - 1])]
    )
    await drafts.store(rt, ann, draft.id, replace(content(), files=named))
    # Neither is named in the draft yet: the second deletes the first to make room.
    await drafts.put_file(rt, ann, draft.id, largest[-3])
    await drafts.put_file(rt, ann, draft.id, largest[-2])
    last = await put(rt, ann, draft.id, "last", largest[-1])
    with pytest.raises(InvalidInputError) as refused:
        await drafts.store(rt, ann, draft.id, replace(content(), files=(*named, last)))
    assert list(refused.value.fields) == ["files"]
    async with rt.db.transaction() as tx:
        assert len(await tx.drafts.sizes(draft.id)) == count


async def test_nobody_has_more_than_twenty_drafts(rt: Runtime, ann: Session, ben: Session) -> None:
    templates = [await template_of(rt, await saved(rt, ann, None, content(f"t{number}"))) for number in range(20)]
    for template in templates:
        await drafts.open_draft(rt, ann, template)
    with pytest.raises(ConflictError, match="20 drafts"):
        await drafts.open_draft(rt, ann, None)
    await drafts.open_draft(rt, ann, templates[0])
    await drafts.open_draft(rt, ben, None)


async def results_of(*calls: object) -> Counter[type]:
    found = await asyncio.gather(*calls, return_exceptions=True)  # type: ignore[call-overload]  # calls of several kinds
    assert all(isinstance(result, DashboardError) or not isinstance(result, BaseException) for result in found)
    return Counter(type(result) for result in found)


async def test_of_two_saves_at_once_the_later_is_told_of_the_earlier(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    of_ann = await stored(rt, ann, await drafts.open_draft(rt, ann, web), content(cpu=2))
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content(cpu=3))
    results = await results_of(authoring.save(rt, ann, of_ann.id, ""), authoring.save(rt, ben, of_ben.id, ""))
    assert results[OvertakenError] == 1
    detail = await catalog.get_template(ann, rt.db, web)
    assert [revision.number for revision in detail.revisions] == [2, 1]


async def test_of_two_new_templates_of_one_name_at_once_one_is_made(rt: Runtime, ann: Session, ben: Session) -> None:
    of_ann = await stored(rt, ann, await drafts.open_draft(rt, ann, None), content())
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, None), content(cpu=2))
    results = await results_of(authoring.save(rt, ann, of_ann.id, ""), authoring.save(rt, ben, of_ben.id, ""))
    assert results[InvalidInputError] == 1
    assert len(await catalog.list_templates(ann, rt.db)) == 1


async def test_the_same_button_twice_saves_once(rt: Runtime, ann: Session) -> None:
    draft = await stored(rt, ann, await drafts.open_draft(rt, ann, None), content())
    results = await results_of(*(authoring.save(rt, ann, draft.id, "") for _ in range(3)))
    assert results[NotFoundError] == 2
    (summary,) = await catalog.list_templates(ann, rt.db)
    assert summary.revision_number == 1


async def test_a_draft_of_one_template_opened_twice_at_once_is_one(rt: Runtime, ann: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    opened = await asyncio.gather(*(drafts.open_draft(rt, ann, web) for _ in range(4)))
    assert len({draft.id for draft in opened}) == 1


async def test_a_preview_is_what_a_save_would_store(rt: Runtime, ann: Session) -> None:
    draft = await stored(rt, ann, await drafts.open_draft(rt, ann, None), content(unprivileged=False))
    seen = await authoring.preview(rt, ann, draft.id)
    assert any("privileged" in in_words_of(finding.message).lower() for finding in seen.warnings)
    revision = await authoring.save(rt, ann, draft.id, "")
    assert (await catalog.get_revision(ann, rt.db, revision.id)).content == seen
    with pytest.raises(NotFoundError):
        await drafts.open_draft(rt, ann, uuid4())
