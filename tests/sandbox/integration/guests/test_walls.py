"""What of the machine a guest cannot see or change."""

from __future__ import annotations

import asyncio
import os
import pwd
from pathlib import Path

import pytest

from pve_sandbox.guests.host import GuestHost, run_in
from tests.sandbox.integration.guests.guest_commands import PROJECT, VMID, output_of, status_of, until


async def test_a_guest_is_root_under_its_own_name(guest: GuestHost) -> None:
    assert await output_of(guest, "id -u; hostname; cat /etc/hostname; uname -n") == "0\nweb-01\nweb-01\nweb-01"
    assert await output_of(guest, "grep -c web-01 /etc/hosts") == "1"


async def test_a_guest_sees_only_its_own_processes(guest: GuestHost) -> None:
    async def are_few() -> bool:
        """Whether few processes are left. One that has just ended may still be listed."""
        numbers = [int(name) for name in (await output_of(guest, "ls /proc")).split() if name.isdecimal()]
        assert 1 in numbers
        return len(numbers) <= 4

    await until(are_few)
    assert await status_of(guest, f"kill -0 {os.getpid()}") != 0


async def test_a_guest_does_not_see_the_machines_homes_project_or_data(
    guest: GuestHost, tmp_path: Path, folder: Path
) -> None:
    planted = tmp_path / "planted"
    planted.write_text("planted")
    home = Path.home()
    for path in (PROJECT, tmp_path, planted, home / ".bash_history", home / ".cache", *(home / ".ssh").glob("*")):
        assert await status_of(guest, f'test -e "{path}"') != 0, path
    assert await output_of(guest, "ls /home /tmp /var/tmp /mnt /srv /media | grep -v : | tr -d '\\n'") == ""
    assert await output_of(guest, "ls -A /run") == "lock"


def people() -> list[pwd.struct_passwd]:
    return [user for user in pwd.getpwall() if 1000 <= user.pw_uid < 60000]


async def test_a_guest_does_not_see_what_only_some_may_read_on_the_machine(guest: GuestHost) -> None:
    secrets = [path for path in Path("/etc").rglob("*") if path.is_file() and not path.stat().st_mode & 0o004]
    for path in secrets:
        if path.name in {"shadow", "gshadow", "sudoers"}:
            continue
        assert await status_of(guest, f'test -e "{path}" && test -s "{path}"') != 0, path
    inside = await output_of(guest, "cut -d: -f1,2 /etc/shadow")
    assert not {line.split(":")[0] for line in inside.splitlines()} & {user.pw_name for user in people()}
    assert {line.split(":")[1] for line in inside.splitlines()} <= {"*", "!*"}


async def test_a_guest_has_no_sockets_of_the_machine(guest: GuestHost) -> None:
    assert await output_of(guest, "find / -xdev -type s 2>/dev/null | wc -l") == "0"
    assert await output_of(guest, "wc -l </proc/net/unix") == "1"  # the heading only; abstract sockets would be listed


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"welcome")
    writer.close()


async def test_a_guest_cannot_reach_what_listens_on_the_machine(guest: GuestHost) -> None:
    server = await asyncio.start_server(greet, "0.0.0.0", 0)  # noqa: S104
    port = server.sockets[0].getsockname()[1]
    gateway = await output_of(guest, "sed -n 's/^nameserver //p' /etc/resolv.conf")
    own = {line.split()[-1] for line in Path("/proc/net/fib_trie").read_text().splitlines() if "|--" in line}

    async def reached(address: str) -> bool:
        script = f"exec 3<>/dev/tcp/{address}/{port} && head -c1 <&3 | grep -q ."
        return (await run_in(guest, VMID, ["timeout", "3", "bash", "-c", script]))[0] == 0

    addresses = sorted({gateway, "127.0.0.1", *own} - {"0.0.0.0"})  # noqa: S104
    assert await asyncio.gather(*map(reached, addresses)) == [False] * len(addresses)
    server.close()
    await server.wait_closed()


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
    await output_of(
        guest, "echo x >/etc/only-inside; mkdir -p /usr/local/only-inside /opt/only-inside; rm /etc/os-release"
    )
    for path in ("/etc/only-inside", "/usr/local/only-inside", "/opt/only-inside"):
        assert not Path(path).exists()
    assert Path("/etc/os-release").exists()


async def test_a_command_in_a_guest_starts_with_nothing_of_our_environment(
    guest: GuestHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "planted")
    assert "PLANTED" not in await output_of(guest, "env; cat /proc/*/environ | tr '\\0' '\\n'")
    assert await output_of(guest, "echo $PATH; echo $HOME; pwd") == "/sbin:/bin:/usr/sbin:/usr/bin\n/root\n/"
