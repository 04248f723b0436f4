"""A sandbox with real guests behind its SSH door, a runtime, stored templates, and a ``Lab`` that runs jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import (
    EventType,
    FilePolicy,
    JobState,
    PackageManager,
    SourceKind,
    Template,
    new_id,
)
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services import kinds
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import cancel as cancelling
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode, IpSettings
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.events.lines import ProgressEvent, of_row
from lxc_dashboard.services.templates.library.revisions import revision_rows
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.settings import Settings
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, run_in
from pve_sandbox.node import SandboxNode
from tests.integration.creation.other_pve import OtherPve, other_pve
from tests.integration.endpoints import endpoint_of, sign_in
from tests.worded import worded

# A worker knows all kinds.
KINDS = kinds.KINDS
DEADLINE_S = 150  # only stops a test that hangs
OSTEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"


@pytest.fixture
async def guests(tmp_path: Path) -> AsyncIterator[GuestHost]:
    host = await pick_host(tmp_path / "guests")
    if host.kind == "simulated":
        await host.close()
        pytest.skip("this machine allows no real guests")
    yield host
    await host.close()


@pytest.fixture
async def sandbox(tmp_path: Path, guests: GuestHost) -> AsyncIterator[SandboxNode]:
    async with SandboxNode(
        tmp_path / "node",
        guests=guests,
        demo=DemoCluster(containers=0),
        time_scale=0.02,
        stats_interval_s=2,
        auth_delay_s=0,
    ) as node:
        yield node


@contextlib.asynccontextmanager
async def pve_alone(folder: Path, *, containers: int) -> AsyncIterator[SandboxNode]:
    """A sandbox whose containers exist only in PVE: tests cannot enter them."""
    demo = DemoCluster(containers=containers)
    async with SandboxNode(folder, demo=demo, time_scale=0.01, stats_interval_s=1, auth_delay_s=0) as node:
        yield node


async def register(rt: Runtime, sandbox: SandboxNode, *nodes: str) -> None:
    """Register the sandbox as an endpoint with the SSH doors of these nodes. ``*``: all nodes."""
    door = {"host": "127.0.0.1", "port": sandbox.ssh_port, "host_key": sandbox.ssh_host_key}
    endpoint = endpoint_of(sandbox)
    endpoint.doors = dict.fromkeys(nodes, door)
    async with rt.db.transaction() as tx:
        await tx.nodes.add(
            endpoint,
            NodeSecrets(ssh_key=sandbox.ssh_client_key),
        )


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox, "*")
        yield runtime


@pytest.fixture
async def session(rt: Runtime, sandbox: SandboxNode) -> Session:
    return await sign_in(rt, sandbox)


def script(name: str, content: str, position: int, **changes: Any) -> Script:
    return Script(name=name, content=content, position=position, **changes)


def content_of(
    *scripts: tuple[str, str], files: Sequence[FileEntry] = (), buckets: Sequence[Bucket] = (), timeout_s: int = 60
) -> TemplateContent:
    return TemplateContent(
        name="probe",
        config=TemplateConfig(app="probe"),
        scripts=tuple(script(name, text, at, timeout_s=timeout_s) for at, (name, text) in enumerate(scripts)),
        files=tuple(files),
        buckets=tuple(buckets),
    )


async def store(rt: Runtime, content: TemplateContent) -> UUID:
    """Store the content as the first revision of a new template and return the revision's id."""
    async with rt.db.transaction() as tx:
        source = await tx.templates.source("probe", SourceKind.CUSTOM, "")
        template = Template(id=new_id(), source_id=source.id, name=f"probe-{new_id()}")
        await tx.templates.add([template])
        rows = revision_rows(template.id, 1, content, author="test", note="")
        await tx.templates.add_revisions([rows])
    return rows.revision.id


BASIC = content_of(
    ("10-first.sh", "#!/bin/sh\nset -eu\necho first >> /root/runs\nlog_info hello from $CONTAINER_OS\n"),
    (
        "20-second.sh",
        '#!/bin/bash\nset -euo pipefail\necho second >> /root/runs\nsave_credential web password "$(generate_password 20)"\nmkdir -p /opt/late\n',
    ),
    files=[
        FileEntry("motd.txt", "/etc", FilePolicy.REPLACE, b"hello\n\0\xff", mode=0o640),
        FileEntry("late.bin", "/opt/late", FilePolicy.DEFAULT, bytes(range(256)) * 64),
    ],
    buckets=[
        Bucket(
            "tools",
            PackageManager.CUSTOM,
            (
                PackageEntry(
                    "probe-tool",
                    check="test -x /usr/bin/probe-tool",
                    install="printf '#!/bin/sh\\n' > /usr/bin/probe-tool && chmod 755 /usr/bin/probe-tool",
                ),
            ),
        )
    ],
)


def spec_of(revision_id: UUID | None, **changes: Any) -> ContainerSpec:
    spec = ContainerSpec(
        node="pve1",
        ostemplate=OSTEMPLATE,
        hostname=f"probe-{str(new_id())[-8:]}",
        storage="local-lvm",
        disk_gib=1,
        memory_mib=256,
        bridge="vmbr0",
        ipv4=IpSettings(IpMode.DHCP),
        revision_id=revision_id,
    )
    return replace(spec, **changes)


