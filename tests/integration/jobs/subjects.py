"""The kinds of job that the engine's tests run: how each is requested, what its workers reach, and its expected end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

from lxc_dashboard.db.models import EventType, FilePolicy, Job, JobEvent, ProxmoxNode, new_id
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.proxmox.auth import Ticket
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power, snapshots
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.engine.ticket import lending
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.templates.model import FileEntry
from lxc_dashboard.settings import Settings
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode
from tests.integration import endpoints
from tests.integration.creation.conftest import content_of, store
from tests.integration.jobs import toy
from tests.integration.jobs.gates import Gate, GatedPve, ModelPve, ModelSsh
from tests.integration.jobs.world import HOST_KEY, LINES, NODE, NODE_HOST, VOLUME, Guest, World

NODE_DOOR = {"host": NODE_HOST, "port": 22, "host_key": HOST_KEY}
USER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBB7kKkxxbmGnI8Y6mZr8m3i1bHk0V7W9Qq2vY2n3m4L me"
SCRIPTS = ("one", "two")
CONTENT = content_of(
    *(
        (f"{at}0-{name}.sh", "".join(f"{name} line {n}\n" for n in range(1, LINES + 1)))
        for at, name in enumerate(SCRIPTS, 1)
    ),
    files=(
        FileEntry("notice.txt", "/etc", FilePolicy.REPLACE, b"notice\n"),
        FileEntry("late.txt", "/opt/late", FilePolicy.REPLACE, b"late\n"),
    ),
)


@dataclass(frozen=True)
class Asked:
    """A requested job. ``parts``: the fields of a worker's runtime that reach PVE and guests through a gate.

    ``check`` asserts that everything the job does was done exactly once.
    """

    job_id: UUID
    parts: Callable[[Gate], Mapping[str, Any]]
    check: Callable[[list[JobEvent], str], None]


class Subject(Protocol):
    rt: Runtime

    async def ask(self) -> Asked:
        """Request a job on a guest that no other job uses."""
        ...


def printed(events: list[JobEvent], script: str) -> list[str]:
    said = [event for event in events if event.script == script and event.type == EventType.LOG]
    return [line for event in said for line in event.message.split("\n")]


@dataclass
class Snapshots:
    """``snapshot.create`` at a sandbox, over HTTPS."""

    rt: Runtime
    session: Session
    sandbox: SandboxNode
    number: int = 0

    async def ask(self) -> Asked:
        self.number += 1
        name = f"snap{self.number}"
        stopped = next(guest for guest in self.sandbox.api.cts if guest.status == "stopped")
        guest = await power.find(self.rt, self.session, stopped.vmid)
        before = self._taken(guest.vmid)
        job_id = await request(self.rt, self.session, snapshots.create, guest, {"name": name})

        def check(events: list[JobEvent], why: str) -> None:
            del events
            assert self._taken(guest.vmid) == before + 1, why
            assert name in stopped.snapshots, why

        return Asked(job_id, lambda gate: {"pve": GatedPve(gate)}, check)

    def _taken(self, vmid: int) -> int:
        """Count the successful snapshot tasks: in PVE, a second task with the same name fails."""
        found = ((task["type"], task["id"], task["exitstatus"]) for task in self.sandbox.api.tasks.values())
        return sum(each == ("vzsnapshot", str(vmid), "OK") for each in found)


@dataclass
class Toys:
    """The toy kind, against the model of PVE and its guests."""

    rt: Runtime
    session: Session
    vmid: int = 100

    async def ask(self) -> Asked:
        self.vmid += 1
        vmid, session = self.vmid, self.session
        world = World(guests={vmid: Guest({"hostname": f"ct-{vmid}"})})
        async with lending(self.rt, session) as lent:
            job = await lent.tx.jobs.add(
                Job(
                    id=new_id(),
                    kind=toy.NAME,
                    endpoint_id=session.endpoint_id,
                    vmid=vmid,
                    node=NODE,
                    userid=session.userid,
                    signed_in_at=session.signed_in_at,
                    session_id=session.id,
                )
            )
            await lent.give(job.id)

        def check(events: list[JobEvent], why: str) -> None:
            guest = world.guests[vmid]
            assert world.posts == {"vzstart": 1}, why
            assert guest.begun == {toy.SCRIPT: 1}, why
            assert (guest.helpers, guest.steps, guest.marker) == (False, {}, str(job.id)), why
            assert printed(events, toy.SCRIPT) == list(toy.PRINTED), why

        return Asked(job.id, partial(model_parts, world), check)


@dataclass
class Creations:
    """A creation with files and scripts, against the model."""

    rt: Runtime
    session: Session
    revision_id: UUID
    vmid: int = 100

    async def ask(self) -> Asked:
        self.vmid += 1
        vmid, world = self.vmid, World()
        spec = ContainerSpec(
            NODE,
            VOLUME,
            f"ct-{vmid}",
            "local-lvm",
            vmid=vmid,
            revision_id=self.revision_id,
            ssh_keys=(USER_KEY,),
        )
        job_id = await service.request(replace(self.rt, **model_parts(world, Gate())), self.session, spec)
        return Asked(job_id, partial(model_parts, world), partial(self._check, world, job_id, vmid))

    def _check(self, world: World, job_id: UUID, vmid: int, events: list[JobEvent], why: str) -> None:
        assert (world.made, set(world.guests)) == (1, {vmid}), why
        assert world.posts == {"vzcreate": 1, "vzstart": 1}, why
        guest = world.guests[vmid]
        assert guest.begun == {f"{at}0-{name}.sh": 1 for at, name in enumerate(SCRIPTS, 1)}, why
        assert guest.files == {"/etc/notice.txt": b"notice\n", "/opt/late/late.txt": b"late\n"}, why
        assert guest.keys == {USER_KEY.split()[1]}, why
        assert (guest.helpers, guest.steps, bool(guest.marker)) == (False, {}, True), why
        assert str(job_id) in guest.config["description"], why
        for at, name in enumerate(SCRIPTS, 1):
            assert printed(events, f"{at}0-{name}.sh") == [f"{name} line {n}" for n in range(1, LINES + 1)], why


def model_parts(world: World, gate: Gate) -> dict[str, Any]:
    return {"pve": ModelPve(world, gate), "ssh": ModelSsh(world, gate)}


@asynccontextmanager
async def snapshots_at_sandbox(settings: Settings, folder: Path) -> AsyncIterator[Snapshots]:
    async with (
        SandboxNode(folder, demo=DemoCluster(), time_scale=0.02, stats_interval_s=10) as sandbox,
        endpoints.runtime_over(settings, sandbox) as rt,
    ):
        yield Snapshots(rt, await endpoints.sign_in(rt, sandbox), sandbox)


@asynccontextmanager
async def toys(settings: Settings, _: Path) -> AsyncIterator[Toys]:
    async with Runtime.open(settings) as rt:
        yield Toys(rt, await _model_session(rt, {"*": NODE_DOOR}))


@asynccontextmanager
async def creations(settings: Settings, _: Path, *, doors: Mapping[str, Any]) -> AsyncIterator[Creations]:
    async with Runtime.open(settings) as rt:
        session = await _model_session(rt, doors)
        yield Creations(rt, session, await store(rt, CONTENT))


async def _model_session(rt: Runtime, doors: Mapping[str, Any]) -> Session:
    """Sign root in at the model's endpoint. ``doors``: the doors of its nodes; empty to enter guests by SSH."""
    async with rt.db.transaction() as tx:
        node = await tx.nodes.add(
            ProxmoxNode(
                name="model", host="127.0.0.1", port=8006, verify_tls=False, is_default=True, doors=dict(doors)
            ),
            NodeSecrets(ssh_key="none"),
        )
    ticket = Ticket("root@pam", f"PVE:root@pam:{int(time.time()):08X}::none", "none", time.time())
    session, _ = await sessions.begin(
        rt, endpoint_id=node.id, endpoint_name=node.name, ticket=ticket, address="127.0.0.1", user_agent="test"
    )
    return session


Opening = Callable[[Settings, Path], AbstractAsyncContextManager[Subject]]
SUBJECTS: Final[Mapping[str, Opening]] = {
    "toy": toys,
    "snapshot.create": snapshots_at_sandbox,
    "container.create by pct": partial(creations, doors={"*": NODE_DOOR}),
    "container.create by SSH": partial(creations, doors={}),
}
