"""The SSH server alone. The guests behind it are simulated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestSpec
from pve_sandbox.ssh.door import SshDoor
from tests.sandbox.integration.ssh.client import VMID


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[SshDoor]:
    guests = await pick_host(tmp_path, "simulated")
    await guests.create(GuestSpec(VMID, "web-01"))
    it = SshDoor(tmp_path, guests, node_of=lambda _: "pve1", name_of=lambda _: "web-01")
    await it.start()
    yield it
    await it.close()
    await guests.close()
