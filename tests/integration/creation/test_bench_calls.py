"""The bare script of ``bench/creation.py``, the benchmark's baseline, makes the same calls as the product."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter

import pytest

from bench.parts import bare_script
from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation import access, service
from lxc_dashboard.services.jobs.engine import execution as engine
from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import DEADLINE_S, Lab, content_of

NOTHING = "true\n"
SCRIPTS = 2
FIRST_VMID = 7001


def calls(sandbox: SandboxNode) -> Counter[str]:
    """Count calls by method and path without numbers. Polls of tasks and addresses depend on time and are left out."""
    made = Counter(
        f"{method} {re.sub(r'(?<=/)[0-9]+(?=/|$)', '*', path)}"
        for method, path, _ in sandbox.api.requests
        if not any(part in path for part in ("UPID", "/interfaces", "/access/ticket"))
    )
    sandbox.api.requests.clear()
    return made


@pytest.mark.parametrize("held_for_s", [0.0, 1e9], ids=["asked anew each time", "asked once"])
async def test_the_bare_script_makes_the_calls_that_the_product_makes(
    lab: Lab, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch, held_for_s: float
) -> None:
    for module, name in itertools.product((bare_script, access, engine), ("RIGHTS_HOLD_FOR_S", "JUST_S")):
        monkeypatch.setattr(module, name, held_for_s, raising=False)
    sandbox.api.max_requests = 10_000
    told = sandbox.describe()
    async with bare_script.bare_script(told, "root@pam", told["users"]["root@pam"], 1) as script:
        calls(sandbox)
        await script.make([FIRST_VMID], NOTHING, SCRIPTS)
    by_script = calls(sandbox)
    asked = await lab.request(
        content_of(*((f"{number}0-script.sh", NOTHING) for number in range(1, SCRIPTS + 1))), vmid=FIRST_VMID + 1
    )
    async with asyncio.timeout(DEADLINE_S):
        await lab.work(asked)
    assert calls(sandbox) == by_script
    assert (await service.get_job(lab.rt, lab.session, asked)).state is JobState.DONE
