"""The life of a guest: start, stop, kill, destroy, and what remains after the sandbox ends."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.errors import ConflictError, GuestError, NotFoundError
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from pve_sandbox.guests.network.relay import link_name
from tests.sandbox.integration.guests.guest_commands import DEADLINE_S, PROJECT, VMID, output_of, status_of, until

MANY = 6
SLEEPS = f"sleep {1_000_000 + secrets.randbelow(9_000_000)}"  # unique among the test runs on this machine
SANDBOX_PROGRAM = """
import asyncio, sys
from pathlib import Path
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestSpec, run_in
async def main():
    host = await pick_host(Path(sys.argv[1]))
    await host.create(GuestSpec(101, "doomed"))
    await host.start(101)
    await run_in(host, 101, ["sh", "-c", f"echo kept >/etc/kept; (setsid {sys.argv[2]} >/dev/null 2>&1 &)"])
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def processes_with(word: str) -> list[str]:
    """Return the command lines on this machine that contain ``word``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has ended
            continue
        if word in line:
            found.append(line)
    return found


def mounts_with(word: str) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if word in line]


async def test_a_service_that_a_guest_installed_starts_with_it(guest: GuestHost) -> None:
    await output_of(
        guest, "printf '#!/bin/sh\\necho $1 >/run/served\\n' >/etc/init.d/served && chmod 755 /etc/init.d/served"
    )
    await output_of(guest, "mkdir -p /etc/rc2.d && ln -s ../init.d/served /etc/rc2.d/S01served")
    await guest.stop(VMID)
    await guest.start(VMID)

    async def served() -> bool:
        return await status_of(guest, "test -s /run/served") == 0

    await until(served)
    assert await output_of(guest, "cat /run/served") == "start"


async def test_shutdown_lets_processes_end_by_themselves(guest: GuestHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pve_sandbox.guests.running_guest._SHUTDOWN_S", DEADLINE_S)
    script = "trap 'echo ended >/root/ended; exit' TERM; echo ready >/root/ready; while :; do sleep 0.05; done"
    running = asyncio.create_task(run_in(guest, VMID, ["sh", "-c", script]))

    async def ready() -> bool:
        return await status_of(guest, "test -e /root/ready") == 0

    await until(ready)
    await guest.shutdown(VMID)
    await running
    await guest.start(VMID)
    assert await output_of(guest, "cat /root/ended") == "ended"


async def test_shutdown_ends_what_does_not_listen(guest: GuestHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pve_sandbox.guests.running_guest._SHUTDOWN_S", 1)
    script = "trap '' TERM; echo ready >/root/ready; while :; do sleep 0.05; done"
    running = asyncio.create_task(run_in(guest, VMID, ["sh", "-c", script]))

    async def ready() -> bool:
        return await status_of(guest, "test -e /root/ready") == 0

    await until(ready)
    begin = time.monotonic()
    await guest.shutdown(VMID)
    assert time.monotonic() - begin > 1
    assert (await running)[0] != 0


async def test_start_and_stop_may_be_repeated(guest: GuestHost) -> None:
    await guest.start(VMID)
    await guest.stop(VMID)
    await guest.stop(VMID)
    assert await guest.address(VMID) == ""
    assert (await guest.usage(VMID)).uptime_s == 0
    with pytest.raises(GuestError, match="not running"):
        guest.argv(VMID, ["true"])


async def test_a_guest_whose_init_was_killed_is_not_running(guest: GuestHost) -> None:
    argv = guest.argv(VMID, ["true"])
    os.kill(int(argv[argv.index("--target") + 1]), signal.SIGKILL)

    async def ended() -> bool:
        return not guest.is_running(VMID)

    await until(ended)
    await guest.start(VMID)
    assert await output_of(guest, "echo again") == "again"


async def test_what_does_not_exist_is_named(host: GuestHost) -> None:
    for act in (host.start, host.stop, host.shutdown, host.destroy, host.address, host.usage):
        with pytest.raises(NotFoundError):
            await act(404)


async def test_a_guest_is_made_once(guest: GuestHost) -> None:
    with pytest.raises(ConflictError):
        await guest.create(GuestSpec(VMID, "again"))


async def test_many_guests_start_at_once(host: GuestHost) -> None:
    vmids = range(200, 200 + MANY)
    await asyncio.gather(*(host.create(GuestSpec(vmid, f"many-{vmid}")) for vmid in vmids))
    await asyncio.gather(*(host.start(vmid) for vmid in vmids))
    names = await asyncio.gather(*(output_of(host, "hostname", vmid) for vmid in vmids))
    assert names == [f"many-{vmid}" for vmid in vmids]
    assert len({await host.address(vmid) for vmid in vmids}) == MANY


async def test_destroy_leaves_nothing_of_a_guest(guest: GuestHost, folder: Path) -> None:
    await output_of(
        guest, f"mkdir -m 0 /root/closed; touch /etc/x; rm -r /etc/apt; (setsid {SLEEPS} >/dev/null 2>&1 &)"
    )
    await guest.destroy(VMID)
    assert not guest.exists(VMID)
    assert [path.name for path in (folder / "guests").iterdir() if path.name.startswith(str(VMID))] == []
    assert processes_with(SLEEPS) == []
    assert mounts_with(str(folder)) == []
    await guest.create(GuestSpec(VMID, "new"))
    await guest.start(VMID)
    assert await output_of(guest, "hostname; test -e /etc/x || echo fresh") == "new\nfresh"


async def test_one_sandbox_at_a_time_has_a_folder(host: GuestHost, folder: Path) -> None:
    with pytest.raises(ConflictError):
        await pick_host(folder)


async def test_close_ends_everything_and_the_layers_stay(folder: Path) -> None:
    first = await pick_host(folder)
    if first.kind == "simulated":
        pytest.skip("this machine allows no real guests")
    await first.create(GuestSpec(VMID, "web-01"))
    await first.start(VMID)
    await output_of(first, f"echo kept >/etc/kept; (setsid {SLEEPS} >/dev/null 2>&1 &)")
    address = await first.address(VMID)
    await first.close()
    assert processes_with(SLEEPS) == []
    assert mounts_with(str(folder)) == []
    assert not Path("/sys/class/net", link_name(folder)).exists()
    second = await pick_host(folder)
    try:
        assert list(await second.recover()) == [VMID]
        await second.start(VMID)
        assert await output_of(second, "cat /etc/kept") == "kept"
        assert await second.address(VMID) == address
        await second.destroy(VMID)
    finally:
        await second.close()


async def test_a_killed_sandbox_leaves_nothing_but_the_layers(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SANDBOX_PROGRAM,
        str(folder),
        SLEEPS,
        stdout=asyncio.subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert process.stdout
    lines = [line async for line in until_up(process.stdout)]
    if not lines or "simulated" in "".join(lines):
        process.kill()
        await process.wait()
        pytest.skip("this machine allows no real guests")
    assert processes_with(SLEEPS)
    process.kill()
    await process.wait()

    async def gone() -> bool:
        return not processes_with(SLEEPS) and not Path("/sys/class/net", link_name(folder)).exists()

    await until(gone)
    assert mounts_with(str(folder)) == []
    host = await pick_host(folder)
    try:
        assert list(await host.recover()) == [VMID]
        await host.start(VMID)
        assert await output_of(host, "cat /etc/kept; hostname") == "kept\ndoomed"
        await host.destroy(VMID)
    finally:
        await host.close()


async def until_up(output: asyncio.StreamReader) -> AsyncIterator[str]:
    async for line in output:
        yield line.decode()
        if line == b"up\n":
            return
