"""Shared package buckets over a real PostgreSQL; a sandbox node checks the right to change them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lxc_dashboard.db.models import now
from lxc_dashboard.errors import ConflictError, InvalidInputError, PrivilegeError, SessionExpiredError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import buckets
from lxc_dashboard.services.templates.library.buckets import BucketDetail
from lxc_dashboard.services.templates.model import PackageEntry
from tests.integration.templates.authors import bucket_audit


async def test_a_bucket_is_kept_as_it_was_pasted(rt: Runtime, ben: Session) -> None:
    pasted = "# web servers\r\nnginx=1.26.3-3  # pinned\r\ncurl\r\n"
    made = await buckets.create(rt, ben, "web", "apt", pasted)
    assert made.listing == "# web servers\nnginx=1.26.3-3  # pinned\ncurl\n"
    assert made.packages == (PackageEntry("nginx=1.26.3-3"), PackageEntry("curl"))
    assert await buckets.get_bucket(rt, ben, made.id) == made
    await buckets.create(rt, ben, "web", "pip", "flask>=3\n")
    await buckets.create(rt, ben, "Alpha", "custom", "tool|true|echo a \\| b|timeout_s=9\n")
    found = await buckets.list_buckets(rt, ben)
    assert sorted((b.name, b.manager.value, b.packages) for b in found) == [
        ("Alpha", "custom", 1),
        ("web", "apt", 2),
        ("web", "pip", 1),
    ]
    assert {b.updated_by for b in found} == {"operator@pve"}
    assert await bucket_audit(rt) == [
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
    rt: Runtime, ben: Session, given: tuple[str, str, str], fields: set[str]
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await buckets.create(rt, ben, *given)
    assert set(caught.value.fields) == fields
    assert await buckets.list_buckets(rt, ben) == []
    assert [result for _, _, result in await bucket_audit(rt)] == ["failed"]


async def test_a_name_and_manager_stand_for_one_bucket(rt: Runtime, ben: Session) -> None:
    await buckets.create(rt, ben, "web", "apt", "")
    other = await buckets.create(rt, ben, "other", "apt", "")
    with pytest.raises(InvalidInputError) as caught:
        await buckets.create(rt, ben, "web", "apt", "")
    assert set(caught.value.fields) == {"name"}
    with pytest.raises(InvalidInputError) as caught:
        await buckets.edit(rt, ben, other.id, "web", "", version=other.updated_at)
    assert set(caught.value.fields) == {"name"}
    assert (await buckets.get_bucket(rt, ben, other.id)) == other


async def test_two_who_make_one_name_at_once_make_one_bucket(rt: Runtime, ben: Session) -> None:
    made = await asyncio.gather(
        *(buckets.create(rt, ben, "web", "apt", f"p{number}\n") for number in range(4)), return_exceptions=True
    )
    assert sum(isinstance(bucket, BucketDetail) for bucket in made) == 1
    refused = [error for error in made if not isinstance(error, BucketDetail)]
    assert all(isinstance(error, InvalidInputError | ConflictError) for error in refused)
    assert len(await buckets.list_buckets(rt, ben)) == 1


async def test_the_second_of_two_who_edit_one_bucket_is_told_and_overwrites_nothing(
    rt: Runtime, ben: Session, ann: Session
) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    first = await buckets.edit(rt, ann, made.id, "base", "curl\nvim\n", version=made.updated_at)
    with pytest.raises(ConflictError, match=r"root@pam changed base\.apt"):
        await buckets.edit(rt, ben, made.id, "base", "curl\nhtop\n", version=made.updated_at)
    with pytest.raises(ConflictError):
        await buckets.delete(rt, ben, made.id, name="base", version=made.updated_at)
    assert await buckets.get_bucket(rt, ben, made.id) == first.bucket
    assert [result for _, _, result in await bucket_audit(rt)] == ["ok", "ok", "failed", "failed"]


async def test_who_may_make_no_containers_may_read_buckets_and_change_none(
    rt: Runtime, ben: Session, viewer: Session
) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
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
    assert await buckets.get_bucket(rt, ben, made.id) == made
    assert [entry for entry in await bucket_audit(rt) if entry[2] == "refused"] == [
        ("bucket.create", "mine.apt", "refused"),
        ("bucket.edit", "base.apt", "refused"),
        ("bucket.delete", "base.apt", "refused"),
    ]


async def test_a_session_that_has_ended_reads_and_changes_nothing(rt: Runtime, ben: Session) -> None:
    made = await buckets.create(rt, ben, "base", "apt", "curl\n")
    ended = replace(ben, signed_in_at=now() - timedelta(days=2))
    for wanted in (
        buckets.list_buckets(rt, ended),
        buckets.get_bucket(rt, ended, made.id),
        buckets.create(rt, ended, "b", "apt", ""),
        buckets.edit(rt, ended, made.id, "b", "", version=made.updated_at),
        buckets.delete(rt, ended, made.id, name="base", version=made.updated_at),
    ):
        with pytest.raises(SessionExpiredError):
            await wanted
