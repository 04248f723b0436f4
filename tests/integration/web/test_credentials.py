"""A job's credentials: shown one at a time, only to users who may enter the container, and always audited."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.settings import Settings
from tests.integration.web.conftest import Visitor
from tests.integration.web.told_jobs import ToldJob, begin, session_of

SECRET = "hunter2-of-the-guest"


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


async def ready_job(rt: Runtime, signed_in: Visitor, vmid: int, *, says_so: bool = True) -> ToldJob:
    """A finished job whose container is one of the sandbox's. ``says_so``: its notes hold the marker."""
    job = await begin(rt, signed_in, vmid)
    client = await acting.client(rt, await session_of(rt, signed_in))
    guest = next(guest for guest in await client.cluster.resources("vm") if guest.vmid == vmid)
    async with job.rt.db.transaction() as tx:
        await tx.containers.set_node(job.row.own_container_id, guest.node)
        await tx.containers.set_credentials(
            job.row.own_container_id, {"nginx": {"password": SECRET}, "db": {"key": "k"}}
        )
    description = notes.while_creating("", job.row.id) if says_so else "somebody's notes"
    await client.lxc.set_config(guest.node, vmid, {"description": description})
    await job.finish(JobState.DONE, credentials=["db", "nginx"])
    return job


async def audited(job: ToldJob, userid: str) -> list[tuple[str, str]]:
    async with job.rt.db.transaction() as tx:
        entries = await tx.audit.list(limit=50)
    return [
        (entry.result, entry.detail["name"])
        for entry in entries
        if entry.action == "credential.reveal"
        and entry.detail["creation"] == str(job.row.id)
        and entry.userid == userid
    ]


async def test_one_credential_at_a_time_is_revealed_and_each_is_audited(rt: Runtime, signed_in: Visitor) -> None:
    job = await ready_job(rt, signed_in, 101)
    response = await signed_in.post(f"{job.base}/credentials", data={"name": "nginx"})
    assert response.json() == {"values": {"password": SECRET}}
    assert "no-store" in response.headers["cache-control"]
    assert await audited(job, "root@pam") == [("ok", "nginx")]
    unknown = await signed_in.post(f"{job.base}/credentials", data={"name": "other"})
    assert unknown.status_code == 404
    assert (await signed_in.post(f"{job.base}/credentials", data={})).status_code == 422


async def test_a_credential_is_for_those_who_may_enter_the_container(
    rt: Runtime, signed_in: Visitor, visitor: Visitor
) -> None:
    job = await ready_job(rt, signed_in, 102)
    await visitor.sign_in("viewer@pve")
    response = await visitor.post(f"{job.base}/credentials", data={"name": "nginx"})
    assert response.status_code == 403
    assert "VM.Console" in response.text
    assert SECRET not in response.text
    assert await audited(job, "viewer@pve") == [("refused", "nginx")]


async def test_a_vmid_that_is_another_container_by_now_gives_no_credential_away(
    rt: Runtime, signed_in: Visitor
) -> None:
    job = await ready_job(rt, signed_in, 103, says_so=False)
    response = await signed_in.post(f"{job.base}/credentials", data={"name": "nginx"})
    assert response.status_code == 409
    assert SECRET not in response.text


async def test_a_credential_is_never_revealed_to_another_site_or_by_a_mere_look(
    rt: Runtime, signed_in: Visitor
) -> None:
    job = await ready_job(rt, signed_in, 104)
    elsewhere = await signed_in.post(
        f"{job.base}/credentials", data={"name": "nginx"}, origin="https://elsewhere.example"
    )
    assert elsewhere.status_code == 403
    assert (await signed_in.get(f"{job.base}/credentials")).status_code in {404, 405}
    assert await audited(job, "root@pam") == []
