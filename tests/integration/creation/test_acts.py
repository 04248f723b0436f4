"""Cancel, retry, destroy, and who may do what."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import CreationState, EventType, Lifecycle, PackageManager
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, PreflightError, PrivilegeError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import listing, preflight, service
from lxc_dashboard.services.creation.findings import FindingSeverity
from lxc_dashboard.services.creation.service import Secrets
from lxc_dashboard.services.creation.spec import ExtraPackage, IpMode, IpSettings, PasswordMode
from lxc_dashboard.services.creation.views import StepState
from tests.integration.creation.conftest import BASIC, content_of, entered_again_until_it_ends, script, spec_of, store
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

CANCEL_WITHIN_S = 15


async def cancel(lab: Lab, creation_id: UUID, work: asyncio.Task[None]) -> service.JobView:
    """Ask, and wait for the end, which must come in time."""
    asked = await service.cancel(lab.rt, lab.session, creation_id)
    assert asked.cancel_requested
    async with asyncio.timeout(CANCEL_WITHIN_S):
        await work
    job = await service.get_job(lab.rt, lab.session, creation_id)
    assert job.state is CreationState.CANCELLED
    return job


async def test_cancel_in_a_script_ends_its_processes_and_keeps_the_container(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", "#!/bin/sh\necho begun\nsleep 987 & sleep 987\n")))
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    job = await cancel(lab, creation_id, work)
    assert "987" not in await lab.in_guest(job.vmid, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; true")
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert job.may_destroy
    assert not job.may_retry


async def test_cancel_in_a_script_that_ignores_term_is_in_time(lab: Lab) -> None:
    text = "#!/bin/sh\ntrap '' TERM\necho begun\nwhile :; do sleep 1; done\n"
    creation_id = await lab.request(content_of(("10-deaf.sh", text)))
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    await cancel(lab, creation_id, work)


@pytest.mark.parametrize(("task", "moment"), [("vzcreate", "Creating CT"), ("vzstart", "Starting CT")])
async def test_cancel_stops_a_hanging_task(lab: Lab, task: str, moment: str) -> None:
    lab.sandbox.hang_task(task)
    creation_id = await lab.request()
    work = lab.work(creation_id)
    await lab.until_said(creation_id, moment)
    job = await cancel(lab, creation_id, work)
    client = await acting.client(lab.rt, lab.session)
    assert not [entry for entry in await client.tasks.list(job.node, typefilter=task) if entry.running]
    found = await client.lxc.find(job.node, job.vmid)
    assert job.exists == (found is not None)
    said = " ".join(event.message for event in await lab.events(creation_id))
    assert found is None or not found.lock or f"pct unlock {job.vmid}" in said


async def test_cancel_before_a_worker_came_frees_the_vmid(lab: Lab) -> None:
    creation_id = await lab.request(None)
    await service.cancel(lab.rt, lab.session, creation_id)
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    assert not job.exists
    again = await lab.request(None)
    assert (await service.get_job(lab.rt, lab.session, again)).vmid == job.vmid


async def test_cancel_while_it_waits_for_a_sign_in(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-long.sh", "#!/bin/sh\necho begun\nsleep 987\n")))
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    async with lab.rt.db.transaction() as tx:
        await tx.creations.wipe_tickets_of_session(lab.session.id)
    await work
    lab.session = await sign_in(lab.rt, lab.sandbox)
    await service.cancel(lab.rt, lab.session, creation_id)
    job = await lab.finish(creation_id, state=CreationState.CANCELLED)
    assert "987" not in await lab.in_guest(job.vmid, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; true")


async def test_an_ended_job_is_not_cancelled(lab: Lab) -> None:
    creation_id = await lab.request(None)
    await lab.finish(creation_id)
    with pytest.raises(ConflictError, match="has ended"):
        await service.cancel(lab.rt, lab.session, creation_id)


FLAKY = content_of(
    ("10-first.sh", "#!/bin/sh\necho first >> /root/runs\n"),
    (
        "20-flaky.sh",
        "#!/bin/sh\necho flaky >> /root/runs\n[ -e /root/mended ] || { echo frobnicate: not found; exit 127; }\n",
    ),
    ("30-last.sh", "#!/bin/sh\necho last >> /root/runs\n"),
    files=BASIC.files[:1],
)


async def test_a_failed_script_is_explained_and_retried_from_there(lab: Lab) -> None:
    creation_id = await lab.request(FLAKY)
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    assert job.error
    assert job.error.step == "20-flaky.sh"
    assert "a command is missing in the guest: frobnicate" in job.error.message
    assert job.error.remedy
    states = {step.title: step.state for step in job.steps}
    assert (states["10-first.sh"], states["20-flaky.sh"], states["30-last.sh"]) == (
        StepState.DONE, StepState.FAILED, StepState.WAITING,
    )  # fmt: skip
    async with lab.rt.db.transaction() as tx:
        assert (await tx.containers.get(job.container_id)).lifecycle == Lifecycle.ERROR.value

    await lab.in_guest(job.vmid, "touch", "/root/mended")
    again = await service.retry(lab.rt, lab.session, creation_id)
    assert again.state is CreationState.QUEUED
    job = await lab.finish(creation_id)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nflaky\nflaky\nlast\n"
    assert all(step.state is StepState.DONE for step in job.steps)


async def test_a_retry_that_another_overtook_begins_where_that_one_failed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    creation_id = await lab.request(FLAKY)
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    looked, overtaken = service._require_same_user, False

    async def look_slowly(*args: Any) -> None:
        nonlocal overtaken
        await looked(*args)
        if not overtaken:
            overtaken = True
            await service.retry(lab.rt, lab.session, creation_id)
            await lab.finish(creation_id, state=CreationState.FAILED)

    monkeypatch.setattr(service, "_require_same_user", look_slowly)
    await service.retry(lab.rt, lab.session, creation_id)
    await lab.finish(creation_id, state=CreationState.FAILED)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nflaky\nflaky\nflaky\n"


async def test_a_retry_starts_a_container_that_was_stopped_meanwhile(lab: Lab) -> None:
    creation_id = await lab.request(FLAKY)
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    await lab.in_guest(job.vmid, "touch", "/root/mended")
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.stop(job.node, job.vmid))
    await service.retry(lab.rt, lab.session, creation_id)
    await lab.finish(creation_id)


async def test_an_optional_script_may_fail(lab: Lab) -> None:
    content = replace(
        FLAKY, scripts=(script("10-may.sh", "exit 3", 0, optional=True), script("20-last.sh", "echo last", 1))
    )
    creation_id = await lab.request(content)
    await lab.finish(creation_id)
    warnings = [event.message for event in await lab.events(creation_id) if event.type is EventType.WARNING]
    assert any("10-may.sh ended with status 3" in message for message in warnings)


async def test_a_script_over_its_time_is_ended_and_told(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-slow.sh", "#!/bin/sh\nsleep 300\n"), timeout_s=1))
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    assert job.error
    assert "longer than it may" in job.error.message


async def test_a_file_without_a_directory_fails_after_the_scripts(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-a.sh", "true"), files=BASIC.files))
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    assert job.error
    assert "/opt/late does not exist" in job.error.message
    await lab.in_guest(job.vmid, "mkdir", "-p", "/opt/late")
    await service.retry(lab.rt, lab.session, creation_id)
    await lab.finish(creation_id)
    assert await lab.in_guest(job.vmid, "stat", "-c", "%s", "/opt/late/late.bin") == "16384\n"


async def test_scripts_run_as_the_user_ordered_them(lab: Lab) -> None:
    creation_id = await lab.request(BASIC, scripts=("20-second.sh", "10-first.sh"))
    job = await lab.finish(creation_id)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "second\nfirst\n"


async def test_what_a_failed_job_left_is_destroyed_and_its_vmid_free(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    assert await service.destroy(lab.rt, lab.session, creation_id) == f"Destroyed CT {job.vmid} {job.hostname}"
    assert lab.containers_named(job.hostname) == []
    job = await service.get_job(lab.rt, lab.session, creation_id)
    assert not job.exists
    assert "gone already" in await service.destroy(lab.rt, lab.session, creation_id)
    with pytest.raises(ConflictError):
        await service.retry(lab.rt, lab.session, creation_id)
    async with lab.rt.db.transaction() as tx:
        actions = [entry.action for entry in await tx.audit.list(action="creation")]
    assert actions == ["creation.destroy", "creation.failed", "creation.request"]


async def test_a_viewer_does_not_write_off_anothers_job_whose_container_is_gone(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.stop(job.node, job.vmid))
    await client.tasks.wait(await client.lxc.delete(job.node, job.vmid, purge=True))
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PrivilegeError, match=r"VM\.Allocate"):
        await service.destroy(lab.rt, viewer, creation_id)
    async with lab.rt.db.transaction() as tx:
        left = await tx.containers.get(job.container_id)
        [refused] = await tx.audit.list(action="creation.destroy")
    assert left.deleted_at is None
    assert (refused.userid, refused.result) == ("viewer@pve", "refused")
    assert (await service.get_job(lab.rt, lab.session, creation_id)).may_retry
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert "gone already" in await service.destroy(lab.rt, operator, creation_id)


async def test_a_ready_container_is_not_destroyed_by_its_job(lab: Lab) -> None:
    creation_id = await lab.request(None)
    job = await lab.finish(creation_id)
    with pytest.raises(ConflictError):
        await service.destroy(lab.rt, lab.session, creation_id)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_another_container_with_the_vmid_is_left_alone(lab: Lab) -> None:
    creation_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    client = await acting.client(lab.rt, lab.session)
    await client.lxc.set_config(job.node, job.vmid, {"description": "somebody else's"})
    with pytest.raises(ConflictError, match="another container"):
        await service.destroy(lab.rt, lab.session, creation_id)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_the_same_request_twice_makes_one_container(lab: Lab) -> None:
    revision_id = await store(lab.rt, BASIC)
    spec, wanted = spec_of(revision_id), uuid4()
    first, second = await asyncio.gather(
        *(service.request(lab.rt, lab.session, spec, creation_id=wanted) for _ in range(2))
    )
    assert first == second == wanted
    assert len(await service.list_jobs(lab.rt, lab.session)) == 1


async def test_a_vmid_that_is_taken_is_refused_before_anything_is_made(lab: Lab) -> None:
    job = await lab.finish(await lab.request(None))
    with pytest.raises(PreflightError) as raised:
        await lab.request(None, vmid=job.vmid)
    assert [finding.field for finding in raised.value.findings] == ["vmid"]  # type: ignore[attr-defined]  # findings are typed as objects
    assert len(await service.list_jobs(lab.rt, lab.session)) == 1


async def test_a_given_password_must_be_one_that_pve_takes(lab: Lab) -> None:
    spec = spec_of(None, password_mode=PasswordMode.GIVEN)
    for password in (None, "", "four", "x" * 501):
        with pytest.raises(InvalidInputError) as raised:
            await service.request(lab.rt, lab.session, spec, Secrets(password))
        assert list(raised.value.fields) == ["password"]


async def findings(lab: Lab, **changes: object) -> dict[str, str]:
    """Field and cause of each error."""
    spec = replace(spec_of(None), **changes)  # type: ignore[arg-type]  # a test names what it changes
    found = await preflight.check(lab.rt, lab.session, spec)
    return {each.field: str(each) for each in found if each.severity is FindingSeverity.ERROR}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("node", {"node": "pve9"}),
        ("storage", {"storage": "nowhere"}),
        ("storage", {"storage": "local"}),
        ("bridge", {"bridge": "vmbr77"}),
        ("ostemplate", {"ostemplate": "local:vztmpl/nothing_1_amd64.tar.zst"}),
        ("packages", {"packages_extra": (ExtraPackage(PackageManager.APK, "curl"),)}),
    ],
)
async def test_preflight_names_what_would_go_wrong(lab: Lab, field: str, changes: dict[str, object]) -> None:
    found = await findings(lab, **changes)
    assert list(found) == [field], found


async def test_preflight_of_a_sound_wish_finds_nothing(lab: Lab) -> None:
    assert await findings(lab) == {}


async def test_preflight_names_a_full_storage_and_an_offline_node(lab: Lab) -> None:
    lab.sandbox.fill_storage("local-lvm")
    assert list(await findings(lab)) == ["disk_gib"]
    lab.sandbox.heal()
    lab.sandbox.node_offline("pve1")
    assert "node" in await findings(lab)


async def test_a_viewer_is_told_all_that_is_missing_once_a_path_and_who_can_grant_it(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PreflightError) as raised:
        await lab.request(vmid=7001)
    lacks = [told.partition(". ") for told in map(str, raised.value.findings) if told.startswith("You lack")]
    at = {cause.rpartition(" at ")[2]: cause for cause, _, _ in lacks}
    assert len(at) == len(lacks), "each path once"
    for privilege in ("VM.Allocate", "VM.PowerMgmt", "VM.Config.CPU", "VM.Console", "VM.Config.Options"):
        assert at["/vms/7001"].count(privilege) == 1
    assert at["/storage/local-lvm"] == "You lack Datastore.AllocateSpace at /storage/local-lvm"
    assert all("Permissions.Modify there, can grant" in lack[-1] for lack in lacks)


async def test_an_operator_creates_and_is_told_what_only_root_may(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert list(await findings(lab, keyctl=True)) == ["keyctl"]
    assert set(await findings(lab, unprivileged=False)) == {"unprivileged"}
    assert await findings(lab, nesting=True) == {}
    privileged = await findings(lab, unprivileged=False, nesting=True)
    assert set(privileged) == {"unprivileged", "nesting"}
    assert "Only root@pam may switch on nesting of a privileged container" in privileged["nesting"]
    await lab.finish(await lab.request())


async def test_without_a_way_in_a_template_is_refused_first(lab: Lab) -> None:
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={})
    with pytest.raises(PreflightError, match="no way into guests"):
        await lab.request(ipv4=IpSettings(IpMode.NONE))


async def test_a_changed_host_key_is_told_before_anything_is_made(lab: Lab) -> None:
    door = {"host": "127.0.0.1", "port": lab.sandbox.ssh_port, "host_key": "SHA256:" + "A" * 43}
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={"*": door})
    with pytest.raises(PreflightError, match="not the pinned one"):
        await lab.request()


async def test_rights_lost_while_it_runs_close_the_door(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    text = "#!/bin/sh\necho begun\nwhile [ ! -e /root/go ]; do sleep 0.1; done\n"
    creation_id = await lab.request(content_of(("10-wait.sh", text), ("20-never.sh", "touch /root/never")))
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "begun")
    lab.sandbox.api.directory.acl[:] = [
        entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "operator@pve"
    ]
    lab.sandbox.api.directory.changed()
    await entered_again_until_it_ends(lab, work)
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    assert job.error
    assert "VM.Console at /vms/" in job.error.message
    assert "never" not in await lab.in_guest(job.vmid, "ls", "/root")


async def test_others_jobs_are_seen_only_with_audit_on_the_container(lab: Lab) -> None:
    creation_id = await lab.request(None)
    await lab.finish(creation_id)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert (await service.get_job(lab.rt, operator, creation_id)).id == creation_id
    assert [job.id for job in await service.list_jobs(lab.rt, operator)] == [creation_id]
    with pytest.raises(ConflictError):
        await service.retry(lab.rt, operator, creation_id)

    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    lab.sandbox.api.directory.acl[:] = [entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    lab.sandbox.api.directory.changed()
    with pytest.raises(NotFoundError):
        await service.get_job(lab.rt, viewer, creation_id)
    assert await service.list_jobs(lab.rt, viewer) == []
    with pytest.raises(NotFoundError):
        await anext(service.follow(lab.rt, viewer, creation_id))


async def test_while_pve_is_silent_ones_own_jobs_are_listed_and_that_is_said(lab: Lab) -> None:
    creation_id = await lab.request(None)
    answered = await listing.page_of(lab.rt, lab.session, listing.Wanted(), limit=8)
    assert not answered.own_only
    await lab.rt.bus.delete(f"creation:seen:{lab.session.id}")
    lab.sandbox.mute()
    try:
        found = await listing.page_of(lab.rt, lab.session, listing.Wanted(), limit=8)
    finally:
        lab.sandbox.mute(False)
    assert found.own_only
    assert [job.id for job in found.jobs] == [creation_id]
    await service.cancel(lab.rt, lab.session, creation_id)
    await lab.finish(creation_id, state=CreationState.CANCELLED)


async def test_only_one_who_may_allocate_cancels_anothers_job(lab: Lab) -> None:
    creation_id = await lab.request(None)
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PrivilegeError, match=r"VM\.Allocate"):
        await service.cancel(lab.rt, viewer, creation_id)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    seen = [await service.get_job(lab.rt, each, creation_id) for each in (viewer, operator, lab.session)]
    assert [job.may_cancel for job in seen] == [False, True, True]
    assert [job.may_console for job in seen] == [False, True, True]
    await service.cancel(lab.rt, operator, creation_id)
    await lab.finish(creation_id, state=CreationState.CANCELLED)
    assert not (await service.get_job(lab.rt, viewer, creation_id)).may_destroy


async def test_a_failed_create_is_retried_with_a_new_task(lab: Lab) -> None:
    lab.sandbox.hang_task("vzcreate")
    creation_id = await lab.request(None)
    work = lab.work(creation_id)
    await lab.until_said(creation_id, "Creating CT")
    client = await acting.client(lab.rt, lab.session)

    async def running() -> str:
        tasks = await client.tasks.list("pve1", typefilter="vzcreate")
        return next((task.upid for task in tasks if task.running), "")

    await client.tasks.stop(await lab.until(running, "the task"))
    await work
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    left = lab.sandbox.api.cts.get(job.vmid)
    if left is not None:  # PVE itself removes what a stopped create has begun
        lab.sandbox.api.cts.remove(left)
    await service.retry(lab.rt, lab.session, creation_id)
    await lab.finish(creation_id)
