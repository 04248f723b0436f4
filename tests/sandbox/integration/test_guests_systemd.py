"""Guests with systemd: units really run, and nothing of them remains on the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.errors import GuestError
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from pve_sandbox.guests.namespaces.kernel import CgroupFolder, hierarchy

pytestmark = pytest.mark.full

VMID = 101
OWNER = 100_000
UNIT = """[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[GuestHost]:
    try:
        picked = await pick_host(tmp_path, "systemd")
    except GuestError as error:
        pytest.skip(f"no guest with systemd on this machine: {error.detail or error.message}")
    try:
        await picked.create(GuestSpec(VMID, "web-01"))
        await picked.start(VMID)
        yield picked
    finally:
        await picked.close()


async def run(host: GuestHost, script: str) -> str:
    status, output = await run_in(host, VMID, ["sh", "-c", script])
    assert status == 0, output
    return output.decode()


def groups(of: Path) -> set[str]:
    """The cgroups of guests in this folder, without those of other tests."""
    top = hierarchy(Path("/proc/self/mounts").read_text(encoding="utf-8"))
    prefix = CgroupFolder(of)._prefix
    return {path.name for path in top.iterdir() if path.name.startswith(prefix)}


async def test_an_enabled_unit_comes_back_after_a_restart_of_the_guest(host: GuestHost) -> None:
    await run(host, "systemctl is-system-running --wait >/dev/null || :")
    await run(host, f"echo '{UNIT}' >/etc/systemd/system/probe.service && systemctl enable --now probe")
    assert await run(host, "systemctl is-active probe") == "active\n"
    await host.shutdown(VMID)
    await host.start(VMID)
    await run(host, "systemctl is-system-running --wait >/dev/null || :")
    assert await run(host, "systemctl is-active probe") == "active\n"


async def test_its_control_groups_are_its_own_and_go_with_it(host: GuestHost, tmp_path: Path) -> None:
    assert len(groups(tmp_path)) == 1
    assert await run(host, "cat /proc/1/cgroup | tail -n 1") == "0::/init.scope\n"
    await host.stop(VMID)
    assert groups(tmp_path) == set()


async def test_what_a_killed_sandbox_left_is_removed(host: GuestHost, tmp_path: Path) -> None:
    left = CgroupFolder(tmp_path / "other").make(VMID, OWNER)
    (left / "inner").mkdir()
    assert CgroupFolder(tmp_path / "other").make(VMID, OWNER) == left
    assert not (left / "inner").exists()
    CgroupFolder(tmp_path / "other").remove(VMID)
    assert not left.exists()
    assert host.is_running(VMID)
