"""The wizard's draft: one for each user and endpoint, encrypted, without secrets."""

from __future__ import annotations

from uuid import uuid4

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form import filled
from lxc_dashboard.services.creation.form.filled import MAX_ITEMS, Filled
from tests.integration.wizard.people import People

WEB = Filled(form={"hostname": "web-01", "mounts": "[]"}, template_id=uuid4(), extras=(("apt", "htop"),))


async def test_a_draft_is_found_again_and_the_last_one_counts(rt: Runtime, ann: Session) -> None:
    assert await filled.find_draft(rt, ann) is None
    assert await filled.keep_draft(rt, ann, Filled(form={"hostname": "first"}))
    assert await filled.keep_draft(rt, ann, WEB, reached=3)
    found = await filled.find_draft(rt, ann)
    assert found is not None
    assert (found.filled, found.reached) == (WEB, 3)
    await filled.discard_draft(rt, ann)
    assert await filled.find_draft(rt, ann) is None


async def test_what_edits_a_failed_job_is_a_draft_of_its_own(rt: Runtime, ann: Session) -> None:
    one, other = uuid4(), uuid4()
    await filled.keep_draft(rt, ann, WEB)
    await filled.keep_draft(rt, ann, Filled(form={"hostname": "edited"}), edits=one)
    found = await filled.find_draft(rt, ann, edits=one)
    assert found is not None
    assert found.filled.form == {"hostname": "edited"}
    assert await filled.find_draft(rt, ann, edits=other) is None
    await filled.discard_draft(rt, ann, edits=one)
    assert await filled.find_draft(rt, ann, edits=one) is None
    assert await filled.find_draft(rt, ann) is not None


async def test_a_draft_is_nobody_elses(rt: Runtime, ann: Session, ben: Session, people: People) -> None:
    await filled.keep_draft(rt, ann, WEB)
    for stranger in (ben, people(ann.userid, "other"), people("ann@pam")):
        assert await filled.find_draft(rt, stranger) is None
        await filled.discard_draft(rt, stranger)
    assert await filled.find_draft(rt, ann) is not None


async def test_a_draft_is_encrypted_bound_to_its_owner_and_holds_no_password(
    rt: Runtime, ann: Session, ben: Session
) -> None:
    await filled.keep_draft(rt, ann, Filled(form={"hostname": "web-01", "password": "hunter2-hunter2"}))
    found = await filled.find_draft(rt, ann)
    assert found is not None
    assert found.filled.form == {"hostname": "web-01"}
    key = f"wizard:draft:{ann.endpoint_id}:{ann.userid}"
    sealed = await rt.bus.get(key)
    assert sealed is not None
    assert b"web-01" not in sealed
    await rt.bus.set(f"wizard:draft:{ben.endpoint_id}:{ben.userid}", sealed, ttl_s=60)
    assert await filled.find_draft(rt, ben) is None


async def test_a_draft_that_cannot_be_read_any_more_is_none(rt: Runtime, ann: Session) -> None:
    key = f"wizard:draft:{ann.endpoint_id}:{ann.userid}"
    sealed = rt.keyring.encrypt(b'{"filled": 3}', table="wizard", column="draft", row=key)
    await rt.bus.set(key, sealed.encode(), ttl_s=60)
    assert await filled.find_draft(rt, ann) is None


async def test_what_is_too_much_is_not_kept_and_the_one_before_stays(rt: Runtime, ann: Session) -> None:
    await filled.keep_draft(rt, ann, WEB)
    for much in (
        Filled(form={f"f{n}": "x" * 30_000 for n in range(20)}),
        Filled(form={"description": "x" * 40_000}),
        Filled(scripts=("a",) * (MAX_ITEMS + 1)),
    ):
        assert not await filled.keep_draft(rt, ann, much)
    found = await filled.find_draft(rt, ann)
    assert found is not None
    assert found.filled == WEB