@pytest.fixture
async def other(rt: Runtime, sandbox: SandboxNode, tmp_path: Path) -> AsyncIterator[OtherPve]:
    """The registered endpoint, whose answers a test may change."""
    async with other_pve(sandbox, tmp_path / "other") as it:
        async with rt.db.transaction() as tx:
            [node] = await tx.nodes.list()
            await tx.nodes.update(node.id, host="localhost", port=it.port, fingerprint=it.certificate.fingerprint)
        yield it


@dataclass
class Lab:
    """Requests jobs, runs them, and reads their results."""

    rt: Runtime
    session: Session
    sandbox: SandboxNode
    guests: GuestHost
    running: list[asyncio.Task[None]] = field(default_factory=list)

    async def request(self, content: TemplateContent | None = BASIC, **changes: Any) -> UUID:
        revision_id = await store(self.rt, content) if content else None
        return await service.request(self.rt, self.session, spec_of(revision_id, **changes))

    def retime(self, **seconds: float) -> None:
        """Change fields of ``Timing`` for jobs that start later."""
        self.rt = replace(self.rt, timing=self.rt.timing.model_copy(update=seconds))

    def work(self, job_id: UUID) -> asyncio.Task[None]:
        """Start a worker on the job. It is cancelled at the end of the test."""
        task = asyncio.create_task(engine.run(self.rt, job_id))
        self.running.append(task)
        return task

    async def finish(self, job_id: UUID, *, state: JobState = JobState.DONE) -> service.CreationView:
        """Run the job to its end and check that it ends as ``state``."""
        async with asyncio.timeout(DEADLINE_S):
            await self.work(job_id)
        job = await service.get_job(self.rt, self.session, job_id)
        assert job.state is state, (job.state, job.error, await self.log_of(job_id))
        return job

    async def destroy(self, job_id: UUID, session: Session | None = None) -> str:
        """Destroy what the job left, in a worker, and return the result or error as text."""
        destroying = await service.destroy(self.rt, session or self.session, job_id)
        async with asyncio.timeout(DEADLINE_S):
            await self.work(destroying)
        async with self.rt.db.transaction() as tx:
            job = await tx.jobs.get(destroying)
        return text.in_words_of(job.result or job.error)

    async def events(self, job_id: UUID) -> list[ProgressEvent]:
        async with self.rt.db.transaction() as tx:
            return [worded(of_row(row)) for row in await tx.events.after(job_id, 0, 100_000)]

    async def log_of(self, job_id: UUID, name: str | None = None) -> list[str]:
        """The output lines of one script, or of all."""
        found = [event for event in await self.events(job_id) if event.type is EventType.LOG]
        return [line for event in found if name in (None, event.script) for line in event.message.split("\n")]

    async def pve(self) -> ProxmoxClient:
        """A client of PVE that acts as the signed-in user."""
        return await acting.client(self.rt, self.session)

    async def in_guest(self, vmid: int, *command: str) -> str:
        status, output = await run_in(self.guests, vmid, list(command))
        assert status == 0, output
        return output.decode("utf-8", "replace")

    async def until(
        self, condition: Callable[[], Any], why: str, *, within_s: float = DEADLINE_S, every_s: float = 0.01
    ) -> Any:
        """Wait for ``condition``, which may be a coroutine function."""
        async with asyncio.timeout(within_s):
            while True:
                found = condition()
                found = await found if asyncio.iscoroutine(found) else found
                if found:
                    return found
                await asyncio.sleep(every_s)
        raise AssertionError(why)

    async def until_said(self, job_id: UUID, text: str) -> None:
        async def said() -> bool:
            return any(text in event.message for event in await self.events(job_id))

        await self.until(said, text)

    def containers_named(self, hostname: str) -> list[int]:
        """The vmids of the containers with this hostname in PVE."""
        return [guest.vmid for guest in self.sandbox.api.cts if guest.config.get("hostname") == hostname]


async def entered_again_until_it_ends(lab: Lab, work: asyncio.Task[None]) -> None:
    """Drop the job's connections until it ends. A new entry checks privileges at PVE if the last check is 5 s old."""
    door = lab.sandbox._door
    assert door
    async with asyncio.timeout(DEADLINE_S):
        while not work.done():
            door.drop_connections()
            await asyncio.wait([work], timeout=0.5)
    await work


@pytest.fixture
def sooner_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a cancel give up earlier on what hangs, so that a pause of the machine cannot exceed its 15 s.

    ``tests/unit/services/creation/test_cancel_times.py`` checks that the product's own times sum to 15 s.
    """
    monkeypatch.setattr(cancelling, "STOP_WITHIN_S", 4.0)


@pytest.fixture
async def lab(rt: Runtime, session: Session, sandbox: SandboxNode, guests: GuestHost) -> AsyncIterator[Lab]:
    lab = Lab(rt, session, sandbox, guests)
    yield lab
    for task in lab.running:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
