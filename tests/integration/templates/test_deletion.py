"""A deleted template: only what containers were built from and the drafts of others remain."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from lxc_dashboard.db.models import Container
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import authoring, catalog, drafts
from lxc_dashboard.services.templates.model import RevisionSummary
from tests.integration.templates.authors import audited, content, saved, stored, template_of


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
        await catalog.get_revision(ann, rt.db, revision.id)
    assert (await audited(rt))[0].action == "template.delete"


async def test_what_containers_were_built_from_outlives_the_template(rt: Runtime, ann: Session) -> None:
    revision = await saved(rt, ann, None, content())
    web = await template_of(rt, revision)
    container = await container_of(rt, ann, revision.id)
    assert (await authoring.delete(rt, ann, web, name="web")).kept
    assert await catalog.list_templates(ann, rt.db) == []
    async with rt.db.transaction() as tx:
        assert (await tx.containers.get(container.id)).template_revision_id == revision.id
    assert (await catalog.get_revision(ann, rt.db, revision.id)).content.name == "web"
    for change in (lambda: drafts.open_draft(rt, ann, web), lambda: authoring.delete(rt, ann, web, name="web")):
        with pytest.raises(NotFoundError):
            await change()

    again = await saved(rt, ann, None, content(cpu=2))
    assert (await template_of(rt, again), again.number) == (web, 2)
    assert (await authoring.delete(rt, ann, web, name="web")).kept
    assert (await authoring.restore(rt, ann, web, 1, "")).number == 3
    assert [summary.name for summary in await catalog.list_templates(ann, rt.db)] == ["web"]


async def test_drafts_of_a_deleted_template_become_drafts_of_a_new_one(rt: Runtime, ann: Session, ben: Session) -> None:
    web = await template_of(rt, await saved(rt, ann, None, content()))
    of_ben = await stored(rt, ben, await drafts.open_draft(rt, ben, web), content(cpu=5))
    await authoring.delete(rt, ann, web, name="web")
    left = await drafts.get_draft(rt, ben, of_ben.id)
    assert (left.template_id, left.base_number, left.overtaken) == (None, 0, None)
    assert left.content == of_ben.content
    assert (await authoring.save(rt, ben, of_ben.id, "")).number == 1


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
        left = [summary.id for summary in await catalog.list_templates(ann, rt.db) if summary.name == name]
        assert web not in left
        assert len(left) == (1 if isinstance(results[1], RevisionSummary) and results[1].number == 1 else 0)
