"""The ways into a guest: the choice of the way, a whole creation by SSH into the guest, and guests with no way in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import GuestUnreachableError
from lxc_dashboard.guest.base import GUEST_FOLDER, MARKER_FILE
from lxc_dashboard.guest.doors import remove_key
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.creation import preflight, service
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from lxc_dashboard.services.creation.preflight.findings import FindingSeverity
from lxc_dashboard.services.creation.steps import finalize
from lxc_dashboard.services.creation.views import CreationView
from lxc_dashboard.services.jobs.engine import reaper
from pve_sandbox.guests.namespaced import NamespaceHost
from tests.integration.creation.cancelled import pve_hangs_and_is_given_up_soon
from tests.integration.creation.conftest import BASIC, content_of, register, spec_of, store
from tests.integration.creation.counting import Killed, check_exact, counting, let_go
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.settings import Settings
    from pve_sandbox.guests.host import GuestHost
    from pve_sandbox.guests.running_guest import GuestSshServer
    from pve_sandbox.node import SandboxNode
    from tests.integration.creation.conftest import Lab

USER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBB7kKkxxbmGnI8Y6mZr8m3i1bHk0V7W9Qq2vY2n3m4L me"
BREAKING = content_of(("10-break.sh", "#!/bin/sh\n[ -e /root/mended ]\n"))
BY_SSH = "Way in: SSH into the guest with a key made for this creation"


@pytest.fixture
def doors() -> tuple[str, ...]:
    """The nodes with an SSH door at the endpoint."""
    return ()


@pytest.fixture
async def rt(
    settings: Settings, sandbox: SandboxNode, guests: GuestHost, doors: tuple[str, ...]
) -> AsyncIterator[Runtime]:
    if guests.kind.startswith("rootless"):
        pytest.skip("guests of this kind have no address that this machine reaches")
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox, *doors)
        yield runtime


def server_of(lab: Lab, vmid: int) -> GuestSshServer:
    server = cast("NamespaceHost", lab.guests)._running[vmid].ssh
    assert server is not None
    return server


async def secrets_of(lab: Lab, job_id: UUID) -> dict[str, object]:
    async with lab.rt.db.transaction() as tx:
        return await tx.jobs.get_secrets(job_id)


async def has(lab: Lab, vmid: int, path: str) -> bool:
    return (await lab.in_guest(vmid, "sh", "-c", f"[ ! -e {path} ] || echo there")).strip() == "there"


def titles(job: CreationView) -> list[str]:
    return [text.in_words(step.code, step.params, step.title) for step in job.steps]


async def told(lab: Lab, job_id: UUID) -> str:
    return "\n".join(event.message for event in await lab.events(job_id))


async def test_without_a_door_of_its_node_a_guest_is_built_by_its_own_ssh_server(lab: Lab) -> None:
    job_id = await lab.request(BASIC)
    job = await lab.finish(job_id)
    assert (await lab.in_guest(job.vmid, "cat", "/root/runs")).split() == ["first", "second"]
    assert await lab.in_guest(job.vmid, "stat", "-c", "%s", "/opt/late/late.bin") == "16384\n"
    assert BY_SSH in titles(job)
    assert BY_SSH in await told(lab, job_id)
    assert not await has(lab, job.vmid, "/root/.ssh")
    assert await secrets_of(lab, job_id) == {}


async def test_the_keys_of_the_user_stay_when_ours_goes(lab: Lab) -> None:
    job = await lab.finish(await lab.request(counting("one"), ssh_keys=(USER_KEY,)))
    kept = await lab.in_guest(job.vmid, "cat", "/root/.ssh/authorized_keys")
    assert kept == f"# --- BEGIN PVE ---\n{USER_KEY}\n# --- END PVE ---\n"
    assert await lab.in_guest(job.vmid, "stat", "-c", "%a", "/root/.ssh/authorized_keys") == "600\n"
    assert await lab.in_guest(job.vmid, "ls", "-A", "/root/.ssh") == "authorized_keys\n"


@pytest.mark.full
async def test_a_worker_killed_in_mid_script_is_replaced_over_ssh(lab: Lab, settings: Settings) -> None:
    job_id = await lab.request(counting("one", "two"))
    process = await Killed(settings).start(job_id)
    await lab.until_said(job_id, "one line 20")
    process.kill()
    await process.wait()

    async def is_ready() -> bool:
        await lab.work(job_id)
        return (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.DONE

    await lab.until(is_ready, "ready")
    await check_exact(lab, job_id, "one", "two")
    assert not await has(lab, (await service.get_job(lab.rt, lab.session, job_id)).vmid, "/root/.ssh")


@pytest.mark.full
async def test_connections_to_the_guest_that_are_cut_run_nothing_twice(lab: Lab) -> None:
    job_id = await lab.request(counting("one", held=True))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)
    for moment in ("one line 10", "one line 30"):
        await lab.until_said(job_id, moment)
        await lab.until(lambda: server_of(lab, vmid).drop_connections(), "there is a connection to cut")
    await let_go(lab, job_id, "one")
    await work
    await check_exact(lab, job_id, "one")


async def test_another_host_key_than_the_first_stops_the_run(lab: Lab) -> None:
    job_id = await lab.request(counting("one", held=True))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    await server_of(lab, vmid).renew_host_key()
    await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "has another SSH host key than at the first contact" in cause(job.error)


async def test_a_guest_with_another_marker_is_not_entered_by_ssh(lab: Lab) -> None:
    job_id = await lab.request(counting("one", "two", held=True))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    await lab.in_guest(vmid, "sh", "-c", f"rm -f {MARKER_FILE}; echo other > {MARKER_FILE}")
    await let_go(lab, job_id, "one")
    await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "another container" in cause(job.error)
    assert (await lab.in_guest(vmid, "cat", "/root/runs")).split() == ["one"]


async def test_a_failed_run_keeps_its_key_until_it_was_run_again(lab: Lab) -> None:
    job_id = await lab.request(BREAKING)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert "door_key" in await secrets_of(lab, job_id)
    await lab.in_guest(job.vmid, "touch", "/root/mended")
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert await secrets_of(lab, job_id) == {}
    assert not await has(lab, job.vmid, "/root/.ssh")


async def test_the_key_of_a_failed_run_goes_with_its_container(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-break.sh", "#!/bin/sh\nexit 1\n")))
    await lab.finish(job_id, state=JobState.FAILED)
    await reaper.reap(lab.rt)
    assert "door_key" in await secrets_of(lab, job_id), "it may be run again"
    await lab.destroy(job_id)
    await reaper.reap(lab.rt)
    assert await secrets_of(lab, job_id) == {}


async def test_cancelling_takes_the_key_out_of_the_guest(lab: Lab) -> None:
    job_id = await lab.request(counting("one", lines=2000))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    await service.cancel(lab.rt, lab.session, job_id)
    await work
    assert (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.CANCELLED
    assert not await has(lab, vmid, "/root/.ssh")
    assert await secrets_of(lab, job_id) == {}


@pytest.mark.full
async def test_a_key_that_a_cancel_could_not_take_out_goes_when_pve_answers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(counting("one", lines=2000))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)
    await lab.until_said(job_id, "one line 10")
    with pve_hangs_and_is_given_up_soon(lab, monkeypatch):
        await service.cancel(lab.rt, lab.session, job_id)
        await work
    assert CreationCode.KEY_STAYS_YET in [event.code for event in await lab.events(job_id)]
    assert await has(lab, vmid, "/root/.ssh/authorized_keys")
    await lab.until(lambda: settling.settle_due(lab.rt), "settled")
    assert not await has(lab, vmid, "/root/.ssh")
    assert await secrets_of(lab, job_id) == {}


async def test_a_guest_without_ssh_server_is_explained(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lxc_dashboard.services.creation.access.SERVER_WAIT_S", 1.0)
    job_id = await lab.request(counting("one"))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)

    async def stop_server() -> bool:
        running = cast("NamespaceHost", lab.guests)._running.get(vmid)
        if running is None or running.ssh is None:
            return False
        await running.ssh.end()
        return True

    await lab.until(stop_server, "the guest runs")
    await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.error is not None
    assert f"No SSH server listens on CT {vmid}" in cause(job.error)
    assert "openssh-server" in remedy(job.error)


async def test_the_review_says_which_way_is_taken(lab: Lab) -> None:
    spec = spec_of(await store(lab.rt, BASIC))
    found = await preflight.check(lab.rt, lab.session, spec)
    assert [cause(note) for note in found if note.severity is FindingSeverity.NOTE] == [BY_SSH]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ipv4": IpSettings(IpMode.NONE)}, "the guest gets no address"),
        ({"ostemplate": "local:vztmpl/alpine-3.22-default_20250617_amd64.tar.xz"}, "has no SSH server"),
    ],
)
async def test_where_there_is_no_way_in_preflight_says_how_to_register_one(
    lab: Lab, changes: dict[str, object], why: str
) -> None:
    spec = spec_of(await store(lab.rt, BASIC), **changes)
    found = [finding for finding in await preflight.check(lab.rt, lab.session, spec) if why in cause(finding)]
    assert [finding.severity for finding in found] == [FindingSeverity.ERROR]
    assert "Register an SSH door for node pve1" in remedy(found[0])


@pytest.mark.parametrize("doors", [("*",)])
async def test_with_a_door_of_its_node_no_key_is_made(lab: Lab, doors: tuple[str, ...]) -> None:
    job_id = await lab.request(counting("one"))
    job = await lab.finish(job_id)
    way = "Way in: pct over SSH to pve1 (root@127.0.0.1)"
    assert way in titles(job)
    assert way in await told(lab, job_id)
    assert not await has(lab, job.vmid, "/root/.ssh/authorized_keys")


async def moved(lab: Lab) -> tuple[UUID, int]:
    """A failed job that is retried after PVE moved its guest to pve2. Returns its id and vmid."""
    job_id = await lab.request(BREAKING)
    job = await lab.finish(job_id, state=JobState.FAILED)
    await lab.in_guest(job.vmid, "touch", "/root/mended")
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.migrate("pve1", job.vmid, "pve2", restart=True), deadline_s=60)
    await service.retry(lab.rt, lab.session, job_id)
    return job_id, job.vmid


@pytest.mark.parametrize("doors", [("pve1", "pve2")])
async def test_a_guest_that_was_moved_is_entered_by_its_new_node(lab: Lab, doors: tuple[str, ...]) -> None:
    job_id, vmid = await moved(lab)
    await lab.finish(job_id)
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.node == "pve2"
    assert await lab.in_guest(vmid, "cat", f"{GUEST_FOLDER}/id")


@pytest.mark.parametrize("doors", [("pve1",)])
@pytest.mark.full
async def test_a_guest_that_was_moved_to_a_node_without_door_is_told(lab: Lab, doors: tuple[str, ...]) -> None:
    job_id, vmid = await moved(lab)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error is not None
    assert cause(job.error) == f"CT {vmid} was moved to pve2, which has no SSH door at the endpoint"


@pytest.mark.full
async def test_a_removal_whose_answer_was_lost_is_done(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest refuses the key at the second try, as after the death of a worker."""
    job_id = await lab.request(counting("one"))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    tries = []

    async def lose(door: Door, public: str) -> None:
        tries.append(public)
        await remove_key(door, public)
        if len(tries) == 1:
            server_of(lab, vmid).drop_connections()
            raise GuestUnreachableError

    monkeypatch.setattr(finalize, "remove_key", lose)
    await lab.finish(job_id)
    assert len(tries) == 2
    assert not await has(lab, vmid, "/root/.ssh")
