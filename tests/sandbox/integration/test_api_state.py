"""What a restart keeps, what a crash leaves, and the sandbox as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.api_session import signed_in, until

START_DEADLINE_S = 60
OFFERED = "alpine-3.23-default_20260116_amd64.tar.xz"


async def test_a_restart_keeps_guests_tasks_rights_and_volumes(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        created = await it.create(900, "pve2", pool="staging", tags="kept", cores=2)
        assert await it.end_of(created) == "OK"
        assert await it.run("/nodes/pve1/lxc/101/status/stop") == "OK"
        assert await it.run("/nodes/pve1/lxc/101", "DELETE") == "OK"
        assert await it.run("/nodes/pve1/aplinfo", storage="local", template=OFFERED) == "OK"
        made = await it.post("/access/users/operator@pve/token/ci", comment="kept")
        before = await it.data("/nodes/pve2/lxc/900/config")
        fingerprint = node.fingerprint
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        assert node.fingerprint == fingerprint
        assert await it.data("/nodes/pve2/lxc/900/config") == before
        assert await it.end_of(created) == "OK"
        assert await it.log_of(created)
        assert 900 in {member["vmid"] for member in (await it.data("/pools/staging"))["members"]}
        assert (await it.refusal("GET", "/nodes/pve1/lxc/101/config"))[0] == 500
        volumes = {item["volid"] for item in await it.data("/nodes/pve1/storage/local/content")}
        assert f"local:vztmpl/{OFFERED}" in volumes
        token = (await it.data("/access/users/operator@pve"))["tokens"]["ci"]
        assert token["comment"] == "kept"
        assert node.api.directory.users["operator@pve"].tokens["ci"].secret == made["value"]


async def test_a_ticket_outlives_a_restart(tmp_path: Path) -> None:
    first = SandboxNode(tmp_path, time_scale=0)
    await first.start()
    async with signed_in(first) as it:
        headers = dict(it.http.headers)
    await first.close()
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        it.http.headers.update(headers)
        assert await it.data("/version")


async def test_a_create_that_was_killed_leaves_its_lock(tmp_path: Path) -> None:
    node = SandboxNode(tmp_path, time_scale=100)
    await node.start()
    async with signed_in(node) as it:
        upid = await it.create(900)
    await node.close()
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        assert await it.end_of(upid) == "unexpected status"
        assert (await it.data("/nodes/pve1/lxc/900/config"))["lock"] == "create"
        assert await it.refusal("DELETE", "/nodes/pve1/lxc/900") == (500, "CT is locked (create)")
        node.unlock_guest(900)
        assert await it.run("/nodes/pve1/lxc/900", "DELETE") == "OK"


async def test_half_a_line_at_the_end_of_the_tasks_is_left_out(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        done = await it.post("/nodes/pve1/lxc/101/status/stop")
    with (tmp_path / "tasks.jsonl").open("ab") as file:
        file.write(b'{"upid": "UPID:pve1:0000')
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        assert await it.end_of(done) == "OK"


async def test_nobody_but_the_owner_reads_what_is_kept(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        await it.end_of(await it.create(900))
    private = ["authkey", "cluster.json", "pve-ssl.key", "tasks.jsonl", "guests/900.json"]
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in private] == [0o600] * len(private)


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        SandboxNode(tmp_path, host="0.0.0.0")  # noqa: S104 - must be refused


async def test_a_template_is_downloaded_with_progress(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        upid = await it.post("/nodes/pve1/aplinfo", storage="local", template=OFFERED)
        assert await it.end_of(upid) == "OK"
        log = await it.log_of(upid)
        assert sum("%" in line for line in log) >= 3
        again = await it.post("/nodes/pve1/aplinfo", storage="local", template=OFFERED)
        assert any("no need to download" in line for line in await it.log_of(again))
        assert await it.end_of(await it.create(900, ostemplate=f"local:vztmpl/{OFFERED}")) == "OK"


async def test_a_backup_leaves_a_volume(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0) as node, signed_in(node) as it:
        form: dict[str, Any] = {"vmid": 102, "storage": "local", "mode": "snapshot", "compress": "zstd"}
        assert await it.run("/nodes/pve2/vzdump", **form) == "OK"
        kept = await it.data("/nodes/pve2/storage/local/content", content="backup")
        assert [(item["vmid"], item["subtype"], item["format"]) for item in kept] == [(102, "lxc", "tar.zst")]
        assert await it.post("/nodes/pve1/vzdump", **form) == "OK"  # the guest is on another node: no task


async def started(folder: Path, *options: str) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    command = [sys.executable, "-m", "pve_sandbox", "--data", str(folder), "--guests", "none", *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_DEADLINE_S)
    return process, json.loads(line)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_of_its_own_describes_itself_and_ends_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    process, told = await started(tmp_path, "--containers", "3", "--nodes", "1")
    assert (told["containers"], told["nodes"], told["guests"], told["sandbox"]) == (3, ["pve1"], "none", True)
    assert set(told["users"]) == set(DemoCluster().passwords())
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), START_DEADLINE_S) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'pve_sandbox', '--data', sys.argv[1],"
        " '--guests', 'none'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), START_DEADLINE_S))
    parent.kill()
    await parent.wait()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await until(gone)


async def test_a_killed_process_has_kept_what_it_answered(tmp_path: Path) -> None:
    process, told = await started(tmp_path, "--time-scale", "0.01")
    node = SandboxNode(tmp_path)
    node.api_port = told["api_port"]
    async with signed_in(node) as it:
        assert await it.end_of(await it.create(900)) == "OK"
    process.kill()
    await process.wait()
    async with SandboxNode(tmp_path, time_scale=0) as again, signed_in(again) as it:
        assert (await it.data("/nodes/pve1/lxc/900/config"))["hostname"] == "ct900"
