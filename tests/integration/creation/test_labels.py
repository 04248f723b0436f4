"""Notes and tags at the end of a job: other people's text stays, and a refusal by PVE does not fail the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.services.creation import service
from tests.integration.creation.conftest import content_of
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

WAITING = content_of(("10-wait.sh", "#!/bin/sh\necho begun\nwhile [ ! -e /root/go ]; do sleep 0.1; done\n"))
BUILT = "Created by LXC Dashboard"


async def warnings(lab: Lab, job_id: UUID) -> list[str]:
    return [event.message for event in await lab.events(job_id) if event.type is EventType.WARNING]


async def test_a_tag_that_only_an_administrator_may_set_is_left_out_with_a_warning(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    lab.sandbox.api.registered_tags.add("frontend")
    job_id = await lab.request(None, pool="staging", tags=("frontend", "web"))
    job = await lab.finish(job_id)
    config = await (await lab.pve()).lxc.config(job.node, job.vmid)
    assert BUILT in config.description
    assert config.tags == ()
    assert (
        "Its tags were not set. Sys.Modify at / is missing for modifying tag 'frontend'. An administrator can grant it in PVE"
        in await warnings(lab, job_id)
    )


async def test_notes_and_tags_that_somebody_wrote_during_the_pause_stay(lab: Lab) -> None:
    job_id = await lab.request(None, pool="staging", tags=("web",), description="Mine", pause_after_create=True)
    job = await lab.finish(job_id, state=JobState.PAUSED)
    client = await lab.pve()
    found = (await client.lxc.config(job.node, job.vmid)).description
    written = f"Call Ann before you stop it\n\n{found}\nRack 4"
    await client.lxc.set_config(job.node, job.vmid, {"description": written, "tags": "theirs"})
    await service.go_on(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    config = await client.lxc.config(job.node, job.vmid)
    assert set(config.tags) == {"theirs", "web"}
    lines = [line for line in config.description.splitlines() if line]
    assert lines[:3] == ["Call Ann before you stop it", "Mine", "---"]
    assert lines[3].startswith(BUILT)
    assert lines[5:] == ["Rack 4"]


async def test_a_backup_that_holds_the_container_at_the_end_is_waited_for(lab: Lab) -> None:
    job_id = await lab.request(WAITING)
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    job = await service.get_job(lab.rt, lab.session, job_id)
    lab.sandbox.lock_guest(job.vmid)
    await lab.in_guest(job.vmid, "touch", "/root/go")
    await lab.until_said(job_id, "CT is locked (backup): trying again")
    lab.sandbox.unlock_guest(job.vmid)
    await work
    await lab.finish(job_id)
    config = await (await lab.pve()).lxc.config(job.node, job.vmid)
    assert config.description.startswith("Built by LXC Dashboard")


@pytest.mark.parametrize(
    ("systemctl", "warned"),
    [
        ("yes | head -c 9000000", ["Its services could not be listed: The guest's answer is larger than 8192 KiB"]),
        ("exec sleep 600", []),
    ],
    ids=["loud", "hangs"],
)
async def test_a_systemd_that_says_too_much_or_nothing_fails_no_finished_container(
    lab: Lab, systemctl: str, warned: list[str]
) -> None:
    fake = (
        "#!/bin/sh\nset -eu\nmkdir -p /run/systemd/system /usr/local/sbin\n"
        f"printf '#!/bin/sh\\n%s\\n' '{systemctl}' > /usr/local/sbin/systemctl\nchmod 755 /usr/local/sbin/systemctl\n"
        "mkdir -p /etc/lxc-dashboard/credentials\necho password=x > /etc/lxc-dashboard/credentials/web\n"
    )
    job_id = await lab.request(content_of(("10-systemd.sh", fake)))
    await lab.finish(job_id)
    assert [text for text in await warnings(lab, job_id) if "could not be" in text] == warned
    assert any("Credentials kept of web" in event.message for event in await lab.events(job_id))
