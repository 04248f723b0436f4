"""A worker that dies at any call that leaves it, before or after the call took effect, and its followers that die, too.

Over both doors: ``pct`` on the node, and SSH into the guest with a key that is made, planted and taken out again.

The pipeline, the client, the door and the database are the real ones; PVE and the guest are a model (``world.py``).
``CRASH_SCHEDULES=5000`` tries that many generated schedules instead of the usual number, from another seed each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import pytest

from lxc_dashboard.bus import Bus
from lxc_dashboard.bus.outbox import Outbox
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.journal import Journal
from lxc_dashboard.db.models import EventType, FilePolicy, Job, JobState, ProxmoxNode
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.db.standings import Standings
from lxc_dashboard.proxmox.auth import Ticket
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs import engine
from lxc_dashboard.services.templates.model import FileEntry
from lxc_dashboard.settings import Settings
from tests.integration.crashes.gates import Death, Gate, GatedBus, GatedDatabase, ModelPve, ModelSsh
from tests.integration.crashes.world import HOST_KEY, LINES, NODE, NODE_HOST, VOLUME, World
from tests.integration.creation.conftest import content_of, store

GENERATED = int(os.environ.get("CRASH_SCHEDULES", "0"))
USUAL = 60
SAMPLES = 12
# The model shows a task at once: a later worker need not look for it again.
AT_ONCE = '{"find_task_again_within_s": 0, "longest_journal_pause_s": 0}'
EACH_WITHIN_S = 60
NODE_DOOR = {"host": NODE_HOST, "port": 22, "host_key": HOST_KEY}
Schedule = list[tuple[int, bool]]

DOORS = ("pct", "ssh")
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


@dataclass
class Worlds:
    """``rt`` with the model in place of PVE and the guests; a fresh creation for each schedule."""

    rt: Runtime
    session: Session
    revision_id: UUID
    vmid: int = 100
    deaths: int = 0
    names: set[str] = field(default_factory=set)

    async def ask(self) -> tuple[World, UUID, int]:
        self.vmid += 1
        world = World()
        spec = ContainerSpec(
            NODE,
            VOLUME,
            f"ct-{self.vmid}",
            "local-lvm",
            vmid=self.vmid,
            revision_id=self.revision_id,
            ssh_keys=(USER_KEY,),
        )
        models: dict[str, Any] = {"pve": ModelPve(world, Gate()), "ssh": ModelSsh(world, Gate())}
        return world, await service.request(replace(self.rt, **models), self.session, spec), self.vmid

    async def live(self, world: World, job_id: UUID, dies_at: tuple[int, bool] | None) -> Gate:
        """One worker's life, to its death or to the end of the run."""
        gate = Gate(dies_at)
        rt = self._runtime(world, gate)
        run = asyncio.create_task(engine.run(rt, job_id))
        died = asyncio.create_task(gate.died.wait())
        async with asyncio.timeout(EACH_WITHIN_S):
            await asyncio.wait((run, died), return_when=asyncio.FIRST_COMPLETED)
            died.cancel()
            if gate.died.is_set():
                run.cancel()
                await asyncio.wait((run,))
                await self._let_lease_run_out(job_id)
        with contextlib.suppress(Death, asyncio.CancelledError):
            await run
        self.deaths += gate.died.is_set()
        self.names |= set(gate.calls)
        return gate

    async def survive(self, schedule: Schedule) -> None:
        """Workers die as the schedule says, a last one lives; then all is as if nobody had died."""
        world, job_id, vmid = await self.ask()
        for dies_at in schedule:
            await self.live(world, job_id, dies_at)
        last = await self.live(world, job_id, None)
        await self.check(world, job_id, vmid, f"{schedule}; the last one: {last.calls[:3]}")

    async def check(self, world: World, job_id: UUID, vmid: int, why: str) -> None:
        async with self.rt.db.transaction() as tx:
            creation = await tx.jobs.get(job_id)
            events = await tx.jobs.events_after(job_id, 0, 10_000)
        assert creation.state == JobState.DONE.value, (why, creation.error)
        assert creation.lease_owner is None, why
        assert (creation.ticket_enc, creation.secrets_enc) == (None, None), why
        assert (world.made, set(world.guests)) == (1, {vmid}), why
        assert world.posts == {"vzcreate": 1, "vzstart": 1}, why
        guest = world.guests[vmid]
        assert guest.begun == {f"{at}0-{name}.sh": 1 for at, name in enumerate(SCRIPTS, 1)}, why
        assert guest.files == {"/etc/notice.txt": b"notice\n", "/opt/late/late.txt": b"late\n"}, why
        assert guest.keys == {USER_KEY.split()[1]}, why
        assert (guest.helpers, guest.steps, bool(guest.marker)) == (False, {}, True), why
        assert str(job_id) in guest.config["description"], why
        numbers = [number for event in events for number in range(event.seq, event.seq + event.lines)]
        assert numbers == list(range(1, len(numbers) + 1)), why
        for name in SCRIPTS:
            said = [line for event in events if event.script.endswith(f"{name}.sh") for line in _log(event)]
            assert said == [f"{name} line {n}" for n in range(1, LINES + 1)], why
        percents = [event.percent for event in events]
        assert percents == sorted(percents), why
        assert [event.type for event in events].count(EventType.COMPLETE.value) == 1, why

    def _runtime(self, world: World, gate: Gate) -> Runtime:
        database = cast("DatabaseService", GatedDatabase(self.rt.db, gate))
        bus = cast("Bus", GatedBus(self.rt.bus, gate))
        parts: dict[str, Any] = {
            "db": database,
            "journal": Journal(database, self.rt.timing),
            "standings": Standings(database),
            "bus": bus,
            "outbox": Outbox(bus),
            "pve": ModelPve(world, gate),
            "ssh": ModelSsh(world, gate),
        }
        return replace(self.rt, **parts)

    async def _let_lease_run_out(self, job_id: UUID) -> None:
        async with self.rt.db.transaction() as tx:
            creation = cast("Job", await tx.session.get(Job, job_id))
            if creation.lease_until is not None:
                creation.lease_until = creation.created_at


