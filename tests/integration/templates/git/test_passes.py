"""Sources are added and read once per request: over HTTPS and SSH, by hand and by schedule."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import SourceKind, now
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.format import shellcheck
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.sources import passes, registry
from lxc_dashboard.services.templates.sources.registry import GitSecrets, SourceInput
from tests.git_servers import WEB, HttpsGit, Repository, SshGit
from tests.integration.templates.sources import audited, view


async def test_a_source_is_added_read_and_told_of(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    before = await view(rt, ann)
    assert (before.id, before.kind, before.tried_at, before.templates) == (source_id, SourceKind.GIT, None, 0)
    repository.commit(WEB | {"bad/template.conf": "TEMPLATE_APP=bad\nTEMPLATE_CPU=$(nproc)\n"})
    report = await passes.sync_source(rt, ann, source_id)
    assert (report.added, report.changed, report.removed) == (("web",), (), ())
    assert [(refusal.file, refusal.line, refusal.name) for refusal in report.refused] == [
        ("bad/template.conf", 2, "bad")
    ]
    after = await view(rt, ann)
    assert (after.report, after.templates, after.error, after.created_by) == (report, 1, "", ann.userid)
    (summary,) = await catalog.list_templates(ann, rt.db)
    detail = await catalog.get_template(ann, rt.db, summary.id)
    assert detail.revisions[0].note == f"Commit {after.commit[:12]}: A change (Ada Lovelace)"
    assert await audited(rt, "source.add") == [(ann.userid, "team", "ok")]
    assert await audited(rt, "source.sync") == [(ann.userid, "team", "ok")]


async def test_a_source_is_read_over_ssh_once_its_key_was_confirmed(
    rt: Runtime, ann: Session, ssh: SshGit, repository: Repository
) -> None:
    assert repository.path.exists()
    wanted = SourceInput("team", ssh.url("recipes.git"), secrets=GitSecrets(private_key=ssh.private_key))
    with pytest.raises(InvalidInputError) as caught:
        await registry.add_git(rt, ann, wanted)
    assert list(caught.value.fields) == ["host_key"]
    offered = await registry.offered_host_key(rt, ann, wanted.location)
    assert (offered.key, offered.server) == (ssh.host_key, f"localhost:{ssh.port}")
    assert ssh.commands == []
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, host_key=f"{offered.key}\nmore"))
    async with rt.db.transaction() as tx:
        assert (await tx.sources.get(source_id)).host_key == offered.key
    assert (await passes.sync_source(rt, ann, source_id)).added == ("web",)
    shown = await view(rt, ann)
    assert (shown.opened_with, shown.host_key[:7]) == ("key", "SHA256:")


async def test_an_unchanged_remote_costs_the_listing_only(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit, repository: Repository
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    report = await passes.sync_source(rt, ann, source_id)
    fetched, first = https.fetches, await view(rt, ann)
    assert await passes.sync_source(rt, ann, source_id) == report
    second = await view(rt, ann)
    assert https.fetches == fetched
    assert (second.synced_at, second.report, second.error) == (first.synced_at, report, "")
    assert second.tried_at > first.tried_at  # type: ignore[operator] # both were read
    repository.commit(WEB | {"web/container-configs/packages/base.apt": "nginx\ncurl\n"})
    assert (await passes.sync_source(rt, ann, source_id)).changed == ("web",)
    assert https.fetches == fetched + 1


async def test_what_could_not_be_checked_is_read_again_from_git_too(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(WEB | {"web/container-configs/scripts/1.sh": f"# {uuid4()}\nunused=1\n"})
    source_id = await registry.add_git(rt, ann, wanted)
    with monkeypatch.context() as without_time:
        without_time.setattr(shellcheck, "LINT_TIMEOUT_S", 0.0)
        await passes.sync_source(rt, ann, source_id)
    told = []
    for _ in range(2):
        (summary,) = await catalog.list_templates(ann, rt.db)
        content = (await catalog.get_revision(ann, rt.db, summary.revision_id)).content
        told.append({f.code for f in content.warnings if f.file.endswith("1.sh")})
        assert (await view(rt, ann)).commit
        await passes.sync_source(rt, ann, source_id)
    assert told == [{shellcheck.UNCHECKED}, {"SC2034"}]


async def test_two_sources_may_hold_the_same_name(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository
) -> None:
    for name, location in (("team", wanted.location), ("copy", f"file://{repository.path}")):
        source_id = await registry.add_git(rt, ann, SourceInput(name, location))
        assert (await passes.sync_source(rt, ann, source_id)).added == ("web",)
    found = await catalog.list_templates(ann, rt.db)
    assert [(summary.name, summary.source_name) for summary in found] == [("web", "copy"), ("web", "team")]


async def test_two_passes_at_once_are_one(rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    before = https.fetches
    reports = await asyncio.gather(*(passes.sync_source(rt, ann, source_id) for _ in range(4)))
    assert {report.added for report in reports} == {("web",)}
    packs = [path for method, path in https.requests if method == "POST"]
    assert len(packs) - before == 1
    assert [summary.revision_number for summary in await catalog.list_templates(ann, rt.db)] == [1]


async def test_changing_what_is_read_reads_anew(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository
) -> None:
    repository.commit({"a/one/template.conf": "TEMPLATE_APP=1\n", "b/two/template.conf": "TEMPLATE_APP=2\n"})
    source_id = await registry.add_git(rt, ann, wanted)
    assert (await passes.sync_source(rt, ann, source_id)).added == ("one", "two")
    await registry.update(rt, ann, source_id, dataclasses.replace(wanted, subfolder="b"))
    assert (await passes.sync_source(rt, ann, source_id)).removed == ("one",)


async def test_the_schedule_reads_what_is_due_and_requests_whose_worker_died(
    rt: Runtime, ann: Session, wanted: SourceInput, repository: Repository, https: HttpsGit
) -> None:
    due = await registry.add_git(rt, ann, dataclasses.replace(wanted, every_s=60))
    by_hand = await registry.add_git(rt, ann, SourceInput("hand", wanted.location))
    await passes.sync_due(rt)
    assert [(await view(rt, ann, name)).templates for name in ("team", "hand")] == [1, 0]
    assert ("schedule", "team", "ok") in await audited(rt, "source.sync")
    asked = len(https.requests)
    await passes.sync_due(rt)
    assert len(https.requests) == asked
    await passes.add_request(rt.bus, by_hand)  # as a worker that died leaves it
    repository.path.rename(repository.path.with_name("away.git"))
    async with rt.db.transaction() as tx:
        (await tx.sources.get(due)).tried_at = now() - timedelta(seconds=61)
    await passes.sync_due(rt)
    errors = [(await view(rt, ann, name)).error for name in ("team", "hand")]
    assert all("does not exist on the server" in error for error in errors)
    assert not await passes.pending_requests(rt.bus, by_hand)


async def test_what_nobody_expected_of_one_source_hinders_no_other(
    rt: Runtime, ann: Session, wanted: SourceInput
) -> None:
    broken = await registry.add_git(rt, ann, dataclasses.replace(wanted, every_s=60))
    await registry.add_git(rt, ann, dataclasses.replace(wanted, name="whole", every_s=60))
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(broken)
        source.secret_enc = tx.sources._secret.seal_json({"of": "another version"}, broken)
    await passes.sync_due(rt)
    assert (await view(rt, ann, "whole")).templates == 1
    assert (await view(rt, ann)).error == passes.failure_of(ValueError()).user_message
    assert not await passes.pending_requests(rt.bus, broken), "it is tried again when its schedule says so"
