"""Recognizing the product's container when another guest has its vmid, and marking it deleted after PVE deleted it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from lxc_dashboard.api.v1.stream import LogStream
from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState, Lifecycle, now
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.events import log as job_log
from lxc_dashboard.services.jobs.identity import Identities, line_of
from lxc_dashboard.services.jobs.listing import Wanted, page_of
from lxc_dashboard.text import in_words
from pve_sandbox.node import SandboxNode
from tests.integration.creation.other_pve import Answer, other_pve
from tests.integration.monitor.conftest import SignIn
from tests.integration.monitor.viewers import PATIENCE_S, Seen, hub_of, looking

OSTEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
SPEC = ContainerSpec("pve1", OSTEMPLATE, "our-own", "local-lvm")


class Made:
    """A container of the product, with the job that made it."""

    def __init__(self, rt: Runtime, session: Session, client: ProxmoxClient) -> None:
        self.rt = rt
        self.session = session
        self.client = client
        self.vmid = 0
        self.container_id = self.job_id = uuid4()

    async def make(self, *, finished: bool = True) -> Made:
        self.vmid = await self.client.cluster.nextid()
        async with self.rt.db.transaction() as tx:
            container = await tx.containers.reserve(
                Container(
                    endpoint_id=self.session.endpoint_id,
                    vmid=self.vmid,
                    node="pve1",
                    hostname="our-own",
                    lifecycle=Lifecycle.READY.value,
                    address="192.0.2.77",
                )
            )
            job = await tx.jobs.add(
                Job.about(
                    container,
                    CREATE_KIND,
                    step="creating",
                    userid=self.session.userid,
                    params=SPEC.to_json(),
                    state=JobState.DONE.value if finished else JobState.RUNNING.value,
                    checkpoint={"done": ["create.container"]},
                    finished_at=now() if finished else None,
                )
            )
        self.container_id, self.job_id = container.id, job.id
        await self.create(line_of(job.id))
        return self

    async def create(self, notes: str, hostname: str = "our-own") -> None:
        options = {"hostname": hostname, "rootfs": "local-lvm:1", "description": notes}
        await self.wait(await self.client.lxc.create("pve1", self.vmid, OSTEMPLATE, unprivileged=True, options=options))

    async def delete(self) -> None:
        await self.wait(await self.client.lxc.delete("pve1", self.vmid))

    async def wait(self, upid: str) -> None:
        await self.client.tasks.wait(upid, deadline_s=PATIENCE_S)

    async def is_marked_deleted(self) -> bool:
        async with self.rt.db.transaction() as tx:
            return (await tx.containers.get(self.container_id)).deleted_at is not None


@pytest.fixture
async def session(rt: Runtime, sign_in: SignIn) -> Session:
    return await sign_in(rt, "root@pam")


@pytest.fixture
async def made(rt: Runtime, session: Session) -> Made:
    return await Made(rt, session, await acting.client(rt, session)).make()


async def test_a_container_that_is_deleted_in_pve_is_marked_deleted_while_somebody_looks(
    rt: Runtime, session: Session, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.RESOURCES_EVERY_S", 0.2)
    monkeypatch.setattr("lxc_dashboard.services.monitor.poller.TASKS_EVERY_S", 0.2)
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        await looking(hub, session, seen)
        vmid = str(made.vmid)
        assert (seen.rows[vmid]["address"], seen.rows[vmid]["job"]) == ("192.0.2.77", str(made.job_id))
        await made.delete()
        await made.create("", "a-stranger")
        await seen.until(lambda: seen.rows.get(vmid, {}).get("name") == "a-stranger" and not seen.rows[vmid]["job"])
    assert seen.rows[vmid]["address"] == ""


async def test_each_is_asked_once_until_a_task_speaks_against_it(
    rt: Runtime, session: Session, made: Made, sandbox: SandboxNode
) -> None:
    identities = Identities(made.client, rt.db, session.endpoint_id)

    def asked() -> int:
        return sum(path.endswith(f"/{made.vmid}/config") for _, path, _ in sandbox.api.requests)

    for _ in range(3):
        assert set(await identities.known(await made.client.cluster.resources())) == {made.vmid}
    assert asked() == 1
    identities.doubt(made.vmid)
    await identities.known(await made.client.cluster.resources())
    assert asked() == 2


async def test_what_pve_has_no_more_is_marked_deleted_and_its_vmid_is_free(
    rt: Runtime, session: Session, made: Made
) -> None:
    await made.delete()
    identities = Identities(made.client, rt.db, session.endpoint_id)
    assert await identities.known(await made.client.cluster.resources()) == {}
    assert await made.is_marked_deleted()
    async with rt.db.transaction() as tx:
        assert await tx.containers.by_vmid(session.endpoint_id, made.vmid) is None


@pytest.mark.parametrize(("notes", "marked"), [("somebody's", False), (line_of(UUID(int=7)), True)])
async def test_another_guest_of_the_vmid_is_not_called_ours(
    rt: Runtime, session: Session, made: Made, notes: str, marked: bool
) -> None:
    await made.client.lxc.set_config("pve1", made.vmid, {"description": notes})
    identities = Identities(made.client, rt.db, session.endpoint_id)
    assert await identities.known(await made.client.cluster.resources()) == {}
    assert await made.is_marked_deleted() is marked


async def test_what_one_may_not_see_is_not_called_deleted(
    rt: Runtime, made: Made, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    viewer = await sign_in(rt, "viewer@pve")
    sandbox.api.directory.acl[:] = [entry for entry in sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    sandbox.api.directory.changed()
    client = await acting.client(rt, viewer)
    identities = Identities(client, rt.db, viewer.endpoint_id)
    assert await identities.known(await client.cluster.resources()) == {}
    assert not await made.is_marked_deleted()


async def test_what_is_not_listed_for_a_moment_is_not_called_deleted_where_any_vmid_is_called_free(
    rt: Runtime, session: Session, made: Made, sandbox: SandboxNode, tmp_path: Path
) -> None:
    """The endpoint's ``nextid`` ignores the requested vmid and always offers a free one."""

    def offered(answer: Answer) -> None:
        if answer.path == "/cluster/nextid":
            answer.status, answer.body = 200, {"data": "99999"}

    async with other_pve(sandbox, tmp_path / "other") as other:
        other.changes.append(offered)
        async with rt.db.transaction() as tx:
            fingerprint = other.certificate.fingerprint
            await tx.nodes.update(session.endpoint_id, host="localhost", port=other.port, fingerprint=fingerprint)
        client = await acting.client(rt, session)
        others = [entry for entry in await client.cluster.resources() if entry.vmid != made.vmid]
        assert await Identities(client, rt.db, session.endpoint_id).known(others) == {}
        assert "GET /cluster/nextid" in " ".join(other.asked)
    assert not await made.is_marked_deleted()


