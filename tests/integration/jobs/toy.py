"""A kind of job for tests only: stores a fact, starts a container in PVE and runs a script in the guest."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import JobState
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.doors import PctDoor
from lxc_dashboard.guest.supervisor import Step as GuestStep
from lxc_dashboard.guest.supervisor import StepEnd, Supervisor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.steps.sync import LineReader
from lxc_dashboard.services.jobs.engine import ticket
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, run_task
from lxc_dashboard.services.jobs.engine.run import Guest, Run
from lxc_dashboard.services.jobs.kinds import End, Kind, Left, Step, register
from tests.integration.jobs.world import HOST_KEY, LINES, NODE_HOST

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.errors import DashboardError
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.engine.recorder import Recorder

NAME: Final = "toy.play"
SCRIPT: Final = "toy.sh"
PRINTED: Final = tuple(f"toy line {number}" for number in range(1, LINES + 1))
DOOR: Final = SshAddress(NODE_HOST, 22, "root", HOST_KEY, "none")


@dataclass
class Toy(Run):
    """One job of the toy kind."""

    supervisor: Supervisor


async def note(run: Toy) -> None:
    await run.once("note", lambda: _note(run))


async def _note(run: Toy) -> None:
    run.checkpoint.facts["noted"] = run.guest.vmid


async def start(run: Toy) -> None:
    guest = run.guest
    task = PveStep(
        "start", "vzstart", str(guest.vmid), guest.node, 60.0, lambda: run.client.lxc.start(guest.node, guest.vmid)
    )
    await run.once("start", lambda: _wait(run, task), fenced=True)


async def _wait(run: Toy, task: PveStep) -> None:
    await run_task(run, task)


async def play(run: Toy) -> None:
    await run.once("play", lambda: _play(run), fenced=True)
    await run.once("clear", run.supervisor.remove, fenced=True)


async def _play(run: Toy) -> None:
    """Run the script once and store each line of its output once."""
    await run.supervisor.install(str(run.job_id))
    reader = LineReader(run.checkpoint.offset.get(SCRIPT, 0))
    script = GuestStep(SCRIPT, SCRIPT, "".join(f"{line}\n" for line in PRINTED).encode(), 60)
    async with aclosing(run.supervisor.follow(script, reader.offset)) as output:
        while not isinstance(item := await anext(output), StepEnd):
            lines = reader.feed(item)
            run.checkpoint.offset[SCRIPT] = reader.offset
            await run.recorder.log(lines, script=SCRIPT)


class ToyKind(Kind[Toy]):
    name = action = NAME
    patience_s = 30.0
    steps = (
        Step("noting", note, CreationCode.CREATING, (0, 10)),
        Step("starting", start, CreationCode.STARTING, (10, 50)),
        Step("playing", play, CreationCode.SYNCING, (50, 100)),
    )

    async def open(self, rt: Runtime, job: Job, recorder: Recorder) -> Toy:
        client = await ticket.client_of(rt, job, recorder.owner)
        return Toy(
            rt=rt,
            job_id=job.id,
            userid=job.userid,
            endpoint_id=job.endpoint_id,
            endpoint_name=client.endpoint.name,
            guest=Guest(job.vmid, job.node),
            client=client,
            recorder=recorder,
            supervisor=Supervisor(PctDoor(rt.ssh, DOOR, job.vmid, marker=None)),
        )

    async def stop(self, run: Toy) -> Left:
        await run.supervisor.stop(SCRIPT)
        return Left()

    def stop_without_pve(self, recorder: Recorder, error: DashboardError) -> Left:
        del recorder, error
        return Left()

    async def explain(self, run: Toy | None, recorder: Recorder, error: BaseException) -> tuple[BaseException, bool]:
        del run, recorder
        return error, True

    def done(self, run: Toy) -> End:
        return End(
            JobState.DONE,
            Message.of(CreationCode.DONE, vmid=run.guest.vmid, hostname=""),
            {"noted": run.checkpoint.facts["noted"]},
        )

    def cancelled(self, by: str, recorder: Recorder, left: Left) -> Message:
        del recorder, left
        return Message.of(CreationCode.CANCELLED, by=by)


TOY: Final = ToyKind()
register(TOY)
