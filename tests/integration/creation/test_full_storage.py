"""A thin storage fills up under a container: PVE reports OK, the guest is read-only, and the job names the storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation import service
from tests.integration.creation.conftest import BASIC
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.creation.views import CreationView
    from tests.integration.creation.conftest import Lab

MIB = 1024**2
TOO_LITTLE = 100 * MIB  # less than the unpacked OS template
STORAGE = "Storage local-lvm is full. "
REMEDY = (
    "Free space on storage local-lvm or choose another storage. Then destroy this container and create it again: "
    "its disk may be incomplete"
)


async def failed(lab: Lab, job_id: UUID) -> CreationView:
    return await lab.finish(job_id, state=JobState.FAILED)


def create_tasks(lab: Lab) -> list[str]:
    return [task["exitstatus"] for task in lab.sandbox.api.tasklog if task["type"] == "vzcreate"]


async def test_a_storage_that_fills_up_during_extraction_fails_the_job_with_its_name_though_pve_says_ok(
    lab: Lab,
) -> None:
    lab.sandbox.fill_storage("local-lvm", TOO_LITTLE)
    job_id = await lab.request(None)
    job = await failed(lab, job_id)
    assert create_tasks(lab) == ["OK"]
    assert job.error
    assert cause(job.error) == f"{STORAGE}PVE ended the task of CT {job.vmid} with OK, but its disk may be incomplete"
    assert (job.error.step, remedy(job.error)) == ("create", REMEDY)


@pytest.mark.full
async def test_such_a_container_stays_refused_once_the_storage_has_room_again(lab: Lab) -> None:
    lab.sandbox.fill_storage("local-lvm", TOO_LITTLE)
    job_id = await lab.request(None)
    await failed(lab, job_id)
    lab.sandbox.empty_storage("local-lvm")
    await service.retry(lab.rt, lab.session, job_id)
    job = await failed(lab, job_id)
    assert job.error
    assert remedy(job.error) == REMEDY
    assert create_tasks(lab) == ["OK"]


@pytest.mark.full
async def test_a_guest_that_another_one_left_without_room_fails_with_the_storages_name(
    lab: Lab,
) -> None:
    job_id = await lab.request(BASIC, pause_after_create=True)
    job = await lab.finish(job_id, state=JobState.PAUSED)
    lab.sandbox.fill_storage("local-lvm")
    lab.sandbox.api.failed_filesystems.add(job.vmid)
    await service.go_on(lab.rt, lab.session, job_id)
    job = await failed(lab, job_id)
    assert job.error
    assert cause(job.error).startswith(f"{STORAGE}The helpers cannot be put into the guest: ")
    assert "Read-only file system" in cause(job.error)
    assert remedy(job.error) == REMEDY


@pytest.mark.full
async def test_a_file_system_that_is_read_only_on_a_storage_with_room_names_no_storage(lab: Lab) -> None:
    job_id = await lab.request(BASIC, pause_after_create=True)
    job = await lab.finish(job_id, state=JobState.PAUSED)
    lab.sandbox.api.failed_filesystems.add(job.vmid)
    await service.go_on(lab.rt, lab.session, job_id)
    job = await failed(lab, job_id)
    assert job.error
    assert cause(job.error).startswith("The helpers cannot be put into the guest: ")
    assert "local-lvm" not in remedy(job.error)