async def test_what_pve_calls_free_only_once_is_not_called_deleted(
    rt: Runtime, session: Session, made: Made, sandbox: SandboxNode, tmp_path: Path
) -> None:
    answers: list[str] = []

    def free_at_first(answer: Answer) -> None:
        if answer.path.endswith((f"/lxc/{made.vmid}/config", f"/lxc/{made.vmid}/status/current")):
            answer.status, answer.body = 500, {"data": None}
        if answer.path == "/cluster/nextid":
            answers.append(answer.path)
            if len(answers) % 2:
                answer.status, answer.body = 200, {"data": str(made.vmid)}

    async with other_pve(sandbox, tmp_path / "other") as other:
        other.changes.append(free_at_first)
        async with rt.db.transaction() as tx:
            fingerprint = other.certificate.fingerprint
            await tx.nodes.update(session.endpoint_id, host="localhost", port=other.port, fingerprint=fingerprint)
        client = await acting.client(rt, session)
        others = [entry for entry in await client.cluster.resources() if entry.vmid != made.vmid]
        assert await Identities(client, rt.db, session.endpoint_id).known(others) == {}  # not listed
        assert (await service.get_job(rt, session, made.job_id)).exists  # listed, but reading its configuration fails
        assert not await ha.reached(client, made.vmid, "pve1", running=False, within_s=0)
        assert len(answers) == 6
    assert not await made.is_marked_deleted()


