"""What a guest can do: run commands, have users, files and addresses, and reach other guests."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from pve_sandbox.errors import CommandFailedError, InvalidInputError
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from tests.sandbox.integration.guests.guest_commands import DEADLINE_S, VMID, output_of, status_of, until


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_command_keeps_its_streams_and_status(guest: GuestHost) -> None:
    argv = guest.argv(VMID, ["sh", "-c", "cat; echo error >&2; exit 7"])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    assert await process.communicate(b"\0input\n") == (b"\0input\n", b"error\n")
    assert process.returncode == 7


async def test_a_missing_command_ends_with_127(guest: GuestHost) -> None:
    assert (await run_in(guest, VMID, ["no-such-command"]))[0] == 127


async def test_owners_can_be_given_and_users_made(guest: GuestHost) -> None:
    await output_of(guest, "touch /x && chown www-data:www-data /x && useradd --create-home bob && test -d /home/bob")
    if guest.kind != "rootless-single":
        assert await output_of(guest, "stat -c %U:%G /x; su bob -c 'id -un'") == "www-data:www-data\nbob"


async def test_orphans_do_not_stay_as_zombies(guest: GuestHost) -> None:
    await output_of(guest, "for n in 1 2 3; do (sleep 0 &) ; done; sh -c 'sleep 0 & exec true'")

    async def no_zombies() -> bool:
        states = await output_of(guest, "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | cut -c1")
        return "Z" not in states.split()

    await until(no_zombies)
    assert await no_zombies()


async def test_what_a_guest_wrote_is_there_after_stop_and_start(guest: GuestHost) -> None:
    await output_of(
        guest, "for d in /etc /root /var/lib /usr/local /srv; do echo mine >$d/mine; done; echo gone >/tmp/gone"
    )
    await guest.stop(VMID)
    assert not guest.is_running(VMID)
    await guest.start(VMID)
    assert (
        await output_of(guest, "cat /etc/mine /root/mine /var/lib/mine /usr/local/mine /srv/mine | uniq -c | tr -s ' '")
        == "5 mine"
    )
    assert await status_of(guest, "test -e /tmp/gone") != 0


async def test_guests_have_a_layer_and_an_address_each_and_reach_each_other(guest: GuestHost) -> None:
    await guest.create(GuestSpec(102, "web-02"))
    await guest.start(102)
    await output_of(guest, "echo one >/etc/who")
    await output_of(guest, "echo two >/etc/who", 102)
    assert (await output_of(guest, "cat /etc/who"), await output_of(guest, "cat /etc/who", 102)) == ("one", "two")
    first, second = (await guest.address(101), await guest.address(102))
    assert first != second
    # As on a bridge of PVE. Nothing listens on that port: the other guest refuses the connection.
    script = f"exec 3<>/dev/tcp/{second.split('/')[0]}/9"
    status, output = await run_in(guest, VMID, ["timeout", str(DEADLINE_S), "bash", "-c", script])
    assert status != 124
    assert b"refused" in output


async def test_a_guest_finds_its_address_on_eth0(guest: GuestHost) -> None:
    address = (await guest.address(VMID)).split("/")[0]
    assert address in await output_of(guest, "cat /proc/net/fib_trie")
    assert "eth0" in await output_of(guest, "cat /proc/net/dev")
    assert "00000000" in await output_of(guest, "awk '$1 == \"eth0\" {print $2}' /proc/net/route")


async def test_a_wanted_address_is_given(host: GuestHost) -> None:
    await host.create(GuestSpec(VMID, "web-01", address="10.200.30.40/24"))
    await host.start(VMID)
    assert await host.address(VMID) == "10.200.30.40/24"
    assert "10.200.30.40" in await output_of(host, "cat /proc/net/fib_trie")


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
    assert (await output_of(host, "sed -n 's/^root:\\(\\$[^:]*\\$\\).*/\\1/p' /etc/shadow")).startswith("$")
    assert (
        await output_of(host, "cat /root/.ssh/authorized_keys; stat -c %a /root/.ssh")
        == "# --- BEGIN PVE ---\nssh-ed25519 AAAA me\n# --- END PVE ---\n700"
    )
    assert "planted-password" not in (folder / f"guests/{VMID}/guest.json").read_text()


async def test_files_go_in_and_out_unchanged(guest: GuestHost, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(3_000_000))
    await guest.push(VMID, source, "/root/in a 'folder'", mode=0o640, uid=0, gid=0)
    assert await output_of(guest, "stat -c '%a %u:%g' \"/root/in a 'folder'\"") == "640 0:0"
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
