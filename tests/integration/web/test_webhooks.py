"""Webhooks of git servers over HTTP: valid and invalid proofs of every kind, and no effect without one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest

from lxc_dashboard import routes
from lxc_dashboard.db.models import SourceKind, TemplateSource
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.sources import passes, webhooks
from lxc_dashboard.settings import Settings
from tests.e2e.stack import Stack

SECRET = "planted-hook-secret-9000"
BODY = b'{"ref": "refs/heads/main"}'
FOREIGN = "https://evil.example"


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


@pytest.fixture
async def source_id(rt: Runtime) -> UUID:
    """Store a git source that accepts webhooks, and reset the rate limit of this machine's address."""
    source = TemplateSource(
        name=f"hooked-{uuid4().hex[:8]}", kind=SourceKind.GIT.value, location="https://127.0.0.1:1/r"
    )
    async with rt.db.transaction() as tx:
        tx.sources.seal_webhook(source, SECRET)
        await tx.sources.add(source)
    await rt.bus.delete("webhook:address:127.0.0.1")
    return source.id


def digest(secret: str = SECRET, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


RIGHT = [
    {"X-Hub-Signature-256": f"sha256={digest()}"},
    {"X-Gitea-Signature": digest()},
    {"X-Forgejo-Signature": digest()},
    {"X-Gogs-Signature": digest()},
    {"X-Gitlab-Token": SECRET},
]
WRONG = [
    {},
    {"X-Hub-Signature-256": digest()},
    {"X-Hub-Signature-256": f"sha256={digest('another-secret-9000')}"},
    {"X-Hub-Signature-256": f"sha256={digest(body=b'{}')}"},
    {"X-Hub-Signature-256": "sha256="},
    {"X-Hub-Signature": f"sha1={hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()}"},
    {"X-Gitea-Signature": digest()[:-1]},
    {"X-Gitea-Signature": ""},
    {"X-Gitlab-Token": SECRET[:-1]},
    {"X-Gitlab-Token": digest()},
    {"X-Gitlab-Token": ""},
    {"Authorization": f"Bearer {SECRET}"},
]


async def told(stack: Stack, source_id: object, headers: dict[str, str], body: bytes = BODY) -> httpx.Response:
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        return await client.post(routes.webhook(str(source_id)), headers=headers, content=body)


async def is_wished(rt: Runtime, source_id: UUID) -> bool:
    return bool(await passes.pending_requests(rt.bus, source_id))


@pytest.mark.parametrize("headers", RIGHT, ids=lambda headers: next(iter(headers)))
async def test_a_proof_of_each_kind_leads_to_a_pass(
    rt: Runtime, stack: Stack, source_id: UUID, headers: dict[str, str]
) -> None:
    answer = await told(stack, source_id, headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert await is_wished(rt, source_id)
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
        (entry,) = await tx.audit.list(action="source.webhook", subject=source.name)
    assert (entry.userid, entry.address, entry.result) == ("webhook", "127.0.0.1", "ok")


@pytest.mark.parametrize("headers", WRONG)
async def test_without_a_proof_nothing_happens(
    rt: Runtime, stack: Stack, source_id: UUID, headers: dict[str, str]
) -> None:
    answer = await told(stack, source_id, headers)
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert not await is_wished(rt, source_id)


async def test_what_is_not_there_and_what_takes_none_are_told_alike(rt: Runtime, stack: Stack, source_id: UUID) -> None:
    without = TemplateSource(
        name=f"plain-{uuid4().hex[:8]}", kind=SourceKind.GIT.value, location="https://127.0.0.1:1/r"
    )
    async with rt.db.transaction() as tx:
        await tx.sources.add(without)
    empty = {"X-Hub-Signature-256": f"sha256={digest('')}", "X-Gitlab-Token": ""}
    answers = [
        await told(stack, source_id, {}),
        await told(stack, without.id, empty),
        await told(stack, uuid4(), RIGHT[0]),
        await told(stack, "no-uuid", RIGHT[0]),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}


async def test_too_long_a_body_is_refused_unread(rt: Runtime, stack: Stack, source_id: UUID) -> None:
    body = b"x" * ((1 << 20) + 1)
    answer = await told(stack, source_id, {"X-Gitea-Signature": digest(body=body)}, body)
    assert answer.status_code == 413
    assert not await is_wished(rt, source_id)


async def test_a_foreign_page_cannot_send_one(rt: Runtime, stack: Stack, source_id: UUID) -> None:
    assert (await told(stack, source_id, {**RIGHT[0], "Origin": FOREIGN})).status_code == 403
    assert not await is_wished(rt, source_id)


async def test_neither_guessing_nor_a_storm_of_pushes_goes_on(rt: Runtime, stack: Stack, source_id: UUID) -> None:
    statuses = [(await told(stack, source_id, RIGHT[0])).status_code for _ in range(webhooks.PER_SOURCE)]
    assert statuses == [202] * webhooks.PER_SOURCE
    await passes.complete_request(rt.bus, source_id, await passes.pending_requests(rt.bus, source_id))
    async with rt.db.transaction() as tx:
        audited = len(await tx.audit.list(action="source.webhook"))
    assert (await told(stack, source_id, RIGHT[0])).status_code == 202
    assert await is_wished(rt, source_id), "the last push of a storm is read by the schedule"
    async with rt.db.transaction() as tx:
        assert len(await tx.audit.list(action="source.webhook")) == audited
    guesses = [(await told(stack, source_id, {})).status_code for _ in range(webhooks.PER_ADDRESS)]
    assert (guesses[0], guesses[-1]) == (401, 429)
    await rt.bus.delete("webhook:address:127.0.0.1")


async def test_only_a_post_is_taken(stack: Stack, source_id: UUID) -> None:
    async with httpx.AsyncClient(base_url=stack.url) as client:
        assert (await client.get(routes.webhook(source_id), headers=RIGHT[0])).status_code == 401