async def test_a_container_that_a_job_works_on_is_never_marked_deleted(rt: Runtime, session: Session) -> None:
    made = await Made(rt, session, await acting.client(rt, session)).make(finished=False)
    await made.delete()
    identities = Identities(made.client, rt.db, session.endpoint_id)
    await identities.known(await made.client.cluster.resources())
    async with rt.db.transaction() as tx:
        assert not await tx.containers.mark_lost(made.container_id, now())
    assert not await made.is_marked_deleted()


async def test_a_job_is_not_shown_to_who_sees_another_guest_of_its_vmid(
    rt: Runtime, made: Made, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    viewer = await sign_in(rt, "viewer@pve")
    assert (await service.get_job(rt, viewer, made.job_id)).hostname == "our-own"
    assert [job.id for job in await service.list_jobs(rt, viewer)] == [made.job_id]
    await made.client.lxc.set_config("pve1", made.vmid, {"description": "somebody's"})
    other = await sign_in(rt, "viewer@pve")  # the first session's answers are cached for 15 s
    await rt.bus.delete(f"guest:ours:{made.container_id}")
    with pytest.raises(NotFoundError):
        await service.get_job(rt, other, made.job_id)
    assert await service.list_jobs(rt, other) == []


async def test_the_log_of_an_ended_job_is_read_without_a_request_to_pve(
    rt: Runtime, session: Session, made: Made, sandbox: SandboxNode
) -> None:
    before = len(sandbox.api.requests)
    await job_log.tail(rt, session, made.job_id, limit=10)
    await job_log.page(rt, session, made.job_id, after=0, limit=10)
    await job_log.spans(rt, session, made.job_id)
    await job_log.search(rt, session, made.job_id, "x", in_words)
    await job_log.whole(rt, session, made.job_id)
    look = partial(service.require_visible, rt, session, made.job_id)
    assert [piece async for piece in LogStream(rt, session, made.job_id, look).stored(0)]
    assert sandbox.api.requests[before:] == []


async def test_the_job_of_a_deleted_container_is_shown_to_who_may_see_every_guest(
    rt: Runtime, made: Made, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    await made.delete()
    await made.create("", "a-stranger")
    async with rt.db.transaction() as tx:
        assert await tx.containers.mark_lost(made.container_id, now())
    viewer = await sign_in(rt, "viewer@pve")
    assert [job.id for job in await service.list_jobs(rt, viewer)] == [made.job_id]
    sandbox.api.directory.acl[:] = [
        structs.replace(entry, path=f"/vms/{made.vmid}") if entry.ugid == "viewer@pve" else entry
        for entry in sandbox.api.directory.acl
    ]
    sandbox.api.directory.changed()
    viewer = await sign_in(rt, "viewer@pve")
    assert await service.list_jobs(rt, viewer) == []
    with pytest.raises(NotFoundError):
        await service.get_job(rt, viewer, made.job_id)


async def test_a_page_of_jobs_is_as_long_as_what_may_be_seen(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    root = await sign_in(rt, "root@pam")
    client = await acting.client(rt, root)
    made = [await Made(rt, root, client).make() for _ in range(6)]
    for one in made[1::2]:
        await client.lxc.set_config("pve1", one.vmid, {"description": "somebody's"})
    seen = [one.job_id for one in reversed(made[::2])]

    viewer = await sign_in(rt, "viewer@pve")
    first = await page_of(rt, viewer, Wanted(), limit=2)
    assert ([job.id for job in first.jobs], first.total) == (seen[:2], 4)  # one foreign guest is not checked yet
    second = await page_of(rt, viewer, Wanted(), limit=2, offset=2)
    assert ([job.id for job in second.jobs], second.total) == (seen[2:], 3)

    program = await sign_in(rt, "viewer@pve")
    listed = await service.list_jobs(rt, program, limit=2)
    assert [job.id for job in listed] == seen[:2]
    assert [job.id for job in await service.list_jobs(rt, program, limit=2, before=listed[-1].id)] == seen[2:]
    assert await service.list_jobs(rt, program, limit=2, before=seen[-1]) == []
