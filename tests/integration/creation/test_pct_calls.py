"""How often a creation starts ``pct`` on its node: each call costs a real node about a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.services.templates.model import FileEntry
from tests.integration.creation.conftest import content_of

if TYPE_CHECKING:
    from pve_sandbox.node import SandboxNode
    from tests.integration.creation.conftest import Lab

PCT_CALLS = 3


def file_named(name: str) -> FileEntry:
    return FileEntry(name=name, target_dir="/etc", content=name.encode(), policy=FilePolicy.REPLACE)


@pytest.mark.parametrize("parts", [1, 12])
async def test_a_creation_enters_its_guest_by_few_calls_of_pct_whatever_its_template_holds(
    lab: Lab, sandbox: SandboxNode, parts: int
) -> None:
    scripts = [(f"{10 + number}-script.sh", f"echo {number} >>/root/runs\n") for number in range(parts)]
    content = content_of(*scripts, files=[file_named(f"probe-{number}.conf") for number in range(parts)])
    asked = await lab.request(content)
    job = await lab.finish(asked)
    assert len(sandbox.pct_calls) <= PCT_CALLS, sandbox.pct_calls
    assert (await lab.in_guest(job.vmid, "cat", "/root/runs")).split() == [str(number) for number in range(parts)]