def _log(event: Any) -> list[str]:
    return event.message.split("\n") if event.type == EventType.LOG.value else []


@pytest.fixture(params=DOORS)
async def worlds(settings_with: Callable[..., Settings], request: pytest.FixtureRequest) -> AsyncIterator[Worlds]:
    async with Runtime.open(settings_with(TIMING=AT_ONCE)) as rt:
        async with rt.db.transaction() as tx:
            node = await tx.nodes.add(
                ProxmoxNode(
                    name="model", host="127.0.0.1", port=8006, verify_tls=False, is_default=True,
                    doors={"*": NODE_DOOR} if request.param == "pct" else {},
                ),
                NodeSecrets(ssh_key="none"),
            )  # fmt: skip
        revision_id = await store(rt, CONTENT)
        ticket = Ticket("root@pam", f"PVE:root@pam:{int(time.time()):08X}::none", "none", time.time())
        session, _ = await sessions.begin(
            rt, endpoint_id=node.id, endpoint_name=node.name, ticket=ticket, address="127.0.0.1", user_agent="test"
        )
        asyncio.get_running_loop().set_exception_handler(_but_deaths)
        yield Worlds(rt, session, revision_id)


def _but_deaths(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Death):
        loop.default_exception_handler(context)


async def test_a_death_at_some_calls_of_each_part_before_and_after_it_took_effect(worlds: Worlds) -> None:
    world, job_id, _ = await worlds.ask()
    calls = len((await worlds.live(world, job_id, None)).calls)
    for turn in range(SAMPLES):
        await worlds.survive([(calls * turn // SAMPLES, turn % 2 == 1)])
    await worlds.survive([(calls // 3, True), (calls // 3, False)])


@pytest.mark.full
@pytest.mark.timeout(1200)
async def test_a_death_at_any_call_before_or_after_it_took_effect(worlds: Worlds) -> None:
    world, job_id, vmid = await worlds.ask()
    calls = (await worlds.live(world, job_id, None)).calls
    await worlds.check(world, job_id, vmid, "nobody died")
    assert {"redis publish_all", "database"} < set(calls), calls
    for number in range(len(calls)):
        for after in (False, True):
            await worlds.survive([(number, after)])
    assert worlds.deaths >= 2 * len(calls) * 0.9  # a batch more or less, and the last call is another one


@pytest.mark.full
@pytest.mark.timeout(max(1200, 3 * GENERATED))
async def test_generated_schedules_of_two_and_three_deaths(worlds: Worlds) -> None:
    seed = secrets.randbits(32) if GENERATED else 20
    chance = random.Random(seed)  # noqa: S311 - a schedule that failed can be tried again
    world, job_id, _ = await worlds.ask()
    calls = len((await worlds.live(world, job_id, None)).calls)
    for number in range(GENERATED or USUAL):
        schedule = [(chance.randrange(calls), chance.random() < 0.5) for _ in range(chance.choice((2, 3)))]
        try:
            await worlds.survive(schedule)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"seed {seed}, schedule {number}: {schedule}") from error
    assert worlds.deaths > (GENERATED or USUAL)
