"""A removed source is not read again. Only revisions that containers were built from remain."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest

from lxc_dashboard.db.models import Container, Lifecycle
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.sources import passes, registry, webhooks
from lxc_dashboard.services.templates.sources.registry import SourceInput
from tests.git_servers import WEB, HttpsGit, Repository
from tests.integration.templates.sources import HOOK, asked_anew, audited, go_on, view

REMOVED = "team (removed)"


async def built_from_web(rt: Runtime, session: Session, vmid: int = 100) -> Container:
    """A container of the template ``team/web``."""
    found = await catalog.list_templates(session, rt.db)
    used = next(summary for summary in found if (summary.source_name, summary.name) == ("team", "web"))
    async with rt.db.transaction() as tx:
        container = Container(
            endpoint_id=session.endpoint_id,
            vmid=vmid,
            node="pve1",
            hostname="web-1",
            template_revision_id=used.revision_id,
            lifecycle=Lifecycle.READY.value,
        )
        tx.session.add(container)
    return container


@pytest.mark.parametrize("answer", ["new", "unchanged", "gone", "failed"])
async def test_a_source_removed_during_a_pass_stays_removed(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit, *, repository: Repository, answer: str
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    await passes.sync_source(rt, ann, source_id)
    await built_from_web(rt, ann)
    if answer == "new":
        repository.commit(WEB | {"db/template.conf": "TEMPLATE_APP=db\n"})
    https.hold, asked = threading.Event(), len(https.requests)
    reading = asyncio.create_task(passes.sync_source(rt, ann, source_id))
    await asked_anew(https, asked)
    await registry.remove(rt, ann, source_id, name="team")
    if answer == "gone":
        repository.path.rename(repository.path.with_name("away.git"))
    elif answer == "failed":
        https.password = "another"
    go_on(https)
    with pytest.raises(NotFoundError):
        await reading
    stays = await view(rt, ann, REMOVED)
    assert (stays.removed, stays.missing, stays.templates) == (True, 1, 1)
    assert f"Removed by {ann.userid}" in stays.error
    assert not await passes.pending_requests(rt.bus, source_id)


async def test_a_removed_source_is_not_read_and_not_changed(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, webhook_secret=HOOK))
    await passes.sync_source(rt, ann, source_id)
    await built_from_web(rt, ann)
    await registry.remove(rt, ann, source_id, name="team")
    asked = len(https.requests)
    with pytest.raises(ConflictError, match="was removed"):
        await passes.sync_source(rt, ann, source_id)
    with pytest.raises(ConflictError, match="was removed"):
        await registry.update(rt, ann, source_id, wanted)
    assert not await webhooks.accept(rt, source_id, {webhooks.GITLAB_TOKEN: HOOK}, b"", "192.0.2.1")
    await passes.request_pass(rt, source_id)
    await passes.run_requested(rt, str(source_id))
    await passes.sync_due(rt)
    assert len(https.requests) == asked
    assert ((await view(rt, ann, REMOVED)).missing, await passes.pending_requests(rt.bus, source_id)) == (1, "")


async def test_what_is_removed_is_gone_but_for_what_containers_were_built_from(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository
) -> None:
    repository.commit(WEB | {"db/template.conf": "TEMPLATE_APP=db\n"})
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, webhook_secret=HOOK, every_s=300))
    await passes.sync_source(rt, ann, source_id)
    container = await built_from_web(rt, ann)
    with pytest.raises(InvalidInputError):
        await registry.remove(rt, ann, source_id, name="another")
    removal = await registry.remove(rt, ann, source_id, name="team")
    assert (removal.deleted, removal.kept) == (("db",), ("web",))
    stays = await view(rt, ann, REMOVED)
    assert (stays.every_s, stays.takes_webhooks, stays.missing) == (0, False, 1)
    assert f"Removed by {ann.userid}" in stays.error
    async with rt.db.transaction() as tx:
        await tx.session.delete(await tx.session.get(Container, container.id))
    assert await registry.remove(rt, ann, source_id, name=REMOVED) == registry.Removal(("web",), ())
    assert await registry.list_sources(rt, ann) == []
    with pytest.raises(NotFoundError):
        await registry.remove(rt, ann, source_id, name="team")


async def test_the_name_of_a_removed_source_is_free_and_what_it_kept_stays_readable(
    rt: Runtime, ann: Session, wanted: SourceInput
) -> None:
    removed, kept = [], []
    for _ in range(2):
        removed.append(await registry.add_git(rt, ann, wanted))
        await passes.sync_source(rt, ann, removed[-1])
        summary = next(s for s in await catalog.list_templates(ann, rt.db) if s.source_name == "team")
        kept.append(summary)
        await built_from_web(rt, ann, vmid=100 + len(kept))
        await registry.remove(rt, ann, removed[-1], name="team")
    again = await registry.add_git(rt, ann, wanted)
    await passes.sync_source(rt, ann, again)

    names = {source.id: source.name for source in await registry.list_sources(rt, ann)}
    assert [names[source_id] for source_id in (*removed, again)] == [REMOVED, "team (removed 2)", "team"]
    for summary in kept:
        detail = await catalog.get_template(ann, rt.db, summary.id)
        assert detail.summary.missing_since is not None
        assert (await catalog.get_revision(ann, rt.db, summary.revision_id)).content.name == "web"
    assert [entry[1:] for entry in await audited(rt, "source.remove")] == [("team", "ok")] * 2
