"""Guests that contain files of a former job or refuse the helpers, and delayed files whose target already exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType, FilePolicy, JobState
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.steps import deploy
from lxc_dashboard.services.templates.model import FileEntry
from tests.integration.creation.conftest import content_of
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from tests.integration.creation.conftest import Lab

FORMER = "0192f0c8-1111-7000-8000-000000000000"
STEP = "script.001.10-first.sh"
ONE_SCRIPT = content_of(("10-first.sh", "#!/bin/sh\necho ran >>/root/runs\n"))
# State of another container's job that an OS template contains: its marker and this ended step.
BUILT_BEFORE = f"""
set -e
mkdir -p /etc/lxc-dashboard/credentials /var/lib/lxc-dashboard/steps/{STEP}
echo {FORMER} >/etc/lxc-dashboard/id
: >/var/lib/lxc-dashboard/steps/{STEP}/out
echo "exit 0 0 1 2" >/var/lib/lxc-dashboard/steps/{STEP}/status
"""


def has_at_its_start(lab: Lab, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Run ``script`` in each guest right after its start, before a job enters it."""
    start = lab.guests.start

    async def start_and_run(vmid: int) -> None:
        await start(vmid)
        await lab.in_guest(vmid, "sh", "-c", script)

    monkeypatch.setattr(lab.guests, "start", start_and_run)


async def test_an_os_template_made_from_a_built_container_is_built_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_at_its_start(lab, monkeypatch, BUILT_BEFORE)
    job_id = await lab.request(ONE_SCRIPT)
    job = await lab.finish(job_id)
    async with lab.rt.db.transaction() as tx:
        container = await tx.containers.get(job.container_id)
    assert await lab.in_guest(job.vmid, "cat", "/etc/lxc-dashboard/id", "/root/runs") == f"{container.marker}\nran\n"
    told = [event.message for event in await lab.events(job_id)]
    assert text.in_words(CreationCode.FORMER_JOB_CLEARED, {}) in told


async def test_a_marker_that_is_another_one_by_now_is_left_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_before(door: Door) -> str:
        del door
        return "of-the-one-before"

    has_at_its_start(lab, monkeypatch, BUILT_BEFORE)
    monkeypatch.setattr(deploy, "read_marker", read_before)
    job = await lab.finish(await lab.request(ONE_SCRIPT), state=JobState.FAILED)
    assert job.error
    assert "another container now" in cause(job.error)
    kept = ["cat", "/etc/lxc-dashboard/id", f"/var/lib/lxc-dashboard/steps/{STEP}/status"]
    assert await lab.in_guest(job.vmid, *kept) == f"{FORMER}\nexit 0 0 1 2\n"


@pytest.mark.parametrize(
    ("script", "said", "advice"),
    [
        (
            "mkdir -p /run/etc && mount --rbind /etc /run/etc && mount --bind /run/etc /etc && mount -o remount,bind,ro /etc",
            "Read-only file system",
            "Make it writable",
        ),
        (
            "mkdir -p /var/lib/lxc-dashboard && mount -t tmpfs -o size=4k tmpfs /var/lib/lxc-dashboard",
            "No space left on device",
            "Give it a larger disk",
        ),
        ("mkdir -p /etc && echo x >/etc/lxc-dashboard", "File exists", "Clear what blocks /etc/lxc-dashboard"),
    ],
    ids=["read-only", "no space", "a file in the place of the folder"],
)
async def test_a_guest_that_does_not_take_the_helpers_says_why(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, script: str, said: str, advice: str
) -> None:
    has_at_its_start(lab, monkeypatch, script)
    job = await lab.finish(await lab.request(ONE_SCRIPT), state=JobState.FAILED)
    assert job.error
    assert cause(job.error).startswith("The helpers cannot be put into the guest: ")
    assert said in cause(job.error)
    assert remedy(job.error).startswith(advice)


@pytest.mark.parametrize(
    ("policy", "holds", "kind", "told"),
    [
        (FilePolicy.DEFAULT, "the package's", EventType.WARNING, "is kept: only policy replace or backup"),
        (FilePolicy.REPLACE, "ours", EventType.STEP, "written after the scripts"),
        (FilePolicy.BACKUP, "ours", EventType.STEP, "the former one kept beside it"),
    ],
)
async def test_of_a_held_back_file_it_is_told_what_became_of_it(
    lab: Lab, policy: FilePolicy, holds: str, kind: EventType, told: str
) -> None:
    script = ("10-package.sh", '#!/bin/sh\nmkdir -p /opt/app\necho "the package\'s" >/opt/app/app.conf\n')
    job_id = await lab.request(content_of(script, files=[FileEntry("app.conf", "/opt/app", policy, b"ours\n")]))
    job = await lab.finish(job_id)
    assert await lab.in_guest(job.vmid, "cat", "/opt/app/app.conf") == f"{holds}\n"
    said = [event for event in await lab.events(job_id) if event.message.startswith("/opt/app/app.conf: ")]
    assert [told in event.message for event in said] == [False, True]
    assert said[-1].type is kind


async def test_a_guest_without_setsid_is_told_to_have_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    has_at_its_start(lab, monkeypatch, 'rm "$(command -v setsid)"')
    job = await lab.finish(await lab.request(ONE_SCRIPT), state=JobState.FAILED)
    assert job.error
    assert "setsid is missing in this guest (package util-linux)" in cause(job.error)
