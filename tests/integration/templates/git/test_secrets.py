"""A source's secrets: stored encrypted, never shown, kept if no new ones are given, reported if unreadable."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from uuid import uuid4

import pytest

from lxc_dashboard.errors import ConflictError, InvalidInputError, TamperedError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.sources import passes, registry
from lxc_dashboard.services.templates.sources.registry import GitSecrets, SourceInput
from tests.git_servers import HttpsGit, Repository
from tests.integration.templates.sources import HOOK, asked_anew, go_on, view

TOKEN = "planted-token-4711"


async def test_a_token_needs_no_user(rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit) -> None:
    https.user, https.password = "git", TOKEN
    source_id = await registry.add_git(rt, ann, dataclasses.replace(wanted, secrets=GitSecrets(password=TOKEN)))
    assert (await passes.sync_source(rt, ann, source_id)).added == ("web",)


async def test_secrets_are_stored_sealed_and_told_to_nobody(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    https.password = TOKEN
    given = dataclasses.replace(wanted, secrets=GitSecrets("robot", TOKEN), webhook_secret=HOOK)
    assert TOKEN not in repr(given)
    assert HOOK not in repr(given)
    source_id = await registry.add_git(rt, ann, given)
    await passes.sync_source(rt, ann, source_id)
    async with rt.db.transaction() as tx:
        row = await tx.sources.get(source_id)
        entries = await tx.audit.list()
    stored = row.model_dump_json() + "".join(json.dumps(entry.detail) for entry in entries)
    shown = repr(await view(rt, ann))
    assert not any(secret in text for secret in (TOKEN, HOOK) for text in (stored, shown))
    assert (await view(rt, ann)).takes_webhooks
    # without new secrets the old ones are kept, for this address only
    await registry.update(rt, ann, source_id, dataclasses.replace(wanted, name="crew"))
    await passes.sync_source(rt, ann, source_id)
    for place in (wanted.location.replace("localhost", "127.0.0.1"), wanted.location.replace("recipes", "others")):
        with pytest.raises(InvalidInputError) as caught:
            await registry.update(rt, ann, source_id, dataclasses.replace(wanted, location=place))
        assert list(caught.value.fields) == ["password"]
    # and deleted on request
    https.password = ""
    await registry.update(rt, ann, source_id, dataclasses.replace(wanted, secrets=GitSecrets(), webhook_secret=""))
    async with rt.db.transaction() as tx:
        row = await tx.sources.get(source_id)
    assert (row.secret_enc, row.webhook_secret_enc) == (None, None)


async def test_who_gives_no_secrets_keeps_those_that_another_gives_meanwhile(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit, repository: Repository
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    slow = asyncio.create_task(registry.update(rt, ann, source_id, dataclasses.replace(wanted, every_s=300)))
    await asked_anew(https, asked)
    given, moved = GitSecrets("robot", TOKEN), wanted.location.replace("recipes", "others")
    async with rt.db.transaction() as tx:
        tx.sources.seal(await tx.sources.get(source_id), given)
    go_on(https)
    await slow
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
        assert (tx.sources.secrets(source), source.every_s) == (given, 300)
    # another user has changed the address: the secrets are not sent to it
    https.hold, asked = threading.Event(), len(https.requests)
    slow = asyncio.create_task(registry.update(rt, ann, source_id, wanted))
    await asked_anew(https, asked)
    async with rt.db.transaction() as tx:
        (await tx.sources.get(source_id)).location = moved
    go_on(https)
    with pytest.raises(ConflictError, match="another address"):
        await slow


async def test_secrets_that_cannot_be_read_are_told_with_what_to_do_and_wait_for_the_schedule(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    async with rt.db.transaction() as tx:
        (await tx.sources.get(source_id)).secret_enc = tx.sources._secret.seal_json({}, uuid4())
    asked = len(https.requests)
    await passes.request_pass(rt, source_id)
    await passes.run_requested(rt, str(source_id))
    told = await view(rt, ann)
    assert told.error == passes.failure_of(TamperedError()).user_message
    assert told.tried_at
    assert not await passes.pending_requests(rt.bus, source_id)
    with pytest.raises(TamperedError):
        await passes.sync_source(rt, ann, source_id)
    assert not await passes.pending_requests(rt.bus, source_id)
    assert len(https.requests) == asked
    await registry.update(rt, ann, source_id, dataclasses.replace(wanted, secrets=GitSecrets()))
    assert (await passes.sync_source(rt, ann, source_id)).added == ("web",)
    assert (await view(rt, ann)).error == ""
