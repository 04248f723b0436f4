"""The product with real servers, a sandbox with real guests in this process, and worker processes to kill."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import shlex
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncssh

from lxc_dashboard.db.models import EventType, Job, JobState
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import tokens
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.auth.sign_in import Origin
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.events.lines import ProgressEvent, of_row
from pve_sandbox.api.access.directory import Token
from pve_sandbox.node import SandboxNode
from tests.e2e.stack import Child, Stack
from tests.integration.endpoints import sign_in
from tests.integration.faults import templates
from tests.integration.faults.gates import Gate, GatedHost
from tests.worded import worded

OSTEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
USER = "root@pam"
DEADLINE_S = 150.0  # only stops a test that hangs
RECOVERY_S = 30.0
POLL_S = 0.05
POLL_GROWTH = 1.3
SLOWEST_POLL_S = 0.5
FIRST_VMID = 5001


@dataclass(frozen=True)
class AskedJob:
    """A requested creation."""

    id: UUID
    vmid: int
    hostname: str


@dataclass
class Lab:
    """``revisions``: by template name. Each worker logs to its own file and is killed at the end."""

    rt: Runtime
    session: Session
    sandbox: SandboxNode
    gates: GatedHost
    stack: Stack
    revisions: Mapping[str, UUID]
    vmids: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_VMID))
    workers: list[Child] = field(default_factory=list)

    # --------------------------------------------------------------- workers

    def start_worker(self, clock_off_by_s: int = 0) -> Child:
        """Start another worker and its beat with the operator's command. Does not wait until the worker is ready."""
        name = f"worker-{len(self.workers) + 1}"
        command = ["lxc_dashboard.commands.worker"]
        if clock_off_by_s:
            clock = self.stack.folder / f"{name}.clock"
            clock.write_text(str(clock_off_by_s), encoding="ascii")
            command = ["tests.integration.shifted", str(clock), *command]
        worker = self.stack.start(name, [sys.executable, "-m", *command], self.stack.environ)
        self.workers.append(worker)
        return worker

    async def need_worker(self) -> Child:
        """Return a live worker that is ready, started if there is none."""
        living = [worker for worker in self.workers if worker.process.poll() is None]
        worker = living[0] if living else self.start_worker()
        await self.until(lambda: "worker ready" in worker.said(), "the worker is ready")
        return worker

    # ------------------------------------------------------------------ jobs

    async def sign_in(self) -> Session:
        self.session = await sign_in(self.rt, self.sandbox)
        return self.session

    def next_vmid(self) -> int:
        return next(self.vmids)

    async def token(self) -> Session:
        """A session of a program that sends a new API token of the user."""
        secret = str(uuid4())
        self.sandbox.api.directory.users[USER].tokens["ci"] = Token(secret, privsep=0)
        self.sandbox.api.directory.changed()
        return await tokens.session_of(self.rt, f"PVEAPIToken={USER}!ci={secret}", "", Origin("127.0.0.1"))

    async def request(
        self,
        template: str = "steps",
        vmid: int | None = None,
        job_id: UUID | None = None,
        *,
        caller: Session | None = None,
    ) -> AskedJob:
        """Request a creation. Chooses the vmid itself, so that a test can set a gate first."""
        vmid = vmid or self.next_vmid()
        hostname = f"ct-{vmid}"
        spec = ContainerSpec(
            node="pve1",
            ostemplate=OSTEMPLATE,
            hostname=hostname,
            storage="local-lvm",
            vmid=vmid,
            disk_gib=1,
            memory_mib=256,
            revision_id=self.revisions[template],
        )
        return AskedJob(await service.request(self.rt, caller or self.session, spec, job_id=job_id), vmid, hostname)

    async def request_held(self, template: str, moment: str) -> tuple[AskedJob, Gate]:
        """Request a job and wait until the gate holds its act ``moment``: ``create`` or ``start``."""
        await self.need_worker()
        vmid = self.next_vmid()
        gate = self.gates.hold(vmid, moment)
        job = await self.request(template, vmid)
        await self.until(gate.reached.is_set, f"PVE is about to {moment} it")
        return job, gate

    async def in_the_first_script(self) -> AskedJob:
        """Request a job of the template ``waits``, and wait until its first script has printed its first lines."""
        job = await self.request("waits")
        await self.until_said(job, "installing")
        await self.go(job, "tool")
        await self.until_said(job, f"first line {templates.LINES}")
        return job

    async def row(self, job: AskedJob) -> Job:
        async with self.rt.db.transaction() as tx:
            return await tx.jobs.get(job.id)

    async def state(self, job: AskedJob) -> JobState:
        return JobState((await self.row(job)).state)

    async def events(self, job: AskedJob) -> list[ProgressEvent]:
        async with self.rt.db.transaction() as tx:
            return [worded(of_row(row)) for row in await tx.events.after(job.id, 0, 100_000)]

    async def told(self, job: AskedJob, script: str) -> list[str]:
        """The stored output lines of one step."""
        found = [event for event in await self.events(job) if event.type is EventType.LOG and event.script == script]
        return [line for event in found for line in event.message.split("\n")]

    async def has_said(self, job: AskedJob, text: str) -> bool:
        return any(text in event.message for event in await self.events(job))

    # ------------------------------------------------------------ conditions

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], what: str, *, within_s: float = DEADLINE_S
    ) -> None:
        delay_s = POLL_S
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = condition()
                    if await found if inspect.isawaitable(found) else found:
                        return
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * POLL_GROWTH, SLOWEST_POLL_S)
        except TimeoutError:
            said = "\n".join(worker.said()[-4000:] for worker in self.workers[-2:])
            raise AssertionError(f"not within {within_s:.0f} s: {what}\n{said}") from None

    async def until_said(self, job: AskedJob, text: str) -> None:
        await self.until(lambda: self.has_said(job, text), f"{job.hostname} said {text!r}")

    async def until_state(self, job: AskedJob, state: JobState, *, within_s: float = DEADLINE_S) -> None:
        async def reached() -> bool:
            return await self.state(job) is state

        try:
            await self.until(reached, f"{job.hostname} is {state.value}", within_s=within_s)
        except AssertionError as error:
            row, events = await self.row(job), await self.events(job)
            lines = [f"{event.seq} {event.type.value} {event.message[-200:]}" for event in events[-20:]]
            raise AssertionError("\n".join([str(error), row.state, str(row.error), *lines])) from None

    async def until_taken_again(self, job: AskedJob, attempt: int, *, within_s: float = DEADLINE_S) -> None:
        async def taken() -> bool:
            return (await self.row(job)).attempt >= attempt

        await self.until(taken, f"{job.hostname} is taken for the {attempt}. time", within_s=within_s)

    # -------------------------------------------------------------- the guest

    async def in_guest(self, job: AskedJob, script: str) -> str:
        """Run a command in the guest over an SSH connection of the test, and return its output."""
        where = f"[127.0.0.1]:{self.sandbox.ssh_port} {self.sandbox.ssh_host_key}\n"
        async with asyncssh.connect(
            "127.0.0.1",
            self.sandbox.ssh_port,
            username="root",
            client_keys=[asyncssh.import_private_key(self.sandbox.ssh_client_key)],
            known_hosts=asyncssh.import_known_hosts(where),
            config=None,
        ) as connection:
            command = shlex.join(["pct", "exec", str(job.vmid), "--", "sh", "-c", script])
            result = await connection.run(command, check=True)
        return str(result.stdout)

    async def go(self, job: AskedJob, *steps: str) -> None:
        """Let these steps of the template ``waits`` continue."""
        await self.in_guest(job, f"touch {shlex.join(f'/root/go.{step}' for step in steps)}")

    async def until_over(self, job: AskedJob, step: str) -> None:
        """Wait until the step has done all its work in the guest, even when no worker follows it."""

        async def over() -> bool:
            return await self.in_guest(job, f"[ -e /root/over.{step} ] && echo over || :") == "over\n"

        await self.until(over, f"{step} of {job.hostname} is over")

    async def is_alive(self, job: AskedJob) -> bool:
        """Whether any process of the template ``stubborn`` runs."""
        return await self.in_guest(job, 'kill -0 -"$(cat /root/group)" 2>/dev/null && echo alive || :') == "alive\n"

    # ------------------------------------------------------------------ claims

    def containers_named(self, hostname: str) -> list[int]:
        """The vmids of the containers with this hostname in PVE."""
        return [guest.vmid for guest in self.sandbox.api.cts if guest.config.get("hostname") == hostname]

    def exists(self, job: AskedJob) -> bool:
        """Whether PVE has anything with this vmid, even only a locked configuration."""
        return self.sandbox.api.cts.get(job.vmid) is not None

    def tasks_of(self, job: AskedJob, kind: str) -> list[dict[str, Any]]:
        """The guest's tasks of this kind in PVE's task list."""
        return [task for task in self.sandbox.api.tasklog if (task["type"], task["id"]) == (kind, str(job.vmid))]

    async def check_nothing_lost_or_repeated(self, job: AskedJob) -> None:
        """Check: one container; each step ran once; each line and event is stored once; nothing is held."""
        assert await self.state(job) is JobState.DONE
        await self.check_guest(job)
        await self.check_events(job)
        await self.check_nothing_held(job)

    async def check_guest(self, job: AskedJob) -> None:
        assert self.containers_named(job.hostname) == [job.vmid]
        assert [task["exitstatus"].partition(":")[0] for task in self.tasks_of(job, "vzcreate")] in (
            ["OK"],
            ["WARNINGS"],
        )
        assert len(self.tasks_of(job, "vzstart")) == 1
        assert (await self.in_guest(job, "cat /root/runs")).split() == templates.RUNS
        assert await self.in_guest(job, "cat /etc/notice.txt /opt/late/late.txt") == "notice\nlate\n"
        assert await self.in_guest(job, "ls -d /var/lib/lxc-dashboard 2>/dev/null || :") == ""

    async def check_events(self, job: AskedJob) -> None:
        for step, script in (("tool", "custom-tool"), ("first", "10-first.sh"), ("second", "20-second.sh")):
            printed = (await self.in_guest(job, f"cat /root/said.{step}")).removesuffix("\n").split("\n")
            told = await self.told(job, script)
            assert [line for line in told if not line.startswith("[info]")] == printed
        tasks = [*self.tasks_of(job, "vzcreate"), *self.tasks_of(job, "vzstart")]
        assert await self.told(job, "") == [line for task in tasks for line in task["log"]]
        await self.check_told_once(job, EventType.COMPLETE)

    async def check_told_once(self, job: AskedJob, end: EventType) -> None:
        """Check the events: numbers without a gap, rising percents, no step twice, and one ``end``."""
        events = await self.events(job)
        numbers = [number for event in events for number in range(event.seq, event.seq + event.lines)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [event.percent for event in events] == sorted(event.percent for event in events)
        steps = Counter((event.message, event.script) for event in events if event.type is EventType.STEP)
        twice = [step for step, times in steps.items() if times > 1]
        assert twice == []
        ends = [event.type for event in events if event.type in {EventType.COMPLETE, EventType.ERROR}]
        assert ends == [end]

    async def check_nothing_held(self, job: AskedJob) -> None:
        row = await self.row(job)
        assert (row.lease_owner, row.lease_until, row.ticket_enc, row.enqueued_at) == (None, None, None, None)
        assert await self.rt.bus.lease_holder(f"guest-lock:{row.endpoint_id}:{job.vmid}") == ""
        guest = self.sandbox.api.cts.get(job.vmid)
        if guest is not None:
            assert guest.config.get("lock") is None
            assert guest.lock_holder is None
