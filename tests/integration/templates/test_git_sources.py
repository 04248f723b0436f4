"""Git sources through the services: real servers, a real database and Valkey, users whom a sandbox has let in."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncssh
import pytest

from lxc_dashboard.app import _read_templates
from lxc_dashboard.db.models import Container, Lifecycle, SourceKind, now
from lxc_dashboard.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PrivilegeError,
    RateLimitedError,
    SourceError,
    SourceGoneError,
    TamperedError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import service, shellcheck, sources, sync, syncing, unread, webhooks, wishes
from lxc_dashboard.services.templates.folder import Refusal
from lxc_dashboard.services.templates.report import DiscoveryReport
from lxc_dashboard.services.templates.sources import GitSecrets, SourceView, WantedSource
from lxc_dashboard.settings import Settings
from tests.git_servers import WEB, HttpsGit, Repository, SshGit, https_git, ssh_git

TOKEN = "planted-token-4711"
HOOK = "planted-hook-secret-4711"
REMOVED = "team (removed)"
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repositories"
    root.mkdir()
    return root


@pytest.fixture
def repository(root: Path) -> Repository:
    repository = Repository(root / "recipes.git")
    repository.commit(WEB)
    return repository


@pytest.fixture
def https(root: Path, tmp_path: Path) -> Iterator[HttpsGit]:
    with https_git(root, tmp_path / "tls") as git:
        yield git


@pytest.fixture
async def ssh(root: Path) -> AsyncIterator[SshGit]:
    async with ssh_git(root) as git:
        yield git


@pytest.fixture
def settings(settings_with: Callable[..., Settings], https: HttpsGit, root: Path) -> Settings:
    return settings_with(TEMPLATE_GIT_ALLOW_LOCAL="true", SSL_CERT_FILE=https.ca_file, TEMPLATE_GIT_FILE_ROOT=str(root))


@pytest.fixture
def wanted(https: HttpsGit, repository: Repository) -> WantedSource:
    assert repository.path.exists()
    return WantedSource("team", https.url("recipes.git"))


async def view(rt: Runtime, session: Session, name: str = "team") -> SourceView:
    return next(found for found in await sources.list_sources(rt, session) if found.name == name)


async def audited(rt: Runtime, action: str) -> list[tuple[str, str, str]]:
    async with rt.db.transaction() as tx:
        return [(entry.userid, entry.subject, entry.result) for entry in await tx.audit.list(action=action)]


async def missing(rt: Runtime, session: Session) -> dict[str, bool]:
    return {summary.name: summary.missing_since is not None for summary in await service.list_templates(session, rt.db)}


async def asked_anew(https: HttpsGit, asked: int) -> None:
    """Until a request beyond these has come, which is held."""
    async with asyncio.timeout(60):
        while len(https.requests) == asked:
            await asyncio.sleep(0.01)


def go_on(https: HttpsGit) -> None:
    assert https.hold
    https.hold.set()
    https.hold = None


async def test_a_source_is_added_read_and_told_of(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    before = await view(rt, ann)
    assert (before.id, before.kind, before.tried_at, before.templates) == (source_id, SourceKind.GIT, None, 0)
    repository.commit(WEB | {"bad/template.conf": "TEMPLATE_APP=bad\nTEMPLATE_CPU=$(nproc)\n"})
    report = await sources.sync(rt, ann, source_id)
    assert (report.added, report.changed, report.removed) == (("web",), (), ())
    assert [(refusal.file, refusal.line, refusal.name) for refusal in report.refused] == [
        ("bad/template.conf", 2, "bad")
    ]
    after = await view(rt, ann)
    assert (after.report, after.templates, after.error, after.created_by) == (report, 1, "", ann.userid)
    (summary,) = await service.list_templates(ann, rt.db)
    detail = await service.get_template(ann, rt.db, summary.id)
    assert detail.revisions[0].note == f"Commit {after.commit[:12]}: A change (Ada Lovelace)"
    assert await audited(rt, "source.add") == [(ann.userid, "team", "ok")]
    assert await audited(rt, "source.sync") == [(ann.userid, "team", "ok")]


async def test_a_source_is_read_over_ssh_once_its_key_was_confirmed(
    rt: Runtime, ann: Session, ssh: SshGit, repository: Repository
) -> None:
    assert repository.path.exists()
    wanted = WantedSource("team", ssh.url("recipes.git"), secrets=GitSecrets(private_key=ssh.private_key))
    with pytest.raises(InvalidInputError) as caught:
        await sources.add_git(rt, ann, wanted)
    assert list(caught.value.fields) == ["host_key"]
    offered = await sources.offered_host_key(rt, ann, wanted.location)
    assert (offered.key, offered.server) == (ssh.host_key, f"localhost:{ssh.port}")
    assert ssh.commands == []
    source_id = await sources.add_git(rt, ann, dataclasses.replace(wanted, host_key=f"{offered.key}\nmore"))
    async with rt.db.transaction() as tx:
        assert (await tx.sources.get(source_id)).host_key == offered.key
    assert (await sources.sync(rt, ann, source_id)).added == ("web",)
    shown = await view(rt, ann)
    assert (shown.opened_with, shown.host_key[:7]) == ("key", "SHA256:")


async def test_an_unchanged_remote_costs_the_listing_only(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit, repository: Repository
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    report = await sources.sync(rt, ann, source_id)
    fetched, first = https.fetches, await view(rt, ann)
    assert await sources.sync(rt, ann, source_id) == report
    second = await view(rt, ann)
    assert https.fetches == fetched
    assert (second.synced_at, second.report, second.error) == (first.synced_at, report, "")
    assert second.tried_at > first.tried_at  # type: ignore[operator] # both were read
    repository.commit(WEB | {"web/container-configs/packages/base.apt": "nginx\ncurl\n"})
    assert (await sources.sync(rt, ann, source_id)).changed == ("web",)
    assert https.fetches == fetched + 1


async def test_what_could_not_be_checked_is_read_again_from_git_too(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(WEB | {"web/container-configs/scripts/1.sh": f"# {uuid4()}\nunused=1\n"})
    source_id = await sources.add_git(rt, ann, wanted)
    with monkeypatch.context() as without_time:
        without_time.setattr(shellcheck, "LINT_TIMEOUT_S", 0.0)
        await sources.sync(rt, ann, source_id)
    told = []
    for _ in range(2):
        (summary,) = await service.list_templates(ann, rt.db)
        content = (await service.get_revision(ann, rt.db, summary.revision_id)).content
        told.append({f.code for f in content.warnings if f.file.endswith("1.sh")})
        assert (await view(rt, ann)).commit
        await sources.sync(rt, ann, source_id)
    assert told == [{shellcheck.UNCHECKED}, {"SC2034"}]


@pytest.mark.parametrize("what", ["repository", "branch", "folder"])
async def test_what_vanishes_keeps_its_templates_marked_and_comes_back(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository, what: str
) -> None:
    files = {f"recipes/{name}": data for name, data in WEB.items()}
    repository.commit(files, branch="live")
    source_id = await sources.add_git(rt, ann, dataclasses.replace(wanted, ref="live", subfolder="recipes"))
    await sources.sync(rt, ann, source_id)
    away = repository.path.with_name("away.git")
    if what == "repository":
        repository.path.rename(away)
    elif what == "branch":
        repository.delete("live")
    else:
        repository.commit({"rest": "x"}, branch="live")
    with pytest.raises(SourceGoneError):
        await sources.sync(rt, ann, source_id)
    gone = await view(rt, ann)
    expected = {"repository": "no such repository", "branch": "no branch or tag live", "folder": "no folder recipes"}
    assert expected[what] in gone.error
    assert (gone.templates, gone.missing, gone.report.removed) == (1, 1, ("web",))
    assert await missing(rt, ann) == {"web": True}
    if what == "repository":
        away.rename(repository.path)
    else:
        repository.commit(files, branch="live")
    assert (await sources.sync(rt, ann, source_id)).added == ("web",)
    back = await view(rt, ann)
    assert (back.error, back.missing) == ("", 0)
    (summary,) = await service.list_templates(ann, rt.db)
    assert (summary.missing_since, summary.revision_number) == (None, 1)


async def test_a_server_that_is_away_marks_nothing(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    await sources.sync(rt, ann, source_id)
    https.password = "changed"
    with pytest.raises(SourceError):
        await sources.sync(rt, ann, source_id)
    assert "credentials" in (await view(rt, ann)).error
    assert await missing(rt, ann) == {"web": False}
    assert {result for _, _, result in await audited(rt, "source.sync")} == {"ok", "failed"}
    https.password = ""
    await sources.sync(rt, ann, source_id)
    assert (await view(rt, ann)).error == ""


async def test_a_folder_that_vanishes_keeps_its_templates_marked(rt: Runtime, ann: Session, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "db").mkdir(parents=True)
    (folder / "db/template.conf").write_text("TEMPLATE_APP=db\n", encoding="utf-8")
    await sync.sync_folders(rt.db, [("own", folder)])
    folder.rename(tmp_path / "away")
    (report,) = await sync.sync_folders(rt.db, [("own", folder)])
    assert (report.removed, report.refused) == (
        ("db",),
        (Refusal(str(folder), 0, "is not there: no templates are read from it"),),
    )
    gone = await view(rt, ann, "own")
    assert ("is not there" in gone.error, gone.missing) == (True, 1)
    (tmp_path / "away").rename(folder)
    assert await sync.sync_folders(rt.db, [("own", folder)]) == (DiscoveryReport("own", added=("db",)),)
    assert (await view(rt, ann, "own")).error == ""


async def test_two_sources_may_hold_the_same_name(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository
) -> None:
    for name, location in (("team", wanted.location), ("copy", f"file://{repository.path}")):
        source_id = await sources.add_git(rt, ann, WantedSource(name, location))
        assert (await sources.sync(rt, ann, source_id)).added == ("web",)
    found = await service.list_templates(ann, rt.db)
    assert [(summary.name, summary.source_name) for summary in found] == [("web", "copy"), ("web", "team")]


async def test_two_passes_at_once_are_one(rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    before = https.fetches
    reports = await asyncio.gather(*(sources.sync(rt, ann, source_id) for _ in range(4)))
    assert {report.added for report in reports} == {("web",)}
    packs = [path for method, path in https.requests if method == "POST"]
    assert len(packs) - before == 1
    assert [summary.revision_number for summary in await service.list_templates(ann, rt.db)] == [1]


async def test_a_push_in_the_middle_of_a_pass_is_not_missed(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit, repository: Repository
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    first = asyncio.create_task(sources.sync(rt, ann, source_id))
    await asked_anew(https, asked)
    await syncing.wish(rt, source_id)
    await syncing.grant(rt, str(source_id))  # the worker finds the source being read, and leaves
    go_on(https)
    await first
    async with rt.db.transaction() as tx:
        assert (await tx.sources.get(source_id)).fingerprints["commit"]
    assert len([path for method, path in https.requests[asked:] if method == "GET"]) == 2


async def test_a_push_whose_pass_was_cancelled_is_read_by_the_schedule(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    await syncing.wish(rt, source_id)
    worker = asyncio.create_task(syncing.grant(rt, str(source_id)))
    await asked_anew(https, asked)
    worker.cancel()  # as SIGTERM does
    with pytest.raises(asyncio.CancelledError):
        await worker
    go_on(https)
    assert await wishes.pending(rt.bus, source_id)
    await syncing.sync_due(rt)
    assert (await view(rt, ann)).report.added == ("web",)
    assert not await wishes.pending(rt.bus, source_id)


async def test_the_lease_of_a_long_pass_is_renewed(rt: Runtime) -> None:
    source_id, key = uuid4(), wishes.lease
    async with wishes.reading(rt.bus, source_id, lease_s=9) as mine:
        assert mine
        await rt.bus.acquire_lease(key(source_id), await rt.bus.lease_holder(key(source_id)), 3_600)
        async with asyncio.timeout(60), wishes.reading(rt.bus, source_id) as other:
            assert not other
            while await rt.bus._client.pttl(key(source_id)) > 9_000:
                await asyncio.sleep(0.02)
    assert await rt.bus.lease_holder(key(source_id)) == ""


async def test_a_pass_over_what_is_no_longer_meant_stores_nothing(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    reading = asyncio.create_task(sources.sync(rt, ann, source_id))
    await asked_anew(https, asked)
    async with rt.db.transaction() as tx:
        (await tx.sources.get(source_id)).ref = "other"
    go_on(https)
    with pytest.raises(ConflictError):
        await reading
    assert ((await view(rt, ann)).templates, (await view(rt, ann)).ref) == (0, "other")
    assert await wishes.pending(rt.bus, source_id), "what is meant now is still to be read"


async def test_a_token_needs_no_user(rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit) -> None:
    https.user, https.password = "git", TOKEN
    source_id = await sources.add_git(rt, ann, dataclasses.replace(wanted, secrets=GitSecrets(password=TOKEN)))
    assert (await sources.sync(rt, ann, source_id)).added == ("web",)


async def test_secrets_are_stored_sealed_and_told_to_nobody(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    https.password = TOKEN
    given = dataclasses.replace(wanted, secrets=GitSecrets("robot", TOKEN), webhook_secret=HOOK)
    assert TOKEN not in repr(given)
    assert HOOK not in repr(given)
    source_id = await sources.add_git(rt, ann, given)
    await sources.sync(rt, ann, source_id)
    async with rt.db.transaction() as tx:
        row = await tx.sources.get(source_id)
        entries = await tx.audit.list()
    stored = row.model_dump_json() + "".join(json.dumps(entry.detail) for entry in entries)
    shown = repr(await view(rt, ann))
    assert not any(secret in text for secret in (TOKEN, HOOK) for text in (stored, shown))
    assert (await view(rt, ann)).takes_webhooks
    # kept where nothing else is given, for this address only
    await sources.update(rt, ann, source_id, dataclasses.replace(wanted, name="crew"))
    await sources.sync(rt, ann, source_id)
    for place in (wanted.location.replace("localhost", "127.0.0.1"), wanted.location.replace("recipes", "others")):
        with pytest.raises(InvalidInputError) as caught:
            await sources.update(rt, ann, source_id, dataclasses.replace(wanted, location=place))
        assert list(caught.value.fields) == ["password"]
    # and forgotten where that is asked for
    https.password = ""
    await sources.update(rt, ann, source_id, dataclasses.replace(wanted, secrets=GitSecrets(), webhook_secret=""))
    async with rt.db.transaction() as tx:
        row = await tx.sources.get(source_id)
    assert (row.secret_enc, row.webhook_secret_enc) == (None, None)


async def test_who_gives_no_secrets_keeps_those_that_another_gives_meanwhile(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit, repository: Repository
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    slow = asyncio.create_task(sources.update(rt, ann, source_id, dataclasses.replace(wanted, every_s=300)))
    await asked_anew(https, asked)
    given, moved = GitSecrets("robot", TOKEN), wanted.location.replace("recipes", "others")
    async with rt.db.transaction() as tx:
        tx.sources.seal(await tx.sources.get(source_id), given)
    go_on(https)
    await slow
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
        assert (tx.sources.secrets(source), source.every_s) == (given, 300)
    # of another address by then, they are not sent to this one
    https.hold, asked = threading.Event(), len(https.requests)
    slow = asyncio.create_task(sources.update(rt, ann, source_id, wanted))
    await asked_anew(https, asked)
    async with rt.db.transaction() as tx:
        (await tx.sources.get(source_id)).location = moved
    go_on(https)
    with pytest.raises(ConflictError, match="another address"):
        await slow


async def test_changing_what_is_read_reads_anew(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository
) -> None:
    repository.commit({"a/one/template.conf": "TEMPLATE_APP=1\n", "b/two/template.conf": "TEMPLATE_APP=2\n"})
    source_id = await sources.add_git(rt, ann, wanted)
    assert (await sources.sync(rt, ann, source_id)).added == ("one", "two")
    await sources.update(rt, ann, source_id, dataclasses.replace(wanted, subfolder="b"))
    assert (await sources.sync(rt, ann, source_id)).removed == ("one",)


async def test_who_may_not_author_changes_nothing(
    rt: Runtime, ann: Session, viewer: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    asked = len(https.requests)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: sources.add_git(rt, viewer, dataclasses.replace(wanted, name="mine")),
        lambda: sources.update(rt, viewer, source_id, dataclasses.replace(wanted, ref="other")),
        lambda: sources.sync(rt, viewer, source_id),
        lambda: sources.remove(rt, viewer, source_id, name="team"),
        lambda: sources.offered_host_key(rt, viewer, "ssh://git@localhost/r"),
    ]
    for attempt in attempts:
        with pytest.raises(PrivilegeError):
            await attempt()
    assert len(https.requests) == asked
    assert [found.name for found in await sources.list_sources(rt, viewer)] == ["team"]
    refused = [
        entry for action in ("add", "change", "sync", "remove") for entry in await audited(rt, f"source.{action}")
    ]
    assert [result for userid, _, result in refused if userid == viewer.userid] == ["refused"] * 4


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "custom"}, "name"),
        ({"location": "http://localhost/r"}, "location"),
        ({"location": "https://localhost/nothing.git"}, "location"),
        ({"ref": "a..b"}, "ref"),
        ({"subfolder": "../x"}, "subfolder"),
        ({"every_s": 5}, "every_s"),
        ({"webhook_secret": "short"}, "webhook_secret"),
        ({"secrets": GitSecrets("me:you", "x")}, "username"),
        ({"secrets": GitSecrets("me", "")}, "password"),
        ({"location": "ssh://localhost/r", "host_key": "x"}, "private_key"),
        ({"location": "ssh://localhost/r", "host_key": "x", "secrets": GitSecrets(private_key="x")}, "private_key"),
        ({"location": "ssh://localhost/r", "host_key": "x", "secrets": GitSecrets(private_key=OTHER_KEY)}, "host_key"),
        (
            {"location": "ssh://localhost/r", "secrets": GitSecrets(private_key=OTHER_KEY + "\n" * 32_768)},
            "private_key",
        ),
        (
            {
                "location": "ssh://localhost/r",
                "host_key": f"ssh-ed25519 AAAA {'x' * 4_096}",
                "secrets": GitSecrets(private_key=OTHER_KEY),
            },
            "host_key",
        ),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(
    rt: Runtime, ann: Session, wanted: WantedSource, change: dict[str, object], field: str
) -> None:
    location = str(change.get("location", "")).replace("https://localhost/", wanted.location.rpartition("/")[0] + "/")
    given = {**change, **({"location": location} if location else {})}
    with pytest.raises(InvalidInputError) as caught:
        await sources.add_git(rt, ann, dataclasses.replace(wanted, **given))  # type: ignore[arg-type] # any field
    assert field in caught.value.fields
    assert await sources.list_sources(rt, ann) == []


async def test_a_name_is_taken_once_and_nobody_searches_for_servers(
    rt: Runtime, ann: Session, wanted: WantedSource, ssh: SshGit
) -> None:
    await sources.add_git(rt, ann, wanted)
    with pytest.raises(ConflictError):
        await sources.add_git(rt, ann, wanted)
    for _ in range(sources.LOOKS - 2):
        await sources.offered_host_key(rt, ann, ssh.url("recipes.git"))
    with pytest.raises(RateLimitedError):
        await sources.offered_host_key(rt, ann, ssh.url("recipes.git"))


async def built_from_web(rt: Runtime, session: Session, vmid: int = 100) -> Container:
    """A container of the template ``team/web``."""
    found = await service.list_templates(session, rt.db)
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
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit, *, repository: Repository, answer: str
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    await sources.sync(rt, ann, source_id)
    await built_from_web(rt, ann)
    if answer == "new":
        repository.commit(WEB | {"db/template.conf": "TEMPLATE_APP=db\n"})
    https.hold, asked = threading.Event(), len(https.requests)
    reading = asyncio.create_task(sources.sync(rt, ann, source_id))
    await asked_anew(https, asked)
    await sources.remove(rt, ann, source_id, name="team")
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
    assert not await wishes.pending(rt.bus, source_id)


async def test_a_removed_source_is_not_read_and_not_changed(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    source_id = await sources.add_git(rt, ann, dataclasses.replace(wanted, webhook_secret=HOOK))
    await sources.sync(rt, ann, source_id)
    await built_from_web(rt, ann)
    await sources.remove(rt, ann, source_id, name="team")
    asked = len(https.requests)
    with pytest.raises(ConflictError, match="was removed"):
        await sources.sync(rt, ann, source_id)
    with pytest.raises(ConflictError, match="was removed"):
        await sources.update(rt, ann, source_id, wanted)
    assert not await webhooks.accept(rt, source_id, {webhooks.GITLAB_TOKEN: HOOK}, b"", "192.0.2.1")
    await syncing.wish(rt, source_id)
    await syncing.grant(rt, str(source_id))
    await syncing.sync_due(rt)
    assert len(https.requests) == asked
    assert ((await view(rt, ann, REMOVED)).missing, await wishes.pending(rt.bus, source_id)) == (1, "")


async def test_what_is_removed_is_gone_but_for_what_containers_were_built_from(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository
) -> None:
    repository.commit(WEB | {"db/template.conf": "TEMPLATE_APP=db\n"})
    source_id = await sources.add_git(rt, ann, dataclasses.replace(wanted, webhook_secret=HOOK, every_s=300))
    await sources.sync(rt, ann, source_id)
    container = await built_from_web(rt, ann)
    with pytest.raises(InvalidInputError):
        await sources.remove(rt, ann, source_id, name="another")
    removal = await sources.remove(rt, ann, source_id, name="team")
    assert (removal.deleted, removal.kept) == (("db",), ("web",))
    stays = await view(rt, ann, REMOVED)
    assert (stays.every_s, stays.takes_webhooks, stays.missing) == (0, False, 1)
    assert f"Removed by {ann.userid}" in stays.error
    async with rt.db.transaction() as tx:
        await tx.session.delete(await tx.session.get(Container, container.id))
    assert await sources.remove(rt, ann, source_id, name=REMOVED) == sources.Removal(("web",), ())
    assert await sources.list_sources(rt, ann) == []
    with pytest.raises(NotFoundError):
        await sources.remove(rt, ann, source_id, name="team")


async def test_the_name_of_a_removed_source_is_free_and_what_it_kept_stays_readable(
    rt: Runtime, ann: Session, wanted: WantedSource
) -> None:
    removed, kept = [], []
    for _ in range(2):
        removed.append(await sources.add_git(rt, ann, wanted))
        await sources.sync(rt, ann, removed[-1])
        summary = next(s for s in await service.list_templates(ann, rt.db) if s.source_name == "team")
        kept.append(summary)
        await built_from_web(rt, ann, vmid=100 + len(kept))
        await sources.remove(rt, ann, removed[-1], name="team")
    again = await sources.add_git(rt, ann, wanted)
    await sources.sync(rt, ann, again)

    names = {source.id: source.name for source in await sources.list_sources(rt, ann)}
    assert [names[source_id] for source_id in (*removed, again)] == [REMOVED, "team (removed 2)", "team"]
    for summary in kept:
        detail = await service.get_template(ann, rt.db, summary.id)
        assert detail.summary.missing_since is not None
        assert (await service.get_revision(ann, rt.db, summary.revision_id)).content.name == "web"
    assert [entry[1:] for entry in await audited(rt, "source.remove")] == [("team", "ok")] * 2


async def test_the_schedule_reads_what_is_due_and_wishes_whose_worker_died(
    rt: Runtime, ann: Session, wanted: WantedSource, repository: Repository, https: HttpsGit
) -> None:
    due = await sources.add_git(rt, ann, dataclasses.replace(wanted, every_s=60))
    by_hand = await sources.add_git(rt, ann, WantedSource("hand", wanted.location))
    await syncing.sync_due(rt)
    assert [(await view(rt, ann, name)).templates for name in ("team", "hand")] == [1, 0]
    assert ("schedule", "team", "ok") in await audited(rt, "source.sync")
    asked = len(https.requests)
    await syncing.sync_due(rt)
    assert len(https.requests) == asked
    await wishes.make(rt.bus, by_hand)  # of one that died
    repository.path.rename(repository.path.with_name("away.git"))
    async with rt.db.transaction() as tx:
        (await tx.sources.get(due)).tried_at = now() - timedelta(seconds=61)
    await syncing.sync_due(rt)
    errors = [(await view(rt, ann, name)).error for name in ("team", "hand")]
    assert all("no such repository" in error for error in errors)
    assert not await wishes.pending(rt.bus, by_hand)


async def test_what_nobody_expected_of_one_source_hinders_no_other(
    rt: Runtime, ann: Session, wanted: WantedSource
) -> None:
    broken = await sources.add_git(rt, ann, dataclasses.replace(wanted, every_s=60))
    await sources.add_git(rt, ann, dataclasses.replace(wanted, name="whole", every_s=60))
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(broken)
        source.secret_enc = tx.sources._secret.seal_json({"of": "another version"}, broken)
    await syncing.sync_due(rt)
    assert (await view(rt, ann, "whole")).templates == 1
    assert (await view(rt, ann)).error == unread.UNEXPECTED
    assert not await wishes.pending(rt.bus, broken), "it is tried again when its schedule says so"


async def test_secrets_that_cannot_be_read_are_told_with_what_to_do_and_wait_for_the_schedule(
    rt: Runtime, ann: Session, wanted: WantedSource, https: HttpsGit
) -> None:
    source_id = await sources.add_git(rt, ann, wanted)
    async with rt.db.transaction() as tx:
        (await tx.sources.get(source_id)).secret_enc = tx.sources._secret.seal_json({}, uuid4())
    asked = len(https.requests)
    await syncing.wish(rt, source_id)
    await syncing.grant(rt, str(source_id))
    told = await view(rt, ann)
    assert told.error == unread.SECRETS_UNREADABLE.format(why=TamperedError.default_message)
    assert told.tried_at
    assert not await wishes.pending(rt.bus, source_id)
    with pytest.raises(TamperedError):
        await sources.sync(rt, ann, source_id)
    assert not await wishes.pending(rt.bus, source_id)
    assert len(https.requests) == asked
    await sources.update(rt, ann, source_id, dataclasses.replace(wanted, secrets=GitSecrets()))
    assert (await sources.sync(rt, ann, source_id)).added == ("web",)
    assert (await view(rt, ann)).error == ""


async def test_what_is_read_at_the_start_is_audited_where_it_changed_anything(rt: Runtime) -> None:
    await _read_templates(rt)
    entries = await audited(rt, "source.sync")
    assert ("start", "shipped", "ok") in entries
    await _read_templates(rt)
    assert await audited(rt, "source.sync") == entries


async def test_a_source_of_the_dashboard_itself_is_not_read_and_not_removed(rt: Runtime, ann: Session) -> None:
    async with rt.db.transaction() as tx:
        custom = await tx.templates.source("custom", SourceKind.CUSTOM, "")
    with pytest.raises(ConflictError, match="Nothing is read"):
        await sources.sync(rt, ann, custom.id)
    with pytest.raises(ConflictError, match="not a git source"):
        await sources.remove(rt, ann, custom.id, name="custom")
    with pytest.raises(NotFoundError):
        await sources.sync(rt, ann, UUID(int=uuid4().int))


async def test_the_shipped_folder_is_read_by_the_button_too(rt: Runtime, ann: Session) -> None:
    await sync.sync_folders(rt.db, rt.settings.template_folders())
    shipped = await view(rt, ann, "shipped")
    report = await sources.sync(rt, ann, shipped.id)
    assert (report.added, report.changed) == ((), ())
    assert await audited(rt, "source.sync") == [(ann.userid, "shipped", "ok")]


async def test_an_ipv6_network_is_one_sender_whatever_address_it_takes(rt: Runtime) -> None:
    for number in range(webhooks.PER_ADDRESS):
        await webhooks.limit(rt, f"2001:db8:9::{number:x}")
    with pytest.raises(RateLimitedError):
        await webhooks.limit(rt, "2001:db8:9::ffff")
