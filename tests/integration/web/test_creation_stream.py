"""A job's log as a stream: each line once, and nothing for users who may not see the job."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from lxc_dashboard import routes
from lxc_dashboard.db.models import JobState
from lxc_dashboard.proxmox.decoding import NOTHING
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions
from lxc_dashboard.settings import Settings
from tests.integration.web.conftest import Visitor
from tests.integration.web.told_jobs import ToldJob, again, begin, log, read, session_of, step, texts


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


@asynccontextmanager
async def stream(visitor: Visitor, job: ToldJob, after: int = 0) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The stream's events as ``{"event", "id", "data"}``."""
    headers = {"Cookie": visitor.header, "Accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(base_url=visitor.stack.url, timeout=60) as client,
        client.stream("GET", f"{job.base}/events?after={after}", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield parsed(response)


async def parsed(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if not line and "data" in fields:
            yield {"event": "message", **fields, "data": json.loads(fields["data"])}
        fields = {**fields, name: value} if line and name else {}


async def upcoming(following: AsyncIterator[dict[str, Any]], last: int) -> list[dict[str, Any]]:
    """Read messages up to the one with line ``last``."""
    found = []
    async with asyncio.timeout(60):
        async for event in following:
            found.append(event)
            if event["event"] != "message" or event["data"]["last"] >= last:
                break
    return found


async def test_the_stream_tells_what_was_and_what_comes_once_each(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(step("begins"), log("a\nb", 2))
    async with stream(signed_in, job, after=1) as following:
        before = await upcoming(following, 3)
        await job.tell(log("c"))
        after = await upcoming(following, 4)
        await job.tell(step("next", percent=80))
        changed = await upcoming(following, 5)
    told = [line["seq"] for event in (*before, *after, *changed) for line in event["data"]["lines"]]
    assert told == [2, 3, 4, 5]
    telling = [event["data"] for event in (*after, *changed) if event["data"]["lines"]]
    assert [data["changed"] for data in telling] == [False, True]
    assert changed[-1]["id"] == "5"
    assert changed[-1]["data"]["spans"] == [["syncing", 5, 5]]


async def test_of_a_flood_the_newest_lines_are_told_and_where_it_stands(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    async with stream(signed_in, job) as following:
        await job.tell(*(log("\n".join(["x"] * 500), 500) for _ in range(20)))
        told = await upcoming(following, 10_000)
    assert all(len(event["data"]["lines"]) <= 200 for event in told)
    assert told[-1]["data"]["lines"][-1]["seq"] == 10_000


async def test_the_stream_ends_with_a_job_that_is_ready(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    async with stream(signed_in, job) as following:
        await job.finish(JobState.DONE, address="10.0.0.5")
        async with asyncio.timeout(60):
            told = [event async for event in following]
    assert told[-1]["event"] == "end"
    lines = [line for event in told[:-1] for line in event["data"]["lines"]]
    assert [line["type"] for line in lines] == ["complete"]


async def test_who_looks_at_a_failed_job_sees_it_go_on_when_it_is_retried(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    async with stream(signed_in, job) as following:
        await job.finish(JobState.FAILED)
        await upcoming(following, 1)
        await again(job, signed_in)
        await job.tell(log("again"))
        told = await upcoming(following, 2)
    assert told[-1]["data"]["lines"][0]["text"] == "again"


async def test_a_retry_that_ended_between_two_looks_is_told_whole(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.finish(JobState.FAILED)
    async with stream(signed_in, job) as following:
        await upcoming(following, 1)
        await again(job, signed_in)
        await job.tell(log("quick"))
        await job.finish(JobState.FAILED)
        first = await upcoming(following, 3)
        await again(job, signed_in)
        await job.finish(JobState.DONE)
        async with asyncio.timeout(60):
            rest = [event async for event in following]
    told = [line["text"] for event in (*first, *rest[:-1]) for line in event["data"]["lines"]]
    assert told == ["quick", "the end", "the end"]
    assert rest[-1]["event"] == "end"


async def test_a_job_that_stands_otherwise_without_a_word_is_told_of(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    async with stream(signed_in, job) as following:
        await job.tell(log("a"))
        if all(event["data"]["lines"] for event in await upcoming(following, 1)):
            assert (await anext(following))["data"]["lines"] == []  # the first read of the job's state
        async with job.rt.db.transaction() as tx:
            await tx.jobs.request_cancel(job.row.id, "root@pam")
        async with asyncio.timeout(60):
            event = await anext(following)
    assert event["data"] == {"lines": [], "last": 0, "spans": [], "changed": True}


async def test_a_session_that_ends_ends_its_streams(rt: Runtime, signed_in: Visitor, visitor: Visitor) -> None:
    job = await begin(rt, signed_in)
    await visitor.sign_in("viewer@pve")
    async with stream(visitor, job) as following:
        await visitor.post(routes.SIGN_OUT)
        # Constant output must not delay the end of the stream.
        talking = asyncio.create_task(keep_talking(job))
        try:
            async with asyncio.timeout(60):
                kinds = [event["event"] async for event in following]
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
    assert kinds[-1] == "signed-out"


async def test_an_open_jobs_page_is_no_use_of_the_session_and_going_to_it_is(
    rt: Runtime, signed_in: Visitor, settings: Settings
) -> None:
    job, key = await begin(rt, signed_in), f"auth:session:{sessions.key_of(signed_in.cookie)}"
    async with Redis.from_url(settings.REDIS_URL.get_secret_value()) as redis:
        await redis.expire(key, 100)
        async with stream(signed_in, job) as following:
            await job.tell(log("a", 1))
            await upcoming(following, 1)
        assert (await signed_in.get(f"{job.base}/log?tail=10")).status_code == 200
        assert await redis.ttl(key) <= 100
        assert (await signed_in.get(routes.JOBS)).status_code == 200
        assert await redis.ttl(key) > 100


async def keep_talking(job: ToldJob) -> None:
    for number in itertools.count():
        await job.tell(log(f"line {number}"))
        await asyncio.sleep(0.2)


PATHS = ("log", "log?tail=5", "log/search?q=a", "log/phases", "log.txt", "events")


@pytest.mark.parametrize("path", PATHS)
async def test_who_is_not_signed_in_reads_nothing(rt: Runtime, signed_in: Visitor, visitor: Visitor, path: str) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("between us"))
    response = await visitor.get(f"{job.base}/{path}", headers={"Accept": "application/json"})
    assert response.status_code == 401
    assert "between us" not in response.text


@pytest.mark.parametrize("path", PATHS)
async def test_a_job_that_is_not_there_is_not_found(signed_in: Visitor, path: str) -> None:
    for name in ("00000000-0000-0000-0000-000000000000", "nonsense"):
        response = await signed_in.get(f"{routes.CREATIONS}/{name}/{path}", headers={"Accept": "application/json"})
        assert response.status_code == 404


async def test_another_user_reads_it_where_pve_lets_him_see_the_container(
    rt: Runtime, signed_in: Visitor, visitor: Visitor
) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("seen"))
    await visitor.sign_in("viewer@pve")
    assert texts(await read(visitor, f"{job.base}/log")) == ["seen"]


async def test_another_user_without_rights_is_told_that_there_is_no_such_job(
    rt: Runtime, signed_in: Visitor, visitor: Visitor
) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("unseen"))
    client = await acting.client(rt, await session_of(rt, signed_in))
    async with job.rt.db.transaction() as tx:
        vmid = (await tx.containers.get(job.row.own_container_id)).vmid
    # NoAccess at the guest's own path overrides rights granted above it.
    denied: dict[str, str | int] = {"path": f"/vms/{vmid}", "users": "viewer@pve", "roles": "NoAccess", "propagate": 0}
    await client.put("/access/acl", NOTHING, denied)
    await visitor.sign_in("viewer@pve")
    for path in PATHS:
        response = await visitor.get(f"{job.base}/{path}", headers={"Accept": "application/json"})
        assert response.status_code == 404, path
        assert "unseen" not in response.text
