"""Events during a source's pass: a push, a cancelled worker, a change of the source, a lease that expires."""

from __future__ import annotations

import asyncio
import threading
from uuid import uuid4

import pytest

from lxc_dashboard.errors import ConflictError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.sources import passes, registry
from lxc_dashboard.services.templates.sources.registry import SourceInput
from tests.git_servers import HttpsGit, Repository
from tests.integration.templates.sources import asked_anew, go_on, view


async def test_a_push_in_the_middle_of_a_pass_is_not_missed(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit, repository: Repository
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    first = asyncio.create_task(passes.sync_source(rt, ann, source_id))
    await asked_anew(https, asked)
    await passes.request_pass(rt, source_id)
    await passes.run_requested(rt, str(source_id))  # the worker finds that another pass reads the source, and returns
    go_on(https)
    await first
    async with rt.db.transaction() as tx:
        assert (await tx.sources.get(source_id)).fingerprints["commit"]
    assert len([path for method, path in https.requests[asked:] if method == "GET"]) == 2


async def test_a_push_whose_pass_was_cancelled_is_read_by_the_schedule(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    await passes.request_pass(rt, source_id)
    worker = asyncio.create_task(passes.run_requested(rt, str(source_id)))
    await asked_anew(https, asked)
    worker.cancel()  # as SIGTERM does
    with pytest.raises(asyncio.CancelledError):
        await worker
    go_on(https)
    assert await passes.pending_requests(rt.bus, source_id)
    await passes.sync_due(rt)
    assert (await view(rt, ann)).report.added == ("web",)
    assert not await passes.pending_requests(rt.bus, source_id)


async def test_the_lease_of_a_long_pass_is_renewed(rt: Runtime) -> None:
    source_id, key = uuid4(), passes.hold_schedule
    async with passes.hold_source(rt.bus, source_id, lease_s=9) as mine:
        assert mine
        await rt.bus.acquire_lease(key(source_id), await rt.bus.lease_holder(key(source_id)), 3_600)
        async with asyncio.timeout(60), passes.hold_source(rt.bus, source_id) as other:
            assert not other
            while await rt.bus._client.pttl(key(source_id)) > 9_000:
                await asyncio.sleep(0.02)
    assert await rt.bus.lease_holder(key(source_id)) == ""


async def test_a_pass_over_what_is_no_longer_meant_stores_nothing(
    rt: Runtime, ann: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    https.hold, asked = threading.Event(), len(https.requests)
    reading = asyncio.create_task(passes.sync_source(rt, ann, source_id))
    await asked_anew(https, asked)
    async with rt.db.transaction() as tx:
        (await tx.sources.get(source_id)).ref = "other"
    go_on(https)
    with pytest.raises(ConflictError):
        await reading
    assert ((await view(rt, ann)).templates, (await view(rt, ann)).ref) == (0, "other")
    assert await passes.pending_requests(rt.bus, source_id), "what is meant now is still to be read"
