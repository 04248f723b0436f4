"""The shipped templates, built by a real worker in guests with systemd, and checked over the node's SSH."""

from __future__ import annotations

import asyncio
import io
import shlex
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from uuid import UUID

import asyncssh

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType, Job, JobState
from lxc_dashboard.proxmox.auth import login
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import endpoints, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import credentials, service
from lxc_dashboard.services.creation.form.spec import ContainerSpec, ExtraPackage
from lxc_dashboard.services.templates.model import TemplateContent
from pve_sandbox.node import SandboxNode
from tests.e2e.stack import Child, Stack

OSTEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
USER = "root@pam"
BUILT_WITHIN_S = 480.0
COMMAND_S = 120.0
POLL_S = 0.25
AGAIN = "/root/again"
HELPERS = resources.files("lxc_dashboard.guest") / "helpers.sh"
ENDED = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True)
class AskedJob:
    """A requested creation."""

    id: UUID
    template: str
    vmid: int


@dataclass
class Lab:
    """``contents`` and ``revisions`` by the template's name; ``jobs`` by the name of each request."""

    rt: Runtime
    session: Session
    sandbox: SandboxNode
    stack: Stack
    node: asyncssh.SSHClientConnection
    contents: Mapping[str, TemplateContent]
    revisions: Mapping[str, UUID]
    jobs: dict[str, AskedJob] = field(default_factory=dict)
    has_wireguard: bool = False

    def start_worker(self) -> Child:
        """Start the worker as the operator's command does."""
        return self.stack.start("worker", [sys.executable, "-m", "lxc_dashboard.commands.worker"], self.stack.environ)

    async def request_packages(self, name: str, vmid: int, *packages: ExtraPackage) -> None:
        """Request a container without a template, in which ``packages`` are installed."""
        spec = ContainerSpec(
            node="pve1",
            ostemplate=OSTEMPLATE,
            hostname=f"built-{vmid}",
            storage="local-lvm",
            vmid=vmid,
            packages_extra=packages,
        )
        self.jobs[name] = AskedJob(await service.request(self.rt, self.session, spec), name, vmid)

    async def request(self, template: str, vmid: int, *, without: tuple[str, ...] = ()) -> AskedJob:
        """Request a container with the template's own settings and without the scripts in ``without``."""
        content = self.contents[template]
        config = content.config
        spec = ContainerSpec(
            node="pve1",
            ostemplate=OSTEMPLATE,
            hostname=f"built-{vmid}",
            storage="local-lvm",
            vmid=vmid,
            cores=config.cpu,
            memory_mib=config.ram_mib,
            disk_gib=config.disk_gib,
            unprivileged=config.unprivileged,
            nesting=config.nesting,
            keyctl=config.keyctl,
            revision_id=self.revisions[template],
            scripts=tuple(script.name for script in content.scripts if script.name not in without),
        )
        return AskedJob(await service.request(self.rt, self.session, spec), template, vmid)

    async def end_of(self, name: str) -> Job:
        """Wait for the job's end; return its row."""
        async with asyncio.timeout(BUILT_WITHIN_S):
            while True:
                async with self.rt.db.transaction() as tx:
                    row = await tx.jobs.get(self.jobs[name].id)
                if row.state in ENDED:
                    return row
                await asyncio.sleep(POLL_S)

    async def ready(self, name: str) -> AskedJob:
        row = await self.end_of(name)
        assert row.state == JobState.DONE, (row.error, (await self.said(name))[-40:])
        return self.jobs[name]

    async def said(self, name: str) -> list[str]:
        """All lines of output and all messages of the job."""
        async with self.rt.db.transaction() as tx:
            rows = await tx.events.after(self.jobs[name].id, 0, 100_000)
        texts = [text.in_words(row.code, row.params, row.message) for row in rows if row.type != EventType.STEP]
        return [line for each in texts for line in each.split("\n")]

    async def secrets(self, job: AskedJob, name: str) -> dict[str, str]:
        """The credentials of a service as the dashboard shows them to a user who may enter the guest."""
        return await credentials.reveal(self.rt, self.session, job.id, name)

    async def services(self, job: AskedJob) -> list[dict[str, Any]]:
        """The ports and units that the dashboard found in the guest."""
        async with self.rt.db.transaction() as tx:
            container = await tx.containers.get((await tx.jobs.get(job.id)).own_container_id)
        return list(container.services)

    # -------------------------------------------------------------- the guest

    async def ask(self, job: AskedJob, script: str, *, given: bytes = b"", expect_status: int = 0) -> str:
        """Run bash in the guest over SSH and ``pct``, not through the product; return its output."""
        command = shlex.join(["pct", "exec", str(job.vmid), "--", "bash", "-c", script])
        result = await self.node.run(command, input=given, encoding=None, timeout=COMMAND_S)
        said = result.stdout.decode(errors="replace") if isinstance(result.stdout, bytes) else str(result.stdout or "")
        assert result.exit_status == expect_status, (script[:200], result.exit_status, said, result.stderr)
        return said

    async def run_again(self, job: AskedJob) -> str:
        """Run all scripts of the template again, as a job's step does; return their output."""
        scripts = [(script.name, script.content.encode()) for script in self.contents[job.template].scripts]
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, data in [("helpers.sh", HELPERS.read_bytes()), *scripts]:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        run = "mkdir -p {0} && tar -C {0} -x && for s in {0}/[0-9]*.sh; do BASH_ENV={0}/helpers.sh bash $s 2>&1 || exit; done"
        return await self.ask(job, run.format(AGAIN), given=packed.getvalue())

    async def state_of(self, job: AskedJob, *folders: str) -> str:
        """Owner, mode and checksum of every file below ``folders`` and /etc."""
        found = f"find /etc {shlex.join(folders)} -xdev -type f ! -name ld.so.cache ! -name '*-'"
        return await self.ask(job, f"{found} -printf '%u:%g %m %p\\n' | sort; {found} -exec sha256sum {{}} + | sort")

    async def address(self, job: AskedJob) -> str:
        return (await self.ask(job, "hostname -I")).split()[0]


def connect(sandbox: SandboxNode) -> asyncssh.misc._ACMWrapper[asyncssh.SSHClientConnection]:
    """Connect to the node as its administrator does."""
    where = f"[127.0.0.1]:{sandbox.ssh_port} {sandbox.ssh_host_key}\n"
    return asyncssh.connect(
        "127.0.0.1",
        sandbox.ssh_port,
        username="root",
        client_keys=[asyncssh.import_private_key(sandbox.ssh_client_key)],
        known_hosts=asyncssh.import_known_hosts(where),
        config=None,
    )


async def sign_in(rt: Runtime, sandbox: SandboxNode) -> Session:
    choice = (await endpoints.choices(rt))[0]
    client = rt.pve.client(await endpoints.endpoint(rt, choice.id))
    ticket = await login(client, USER, sandbox.demo.passwords()[USER])
    session, _ = await sessions.begin(
        rt, endpoint_id=choice.id, endpoint_name=choice.name, ticket=ticket, address="127.0.0.1", user_agent="test"
    )
    return session
