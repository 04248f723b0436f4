"""Guests of the best real kind that this machine allows: what any of them must do."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lxc_dashboard.errors import CommandFailedError, ConflictError, GuestError, InvalidInputError, NotFoundError
from lxc_dashboard.sandbox.guests import pick_host
from lxc_dashboard.sandbox.guests.base import GuestHost, GuestSpec, run_in
from lxc_dashboard.sandbox.guests.network import link_name

PROJECT = Path(__file__).resolve().parents[3]
VMID = 101
DEADLINE_S = 20
MANY = 6
SANDBOX_PROGRAM = """
import asyncio, sys
from pathlib import Path
from lxc_dashboard.sandbox.guests import pick_host
from lxc_dashboard.sandbox.guests.base import GuestSpec, run_in
async def main():
    host = await pick_host(Path(sys.argv[1]))
    await host.create(GuestSpec(101, "doomed"))
    await host.start(101)
    await run_in(host, 101, ["sh", "-c", "echo kept >/etc/kept; (setsid sleep 1234567 >/dev/null 2>&1 &)"])
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: what ordinary users' guests stand on takes seconds to copy."""
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


async def said(host: GuestHost, script: str, vmid: int = VMID) -> str:
    """The output of a script that must succeed."""
    status, output = await run_in(host, vmid, ["sh", "-c", script])
    assert status == 0, output.decode()
    return output.decode().strip()


async def status_of(host: GuestHost, script: str) -> int:
    return (await run_in(host, VMID, ["sh", "-c", script]))[0]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            await asyncio.sleep(0.01)


