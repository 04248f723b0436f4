"""Cancel in every phase: acknowledged at once, done within 15 s, and what was under way is over, or named."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from lxc_dashboard.db.models import CreationState, PackageManager
from lxc_dashboard.errors import ConflictError, DashboardError
from lxc_dashboard.guest import patience
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME
from lxc_dashboard.services.creation import cancelling, discovery, pipeline, service, settling
from lxc_dashboard.services.creation.checkpoint import Checkpoint
from lxc_dashboard.services.creation.phases import deploy, start, sync
from lxc_dashboard.services.templates.model import Bucket, PackageEntry
from tests.integration.auth.runs import lent
from tests.integration.creation.conftest import BASIC, content_of
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.db.models import Creation
    from lxc_dashboard.guest.files import Placement
    from lxc_dashboard.runtime import Runtime
    from tests.integration.creation.conftest import Lab

CANCEL_WITHIN_S = 15.0
ACKNOWLEDGED_WITHIN_S = 5.0  # before anything is stopped: what hangs or is deaf takes longer than that
STUBBORN = (
    "#!/bin/sh\ntrap '' TERM INT HUP\n(trap '' TERM INT HUP; sleep 987) &\necho begun\nwhile :; do sleep 987; done\n"
)
ALL_PROCESSES = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true"
NOTHING_OF_OURS = "ls -d /var/lib/lxc-dashboard 2>/dev/null; true"
DOWNLOAD = "ubuntu-25.04-standard_25.04-1.1_amd64.tar.zst"


async def cancel(lab: Lab, creation_id: UUID) -> service.JobView:
    """Ask, be told at once, and wait for the end, which must come in time."""
    async with asyncio.timeout(CANCEL_WITHIN_S):
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
            asked = await service.cancel(lab.rt, lab.session, creation_id)
        assert asked.cancel_requested
        await lab.until(lambda: _is(lab, creation_id, CreationState.CANCELLED), "it is cancelled")
    return await service.get_job(lab.rt, lab.session, creation_id)


async def _is(lab: Lab, creation_id: UUID, state: CreationState) -> bool:
    return (await service.get_job(lab.rt, lab.session, creation_id)).state is state


async def said(lab: Lab, creation_id: UUID) -> str:
    return "\n".join(event.message for event in await lab.events(creation_id))


async def check_clean(lab: Lab, job: service.JobView, *words: str) -> None:
    """The container is there, nothing of the run is alive in it, and nothing of ours lies about."""
    assert lab.containers_named(job.hostname) == [job.vmid]
    processes = await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
    assert [word for word in ("987", *words) if word in processes] == [], processes
    assert await lab.in_guest(job.vmid, "sh", "-c", NOTHING_OF_OURS) == ""
    assert job.may_destroy


# ----------------------------------------------------------------------------- creating


async def test_in_the_download_of_an_os_template(lab: Lab) -> None:
    lab.sandbox.hang_task("download")
    creation_id = await lab.request(None, ostemplate=f"local:vztmpl/{DOWNLOAD}", ostemplate_download=DOWNLOAD)
    lab.work(creation_id)
    await lab.until_said(creation_id, "Downloading")
    await lab.until(lambda: _tasks(lab, "download"), "it is downloaded")
    job = await cancel(lab, creation_id)
    assert not job.exists
    assert [task["status"] for task in _tasks(lab, "download")] == ["stopped"]


def _tasks(lab: Lab, kind: str) -> list[dict[str, str]]:
    return [task for task in lab.sandbox.api.tasklog if task["type"] == kind]


async def test_in_the_very_moment_at_which_pve_is_asked_to_create(lab: Lab) -> None:
    creation_id = await lab.request(None)
    lab.sandbox.hang_task("vzcreate")
    lab.work(creation_id)
    await lab.until_said(creation_id, "Creating the container")
    lab.sandbox.slow(0.5)
    await lab.until_said(creation_id, "Creating CT")
    job = await cancel(lab, creation_id)
    lab.sandbox.slow(0)
    assert job.exists == bool(lab.sandbox.api.cts.get(job.vmid))
    assert [task["status"] for task in _tasks(lab, "vzcreate") if task["status"] == "running"] == []


@pytest.mark.parametrize(("kind", "moment"), [("vzcreate", "Creating CT"), ("vzstart", "Starting CT")])
async def test_while_pve_hangs_names_the_task_that_may_go_on(lab: Lab, kind: str, moment: str) -> None:
    lab.sandbox.hang_task(kind)
    creation_id = await lab.request(None)
    lab.work(creation_id)
    await lab.until_said(creation_id, moment)
    await lab.until(lambda: _tasks(lab, kind), "the task runs")
    lab.sandbox.mute()
    job = await cancel(lab, creation_id)
    assert job.exists
    told = await said(lab, creation_id)
    assert f"The task of CT {job.vmid} in PVE could not be stopped" in told
    assert ("what PVE has made of the container is kept as it is" in told) == (kind == "vzcreate")
    lab.sandbox.mute(False)
    await check_settled(lab, creation_id, settling.TASK_ENDED.format(vmid=job.vmid))
    assert [task for task in _tasks(lab, kind) if task["status"] == "running"] == []


async def test_who_does_not_answer_the_stop_is_asked_shortly_what_remains(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "STOP_WITHIN_S", 0.2)
    monkeypatch.setattr(cancelling, "LOOK_WITHIN_S", CANCEL_WITHIN_S)
    lab.sandbox.hang_task("vzstart")
    creation_id = await lab.request(None)
    lab.work(creation_id)
    await lab.until(lambda: _tasks(lab, "vzstart"), "the task runs")
    lab.sandbox.mute()
    assert (await cancel(lab, creation_id)).exists


async def test_between_two_tries_of_a_pve_that_cannot_be_reached(lab: Lab) -> None:
    creation_id = await lab.request(None)
    lab.sandbox.drop(1.0)
    lab.work(creation_id)
    await lab.until_said(creation_id, "trying again")
    job = await cancel(lab, creation_id)
    assert not job.exists


# ----------------------------------------------------------------------------- starting


async def test_while_init_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    never = "echo still-starting; n=$1; while [ $n -gt 0 ]; do sleep 0.2; n=$((n - 1)); done; exit 1 # waits-for-init"
    monkeypatch.setattr(start, "_WAIT_FOR_INIT", never)
    creation_id = await lab.request()
    lab.work(creation_id)
    job = await service.get_job(lab.rt, lab.session, creation_id)

    async def waits() -> bool:
        with contextlib.suppress(DashboardError):  # it does not run yet
            return "waits-for-init" in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
        return False

    await lab.until(waits, "init is waited for")
    job = await cancel(lab, creation_id)

    async def is_over() -> bool:
        return "waits-for-init" not in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)

    async with asyncio.timeout(CANCEL_WITHIN_S):
        await lab.until(is_over, "nothing looks at its init any more")
    await check_clean(lab, job)


async def test_while_an_address_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "global_addresses", lambda _: [])
    creation_id = await lab.request()
    lab.work(creation_id)
    await lab.until_said(creation_id, "Its init is up")
    await check_clean(lab, await cancel(lab, creation_id))


# ----------------------------------------------------------------------------- deploying to finalizing


async def test_in_the_placing_of_a_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    placing = asyncio.Event()

    async def hangs(*_: object) -> Placement:
        placing.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(deploy, "place", hangs)
    creation_id = await lab.request(BASIC)
    lab.work(creation_id)
    await placing.wait()
    await check_clean(lab, await cancel(lab, creation_id))


async def test_in_an_installation_that_ignores_term(lab: Lab) -> None:
    install = "trap '' TERM INT HUP; echo installing; while :; do sleep 987; done"
    tool = PackageEntry("stubborn-tool", check="false", install=install)
    content = content_of(buckets=[Bucket("tools", PackageManager.CUSTOM, (tool,))])
    creation_id = await lab.request(content)
    lab.work(creation_id)
    await lab.until_said(creation_id, "installing")
    await check_clean(lab, await cancel(lab, creation_id))


@pytest.mark.parametrize("text", [STUBBORN, "#!/bin/sh\necho begun\nexec sleep 987\n"], ids=["ignores-term", "hangs"])
async def test_in_a_script(lab: Lab, text: str) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", text)))
    lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    await check_clean(lab, await cancel(lab, creation_id))


async def test_while_services_are_looked_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "SCRIPT", "touch /root/looking; sleep 20")
    creation_id = await lab.request(content_of(("10-short.sh", "true")))
    lab.work(creation_id)
    await lab.until_said(creation_id, "Finishing")
    job = await cancel(lab, creation_id)
    assert lab.containers_named(job.hostname) == [job.vmid]


# ----------------------------------------------------------------------------- nobody works on it


async def test_a_queued_run_ends_at_once_without_any_worker(lab: Lab) -> None:
    creation_id = await lab.request(None)
    await service.cancel(lab.rt, lab.session, creation_id)
    job = await service.get_job(lab.rt, lab.session, creation_id)
    assert (job.state, job.exists) == (CreationState.CANCELLED, False)
    assert "no container remains" in await said(lab, creation_id)
    await lab.work(creation_id)
    assert lab.containers_named(job.hostname) == []


async def test_a_paused_run_ends_at_once_without_any_worker(lab: Lab) -> None:
    creation_id = await lab.request(None, pause_after_create=True)
    await lab.finish(creation_id, state=CreationState.PAUSED)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await service.cancel(lab.rt, operator, creation_id)
    job = await service.get_job(lab.rt, lab.session, creation_id)
    assert (job.state, job.exists, job.may_destroy) == (CreationState.CANCELLED, True, True)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_a_retry_whose_create_may_have_left_something_is_looked_at_by_a_worker(lab: Lab) -> None:
    lab.sandbox.hang_task("vzcreate")
    creation_id = await lab.request(None)
    work = lab.work(creation_id)
    await lab.until(lambda: _tasks(lab, "vzcreate"), "the task runs")
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.stop(_tasks(lab, "vzcreate")[0]["upid"])
    await work
    await service.retry(lab.rt, lab.session, creation_id)
    await service.cancel(lab.rt, lab.session, creation_id)
    assert (await service.get_job(lab.rt, lab.session, creation_id)).state is CreationState.QUEUED
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    assert job.exists == bool(lab.sandbox.api.cts.get(job.vmid))


async def test_one_that_waits_for_a_sign_in_is_cancelled_by_who_may_manage_it(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", "#!/bin/sh\necho begun\nsleep 987\n")))
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    async with lab.rt.db.transaction() as tx:
        await tx.creations.wipe_tickets_of_session(lab.session.id)
    await work
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await service.cancel(lab.rt, operator, creation_id)
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    assert job.exists


async def test_one_that_is_over_says_so(lab: Lab) -> None:
    creation_id = await lab.request(None)
    await service.cancel(lab.rt, lab.session, creation_id)
    with pytest.raises(ConflictError, match="has ended: cancelled"):
        await service.cancel(lab.rt, lab.session, creation_id)


# ----------------------------------------------------------------------------- the door


@dataclass
class Relay:
    """A way to the SSH door that can freeze: it then takes connections and bytes, and passes none on."""

    port: int
    going: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.going.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        both = [asyncio.create_task(self._pass(*pair)) for pair in ((reader, back), (there, writer))]
        self.tasks.update(both)
        await asyncio.wait(both)
        for end in (back, writer):
            end.close()

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                await self.going.wait()
                to.write(data)
                await to.drain()
            to.write_eof()


@asynccontextmanager
async def relayed(lab: Lab) -> AsyncIterator[Relay]:
    relay = Relay(lab.sandbox.ssh_port)
    relay.going.set()
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = {"host": "127.0.0.1", "port": port, "host_key": lab.sandbox.ssh_host_key}
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={"*": door})
    try:
        yield relay
    finally:
        for task in relay.tasks:
            task.cancel()
        await asyncio.gather(*relay.tasks, return_exceptions=True)
        server.close()


async def test_with_a_door_that_hangs_names_what_may_go_on_in_the_guest(lab: Lab) -> None:
    async with relayed(lab) as relay:
        creation_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
        lab.work(creation_id)
        await lab.until_said(creation_id, "begun")
        relay.going.clear()
        job = await cancel(lab, creation_id)
        assert "What ran in the guest could not be stopped" in await said(lab, creation_id)
        assert job.may_destroy
        relay.going.set()
        await check_settled(lab, creation_id, settling.GUEST_ENDED)
        await check_clean(lab, job)


async def test_with_a_door_that_is_shut_names_what_may_go_on_in_the_guest(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    door = lab.sandbox._door
    assert door
    door.refuse = True
    door.drop_connections()
    job = await cancel(lab, creation_id)
    assert "What ran in the guest could not be stopped" in await said(lab, creation_id)
    door.refuse = False
    assert "987" in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)


async def test_in_a_script_while_pve_hangs_what_runs_is_named_and_ended_when_pve_answers(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    await asyncio.sleep(5.1)  # an answer about the user's rights holds for 5 s
    lab.sandbox.mute()
    job = await cancel(lab, creation_id)
    assert "What ran in the guest could not be stopped" in await said(lab, creation_id)
    assert job.may_destroy
    assert await settling.settle_due(lab.rt) == 0
    lab.sandbox.mute(False)
    assert "987" in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
    await check_settled(lab, creation_id, settling.GUEST_ENDED)
    await check_clean(lab, job)


async def test_while_pve_hangs_over_the_look_at_the_ticket(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    monkeypatch.setattr(pipeline, "KEEP_TICKET_EVERY_S", 0.2)
    lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    lab.sandbox.mute()
    await lab.until(lambda: lab.sandbox.faults.unanswered, "PVE was asked whether it takes the ticket")
    await cancel(lab, creation_id)


async def test_a_script_that_began_as_its_worker_died_does_not_go_on_unnamed(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-short.sh", "true"), ("20-long.sh", STUBBORN)))
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    await forget_what_was_told_of(lab, creation_id, "script.002.20-long.sh")
    await service.cancel(lab.rt, lab.session, creation_id)
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    await check_clean(lab, job)


async def test_a_script_that_runs_since_its_door_went_away_is_ended_where_the_retry_is_cancelled_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    creation_id = await lab.request(content_of(("10-short.sh", "true"), ("20-long.sh", STUBBORN)))
    work, door = lab.work(creation_id), lab.sandbox._door
    assert door
    await lab.until_said(creation_id, "begun")
    with monkeypatch.context() as patched:
        patched.setattr(patience, "RECONNECT_FOR_S", 0.0)
        patched.setattr(pipeline, "PATIENCE_S", 0.0)
        door.refuse = True
        door.drop_connections()
        await work
    assert await _is(lab, creation_id, CreationState.FAILED)
    door.refuse = False
    await service.retry(lab.rt, lab.session, creation_id)
    await service.cancel(lab.rt, lab.session, creation_id)
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    assert "could not be stopped" not in await said(lab, creation_id)
    await check_clean(lab, job)


async def test_a_script_that_had_not_begun_when_its_worker_died_never_does(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = asyncio.Event()

    async def never(*_: object) -> None:
        begins.set()
        await asyncio.Event().wait()

    creation_id = await lab.request(content_of(("10-first.sh", "#!/bin/sh\ntouch /root/ran\n")))
    with monkeypatch.context() as patched:
        patched.setattr(sync, "run_step", never)
        work = lab.work(creation_id)
        await begins.wait()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    await service.cancel(lab.rt, lab.session, creation_id)
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    await check_clean(lab, job)
    assert "could not be stopped" not in await said(lab, creation_id)
    assert await lab.in_guest(job.vmid, "sh", "-c", "ls /root/ran 2>/dev/null; true") == ""


async def forget_what_was_told_of(lab: Lab, creation_id: UUID, step: str) -> None:
    """As the row stands where the worker died before the journal had written that the step began."""
    async with lab.rt.db.transaction() as tx:
        creation = await tx.creations.get(creation_id)
        checkpoint = Checkpoint.from_json(creation.checkpoint)
        assert checkpoint.active == step
        checkpoint.active = ""
        checkpoint.offset.pop(step, None)
        checkpoint.told.remove(step)
        creation.checkpoint = checkpoint.to_json()


async def cancelled_while_pve_hangs(lab: Lab) -> service.JobView:
    """In a script that goes on."""
    creation_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    await asyncio.sleep(5.1)  # an answer about the user's rights holds for 5 s
    lab.sandbox.mute()
    job = await cancel(lab, creation_id)
    lab.sandbox.mute(False)
    return job


async def test_what_is_owed_ends_with_the_session_that_lent_the_ticket(lab: Lab) -> None:
    job = await cancelled_while_pve_hangs(lab)
    assert (await owed(lab, job.id))[1] is not None
    async with lab.rt.db.transaction() as tx:
        await tx.creations.wipe_tickets_of_session(lab.session.id)
    assert await owed(lab, job.id) == (CreationState.CANCELLED.value, None, None)
    assert await settling.settle_due(lab.rt) == 0
    assert settling.GUEST_ENDED not in await said(lab, job.id)


async def test_what_is_owed_is_given_up_twelve_hours_after_the_sign_in(lab: Lab) -> None:
    job = await cancelled_while_pve_hangs(lab)
    async with lab.rt.db.transaction() as tx:
        (await tx.creations.get(job.id)).signed_in_at -= ABSOLUTE_LIFETIME
    await check_settled(lab, job.id, settling.GIVEN_UP)
    assert "987" in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)


async def test_what_is_owed_in_a_container_that_is_destroyed_is_nothing(lab: Lab) -> None:
    job = await cancelled_while_pve_hangs(lab)
    await service.destroy(lab.rt, lab.session, job.id)
    await check_settled(lab, job.id, settling.GONE.format(vmid=job.vmid))


async def test_what_nobody_expected_of_one_run_hides_no_other(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = await lent(lab.rt, lab.session, 901), await lent(lab.rt, lab.session, 902)
    async with lab.rt.db.transaction() as tx:
        for creation_id in (broken, whole):
            (await tx.creations.get(creation_id)).state = CreationState.CANCELLED.value

    async def end(_rt: Runtime, creation: Creation) -> str:
        if creation.id == broken:
            raise RuntimeError("frobnicated")
        return settling.GUEST_ENDED

    monkeypatch.setattr(settling, "_end", end)
    with capture_logs() as logged:
        assert await settling.settle_due(lab.rt) == 1
    assert [line["creation_id"] for line in logged if line.get("exc_info")] == [str(broken)]
    assert [(await owed(lab, each))[1] is None for each in (broken, whole)] == [False, True]


async def test_one_pass_at_a_time_tries_to_end_what_is_owed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    creation_id = await lent(lab.rt, lab.session, 901)
    async with lab.rt.db.transaction() as tx:
        (await tx.creations.get(creation_id)).state = CreationState.CANCELLED.value
    begun, ends = asyncio.Event(), asyncio.Event()

    async def hangs(*_: object) -> bool:
        begun.set()
        await ends.wait()
        return True

    monkeypatch.setattr(settling, "_settle", hangs)
    first = asyncio.create_task(settling.settle_due(lab.rt))
    await begun.wait()
    async with asyncio.timeout(5):
        assert await settling.settle_due(lab.rt) == 0
    ends.set()
    assert await first == 1
    assert await settling.settle_due(lab.rt) == 1


async def owed(lab: Lab, creation_id: UUID) -> tuple[str, str | None, str | None]:
    async with lab.rt.db.transaction() as tx:
        creation = await tx.creations.get(creation_id)
    return creation.state, creation.ticket_enc, creation.secrets_enc


async def check_settled(lab: Lab, creation_id: UUID, told: str) -> None:
    """By the schedule, once, and said in the log; no ticket is kept after that."""
    await lab.until(lambda: settling.settle_due(lab.rt), "settled")
    assert await owed(lab, creation_id) == (CreationState.CANCELLED.value, None, None)
    assert await settling.settle_due(lab.rt) == 0
    assert (await said(lab, creation_id)).split("\n").count(told) == 1
