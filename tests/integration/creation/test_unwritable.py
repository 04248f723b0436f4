"""Template files that a guest refuses: the job names the target and the guest's error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import FilePolicy, JobState
from lxc_dashboard.services.templates.model import FileEntry
from tests.integration.creation.conftest import content_of
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab

MOUNT = "#!/bin/sh\nset -eu\nmkdir -p /opt/late\nmount -t tmpfs -o {options} tmpfs /opt/late\n"


@pytest.mark.parametrize(
    ("file", "options", "why", "advice"),
    [
        (
            FileEntry("app.conf", "/etc/passwd", FilePolicy.REPLACE, b"x\n"),
            "ro",
            "app.conf cannot be written to /etc/passwd/app.conf in the guest: /etc/passwd is not a directory",
            "Correct the file's .path",
        ),
        (
            FileEntry("app.conf", "/opt/late", FilePolicy.REPLACE, b"x\n"),
            "ro",
            "app.conf cannot be written to /opt/late/app.conf in the guest: .*Read-only file system",
            "Make it writable",
        ),
        (
            FileEntry("app.conf", "/opt/late", FilePolicy.REPLACE, b"x" * 65536),
            "size=16k",
            "app.conf cannot be written to /opt/late/app.conf in the guest: .*No space left on device",
            "Give it a larger disk",
        ),
        (
            FileEntry("app.conf", "/etc", FilePolicy.REPLACE, b"x\n", owner="nobody-of-this-name"),
            "ro",
            "/etc/app.conf cannot be given to nobody-of-this-name, who does not exist after the scripts",
            "Have a script",
        ),
    ],
    ids=["parent is a file", "read-only", "no space", "owner"],
)
async def test_a_file_that_cannot_be_written_is_named(
    lab: Lab, file: FileEntry, options: str, why: str, advice: str
) -> None:
    content = content_of(("10-mount.sh", MOUNT.format(options=options)), files=[file])
    job_id = await lab.request(content)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error is not None
    assert job.error.step == "app.conf"
    assert remedy(job.error).startswith(advice)
    assert re.fullmatch(why, cause(job.error))
