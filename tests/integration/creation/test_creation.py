"""A whole creation, from the request to the result in the guest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import EventType, JobState, Lifecycle
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings, PasswordMode
from lxc_dashboard.services.jobs import identity

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab


async def test_a_template_is_really_in_the_guest(lab: Lab) -> None:
    job_id = await lab.request(tags=("one", "two"), description="My notes")
    job = await lab.finish(job_id)
    vmid = job.vmid

    assert await lab.in_guest(vmid, "cat", "/root/runs") == "first\nsecond\n"
    assert await lab.in_guest(vmid, "stat", "-c", "%a %u:%g %s", "/etc/motd.txt") == "640 0:0 8\n"
    assert await lab.in_guest(vmid, "stat", "-c", "%a %s", "/opt/late/late.bin") == "644 16384\n"
    assert await lab.in_guest(vmid, "stat", "-c", "%a", "/usr/bin/probe-tool") == "755\n"
    assert job.percent == 100
    assert job.result is not None
    assert job.result.credentials == ("web",)


async def test_the_guest_is_left_with_nothing_of_ours_but_the_marker_and_the_credentials(lab: Lab) -> None:
    job = await lab.finish(await lab.request())
    async with lab.rt.db.transaction() as tx:
        container = await tx.containers.get(job.container_id)
    assert await lab.in_guest(job.vmid, "cat", "/etc/lxc-dashboard/id") == f"{container.marker}\n"
    assert await lab.in_guest(job.vmid, "ls", "/etc/lxc-dashboard") == "credentials\nid\n"
    assert (
        await lab.in_guest(job.vmid, "sh", "-c", "ls -d /var/lib/lxc-dashboard 2>&1 || true")
        != "/var/lib/lxc-dashboard\n"
    )
    assert "supervisor" not in await lab.in_guest(job.vmid, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; true")


async def test_what_was_made_is_recorded_and_the_secrets_are_gone(lab: Lab) -> None:
    job_id = await lab.request(tags=("one", "two"), description="My notes", password_mode=PasswordMode.GENERATED)
    job = await lab.finish(job_id)
    async with lab.rt.db.transaction() as tx:
        creation = await tx.jobs.get(job_id)
        container = await tx.containers.get(job.container_id)
        credentials = tx.containers.credentials(container)
        password = tx.containers.root_password(container)
        audit = await tx.audit.list(action="creation")
    assert (creation.ticket_enc, creation.secrets_enc, creation.lease_owner) == (None, None, None)
    assert container.lifecycle == Lifecycle.READY.value
    assert container.template_revision_id == creation.revision_id
    assert container.address
    assert len(credentials["web"]["password"]) == 20
    assert password
    assert len(password) == 24
    assert [entry.action for entry in audit] == ["creation.done", "creation.request"]
    guest = lab.sandbox.api.cts.get(job.vmid)
    assert guest
    assert identity.without_lines(guest.config["description"]).startswith(
        "My notes\n\n---\n\nBuilt by LXC Dashboard from **"
    )
    assert set(guest.config["tags"].split(";")) == {"one", "two"}
    events = " ".join(event.message for event in await lab.events(job_id))
    assert password not in events
    assert credentials["web"]["password"] not in events


async def test_events_are_numbered_without_a_gap_and_percent_never_falls(lab: Lab) -> None:
    job_id = await lab.request()
    await lab.finish(job_id)
    events = await lab.events(job_id)
    numbers = [number for event in events for number in range(event.seq, event.seq + event.lines)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event.percent for event in events] == sorted(event.percent for event in events)
    assert events[-1].type is EventType.COMPLETE
    assert await lab.log_of(job_id, "10-first.sh") == ["[info] hello from debian"]


async def test_a_container_without_a_template_needs_no_door(lab: Lab) -> None:
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={})
    job = await lab.finish(await lab.request(None, hostname="plain"))
    assert job.template == ""
    assert lab.containers_named("plain") == [job.vmid]


async def test_a_static_address_is_the_one_that_was_asked_for(lab: Lab) -> None:
    first = await lab.finish(await lab.request(None))
    assert first.result
    base = first.result.address.rpartition(".")[0]
    address = IpSettings(IpMode.STATIC, f"{base}.200/24", f"{base}.1")
    job = await lab.finish(await lab.request(None, ipv4=address))
    assert job.result
    assert job.result.address == f"{base}.200"


@pytest.mark.timeout(300)  # 16 s on two idle cores, longer on busy ones
@pytest.mark.full
async def test_twenty_at_once_each_get_their_own(lab: Lab) -> None:
    ids = await asyncio.gather(*(lab.request(hostname=f"many-{n:02d}") for n in range(20)))
    # A node creates only a few at once. The other jobs return to the queue and start again.
    while [job for job in await service.list_jobs(lab.rt, lab.session, unfinished=True) if job.id in ids]:
        await asyncio.gather(*(lab.work(job_id) for job_id in ids))
    jobs = [await lab.finish(job_id, state=JobState.DONE) for job_id in ids]
    assert len({job.vmid for job in jobs}) == 20
    assert all(lab.containers_named(f"many-{n:02d}") == [jobs[n].vmid] for n in range(20))
    for job in jobs:
        assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nsecond\n"
