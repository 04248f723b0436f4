"""Guests of the best real kind that this machine allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec
from tests.sandbox.integration.guests.guest_commands import VMID


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder for all tests. Each test removes its guests."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def host(folder: Path) -> AsyncIterator[GuestHost]:
    picked = await pick_host(folder)
    try:
        if picked.kind == "simulated":
            pytest.skip("this machine allows no real guests")
        yield picked
        for vmid in await picked.recover():
            await picked.destroy(vmid)
    finally:
        await picked.close()


@pytest.fixture
async def guest(host: GuestHost) -> GuestHost:
    await host.create(GuestSpec(VMID, "web-01"))
    await host.start(VMID)
    return host