def processes_with(word: str) -> list[str]:
    """Command lines on this machine that hold ``word``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if word in line:
            found.append(line)
    return found


def mounts_with(word: str) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if word in line]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# What it does not see


async def test_a_guest_is_root_under_its_own_name(guest: GuestHost) -> None:
    assert await said(guest, "id -u; hostname; cat /etc/hostname; uname -n") == "0\nweb-01\nweb-01\nweb-01"
    assert await said(guest, "grep -c web-01 /etc/hosts") == "1"


async def test_a_guest_sees_only_its_own_processes(guest: GuestHost) -> None:
    numbers = [int(name) for name in (await said(guest, "ls /proc")).split() if name.isdecimal()]
    assert 1 in numbers
    assert len(numbers) <= 4
    assert await status_of(guest, f"kill -0 {os.getpid()}") != 0


async def test_a_guest_does_not_see_the_machines_homes_project_or_data(
    guest: GuestHost, tmp_path: Path, folder: Path
) -> None:
    planted = tmp_path / "planted"
    planted.write_text("planted")
    for path in (
        PROJECT,
        tmp_path,
        planted,
        Path.home() / ".ssh",
        Path.home() / ".bash_history",
        Path.home() / ".cache",
    ):
        assert await status_of(guest, f'test -e "{path}"') != 0, path
    assert await said(guest, "ls /home /tmp /var/tmp /mnt /srv /media | grep -v : | tr -d '\\n'") == ""
    assert await said(guest, "ls -A /run") == "lock"


async def test_a_guest_does_not_see_what_only_some_may_read_on_the_machine(guest: GuestHost) -> None:
    secrets = [path for path in Path("/etc").rglob("*") if path.is_file() and not path.stat().st_mode & 0o004]
    for path in secrets:
        if path.name in {"shadow", "gshadow", "sudoers"}:
            continue
        assert await status_of(guest, f'test -e "{path}" && test -s "{path}"') != 0, path
    people = [line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines()]
    inside = await said(guest, "cut -d: -f1,2 /etc/shadow")
    assert {line.split(":")[0] for line in inside.splitlines()} <= set(people)
    assert {line.split(":")[1] for line in inside.splitlines()} <= {"*", "!*"}


async def test_a_guest_has_no_sockets_of_the_machine(guest: GuestHost) -> None:
    assert await said(guest, "find / -xdev -type s 2>/dev/null | wc -l") == "0"
    assert await said(guest, "wc -l </proc/net/unix") == "1"  # the heading: abstract ones would be listed


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"welcome")
    writer.close()


async def test_a_guest_cannot_reach_what_listens_on_the_machine(guest: GuestHost) -> None:
    server = await asyncio.start_server(greet, "0.0.0.0", 0)  # noqa: S104
    port = server.sockets[0].getsockname()[1]
    gateway = await said(guest, "sed -n 's/^nameserver //p' /etc/resolv.conf")
    own = {line.split()[-1] for line in Path("/proc/net/fib_trie").read_text().splitlines() if "|--" in line}

    async def reached(address: str) -> bool:
        script = f"exec 3<>/dev/tcp/{address}/{port} && head -c1 <&3 | grep -q ."
        return (await run_in(guest, VMID, ["timeout", "3", "bash", "-c", script]))[0] == 0

    addresses = sorted({gateway, "127.0.0.1", *own} - {"0.0.0.0"})  # noqa: S104
    assert await asyncio.gather(*map(reached, addresses)) == [False] * len(addresses)
    server.close()
    await server.wait_closed()


# What it cannot do


@pytest.mark.parametrize(
    "attempt",
    [
        "mount -t proc proc /sys/kernel && mount -t devtmpfs none /mnt",
        "mknod /disk b 8 0 && dd if=/disk of=/dev/null count=1",
        "echo b >/proc/sysrq-trigger",
        "echo 1 >/proc/sys/kernel/sysrq",
        "echo x >/proc/sys/kernel/core_pattern",
        "date -s 2001-01-01",
        "swapoff -a && swapon /dev/zero",
        "dmesg",
    ],
)
async def test_a_guest_has_no_power_over_the_machine(guest: GuestHost, attempt: str) -> None:
    assert await status_of(guest, attempt) != 0


async def test_the_machine_is_as_it_was(guest: GuestHost) -> None:
    await said(guest, "echo x >/etc/only-inside; mkdir -p /usr/local/only-inside /opt/only-inside; rm /etc/os-release")
    for path in ("/etc/only-inside", "/usr/local/only-inside", "/opt/only-inside"):
        assert not Path(path).exists()
    assert Path("/etc/os-release").exists()


async def test_a_command_in_a_guest_starts_with_nothing_of_our_environment(
    guest: GuestHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "planted")
    assert "PLANTED" not in await said(guest, "env; cat /proc/*/environ | tr '\\0' '\\n'")
    assert await said(guest, "echo $PATH; echo $HOME; pwd") == "/sbin:/bin:/usr/sbin:/usr/bin\n/root\n/"


# What it can do


async def test_a_command_keeps_its_streams_and_status(guest: GuestHost) -> None:
    argv = guest.argv(VMID, ["sh", "-c", "cat; echo error >&2; exit 7"])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    assert await process.communicate(b"\0input\n") == (b"\0input\n", b"error\n")
    assert process.returncode == 7


async def test_a_missing_command_ends_with_127(guest: GuestHost) -> None:
    assert (await run_in(guest, VMID, ["no-such-command"]))[0] == 127


async def test_owners_can_be_given_and_users_made(guest: GuestHost) -> None:
    await said(guest, "touch /x && chown www-data:www-data /x && useradd --create-home bob && test -d /home/bob")
    if guest.kind != "rootless-single":
        assert await said(guest, "stat -c %U:%G /x; su bob -c 'id -un'") == "www-data:www-data\nbob"


async def test_orphans_do_not_stay_as_zombies(guest: GuestHost) -> None:
    await said(guest, "for n in 1 2 3; do (sleep 0 &) ; done; sh -c 'sleep 0 & exec true'")

    async def none_left() -> bool:
        return "Z" not in (await said(guest, "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | cut -c1")).split()

    await until(none_left)


async def test_what_a_guest_wrote_is_there_after_stop_and_start(guest: GuestHost) -> None:
    await said(guest, "for d in /etc /root /var/lib /usr/local /srv; do echo mine >$d/mine; done; echo gone >/tmp/gone")
    await guest.stop(VMID)
    assert not guest.is_running(VMID)
    await guest.start(VMID)
    assert (
        await said(guest, "cat /etc/mine /root/mine /var/lib/mine /usr/local/mine /srv/mine | uniq -c | tr -s ' '")
        == "5 mine"
    )
    assert await status_of(guest, "test -e /tmp/gone") != 0


async def test_guests_have_a_layer_and_an_address_each_and_reach_each_other(guest: GuestHost) -> None:
    await guest.create(GuestSpec(102, "web-02"))
    await guest.start(102)
    await said(guest, "echo one >/etc/who")
    await said(guest, "echo two >/etc/who", 102)
    assert (await said(guest, "cat /etc/who"), await said(guest, "cat /etc/who", 102)) == ("one", "two")
    first, second = (await guest.address(101), await guest.address(102))
    assert first != second
    # As on one bridge of Proxmox VE. Nothing listens there: the refusal comes from the other guest.
    script = f"exec 3<>/dev/tcp/{second.split('/')[0]}/9"
    status, output = await run_in(guest, VMID, ["timeout", str(DEADLINE_S), "bash", "-c", script])
    assert status != 124
    assert b"refused" in output


async def test_a_guest_finds_its_address_on_eth0(guest: GuestHost) -> None:
    address = (await guest.address(VMID)).split("/")[0]
    assert address in await said(guest, "cat /proc/net/fib_trie")
    assert "eth0" in await said(guest, "cat /proc/net/dev")
    assert "00000000" in await said(guest, "awk '$1 == \"eth0\" {print $2}' /proc/net/route")


async def test_a_wanted_address_is_given(host: GuestHost) -> None:
    await host.create(GuestSpec(VMID, "web-01", address="10.200.30.40/24"))
    await host.start(VMID)
    assert await host.address(VMID) == "10.200.30.40/24"
    assert "10.200.30.40" in await said(host, "cat /proc/net/fib_trie")


@pytest.mark.parametrize("address", ["300.1.1.1/24", "127.0.0.1/8", "224.0.0.1/4", "not-an-address"])
async def test_an_impossible_address_is_refused(host: GuestHost, address: str) -> None:
    with pytest.raises(InvalidInputError):
        await host.create(GuestSpec(VMID, "web-01", address=address))
    assert not host.exists(VMID)


async def test_root_gets_its_password_and_keys(host: GuestHost, folder: Path) -> None:
    await host.create(
        GuestSpec(VMID, "web-01", root_password="planted-password", ssh_public_keys="ssh-ed25519 AAAA me")
    )
    await host.start(VMID)
    assert (await said(host, "sed -n 's/^root:\\(\\$[^:]*\\$\\).*/\\1/p' /etc/shadow")).startswith("$")
    assert (
        await said(host, "cat /root/.ssh/authorized_keys; stat -c %a /root/.ssh")
        == "# --- BEGIN PVE ---\nssh-ed25519 AAAA me\n# --- END PVE ---\n700"
    )
    assert "planted-password" not in (folder / f"guests/{VMID}/guest.json").read_text()


async def test_files_go_in_and_out_unchanged(guest: GuestHost, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(3_000_000))
    await guest.push(VMID, source, "/root/in a 'folder'", mode=0o640, uid=0, gid=0)
    assert await said(guest, "stat -c '%a %u:%g' \"/root/in a 'folder'\"") == "640 0:0"
    await guest.pull(VMID, "/root/in a 'folder'", back)
    assert sha256(back) == sha256(source)
    with pytest.raises(CommandFailedError):
        await guest.push(VMID, source, "/no/such/folder/file", mode=0o644, uid=0, gid=0)


async def test_figures_move(guest: GuestHost) -> None:
    before = await guest.usage(VMID)
    burning = asyncio.create_task(run_in(guest, VMID, ["timeout", "30", "sh", "-c", "while :; do :; done"]))

    async def moved() -> bool:
        usage = await guest.usage(VMID)
        return usage.cpu_seconds > before.cpu_seconds + 0.05 and usage.uptime_s > before.uptime_s

    await until(moved)
    assert (await guest.usage(VMID)).memory_bytes > 100_000
    await guest.stop(VMID)
    assert (await burning)[0] != 0


# Its life


async def test_a_service_that_a_guest_installed_starts_with_it(guest: GuestHost) -> None:
    await said(
        guest, "printf '#!/bin/sh\\necho $1 >/run/served\\n' >/etc/init.d/served && chmod 755 /etc/init.d/served"
    )
    await said(guest, "mkdir -p /etc/rc2.d && ln -s ../init.d/served /etc/rc2.d/S01served")
    await guest.stop(VMID)
    await guest.start(VMID)

    async def served() -> bool:
        return await status_of(guest, "test -s /run/served") == 0

    await until(served)
    assert await said(guest, "cat /run/served") == "start"


async def test_shutdown_lets_processes_end_by_themselves(guest: GuestHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lxc_dashboard.sandbox.guests.running._SHUTDOWN_S", DEADLINE_S)
    script = "trap 'echo ended >/root/ended; exit' TERM; echo ready >/root/ready; while :; do sleep 0.05; done"
    running = asyncio.create_task(run_in(guest, VMID, ["sh", "-c", script]))

    async def ready() -> bool:
        return await status_of(guest, "test -e /root/ready") == 0

    await until(ready)
    await guest.shutdown(VMID)
    await running
    await guest.start(VMID)
    assert await said(guest, "cat /root/ended") == "ended"


async def test_shutdown_ends_what_does_not_listen(guest: GuestHost) -> None:
    script = "trap '' TERM; echo ready >/root/ready; while :; do sleep 0.05; done"
    running = asyncio.create_task(run_in(guest, VMID, ["sh", "-c", script]))

    async def ready() -> bool:
        return await status_of(guest, "test -e /root/ready") == 0

    await until(ready)
    begin = time.monotonic()
    await guest.shutdown(VMID)
    assert 4 < time.monotonic() - begin < 15
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
    assert await said(guest, "echo again") == "again"


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
    names = await asyncio.gather(*(said(host, "hostname", vmid) for vmid in vmids))
    assert names == [f"many-{vmid}" for vmid in vmids]
    assert len({await host.address(vmid) for vmid in vmids}) == MANY


async def test_destroy_leaves_nothing_of_a_guest(guest: GuestHost, folder: Path) -> None:
    await said(guest, "mkdir -m 0 /root/closed; touch /etc/x; rm -r /etc/apt; (setsid sleep 7654321 >/dev/null 2>&1 &)")
    await guest.destroy(VMID)
    assert not guest.exists(VMID)
    assert [path.name for path in (folder / "guests").iterdir() if path.name.startswith(str(VMID))] == []
    assert processes_with("7654321") == []
    assert mounts_with(str(folder)) == []
    await guest.create(GuestSpec(VMID, "new"))
    await guest.start(VMID)
    assert await said(guest, "hostname; test -e /etc/x || echo fresh") == "new\nfresh"


async def test_one_sandbox_at_a_time_has_a_folder(host: GuestHost, folder: Path) -> None:
    with pytest.raises(ConflictError):
        await pick_host(folder)


async def test_close_ends_everything_and_the_layers_stay(folder: Path) -> None:
    first = await pick_host(folder)
    if first.kind == "simulated":
        pytest.skip("this machine allows no real guests")
    await first.create(GuestSpec(VMID, "web-01"))
    await first.start(VMID)
    await said(first, "echo kept >/etc/kept; (setsid sleep 2345678 >/dev/null 2>&1 &)")
    address = await first.address(VMID)
    await first.close()
    assert processes_with("2345678") == []
    assert mounts_with(str(folder)) == []
    assert not Path("/sys/class/net", link_name(folder)).exists()
    second = await pick_host(folder)
    try:
        assert list(await second.recover()) == [VMID]
        await second.start(VMID)
        assert await said(second, "cat /etc/kept") == "kept"
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
    assert processes_with("1234567")
    process.kill()
    await process.wait()

    async def gone() -> bool:
        return not processes_with("1234567") and not Path("/sys/class/net", link_name(folder)).exists()

    await until(gone)
    assert mounts_with(str(folder)) == []
    host = await pick_host(folder)
    try:
        assert list(await host.recover()) == [VMID]
        await host.start(VMID)
        assert await said(host, "cat /etc/kept; hostname") == "kept\ndoomed"
        await host.destroy(VMID)
    finally:
        await host.close()


async def until_up(output: asyncio.StreamReader) -> AsyncIterator[str]:
    async for line in output:
        yield line.decode()
        if line == b"up\n":
            return
