"""Which kind of guest is selected, and the kinds for ordinary users."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pve_sandbox.errors import CommandFailedError, ConflictError, GuestError, InvalidInputError, NotFoundError
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from tests.sandbox.integration.mirrors import mirror_is_near

VMID = 101
ordinary = pytest.mark.skipif(os.geteuid() == 0, reason="rootless guests are for ordinary users: run the tests as one")


async def open_or_skip(folder: Path, kind: str) -> GuestHost:
    try:
        return await pick_host(folder, kind)
    except GuestError as error:
        pytest.skip(f"not possible on this machine: {error.detail}")


async def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        await pick_host(tmp_path, "virtual")


async def test_the_best_kind_says_what_it_is(tmp_path: Path) -> None:
    host = await pick_host(tmp_path)
    try:
        assert host.kind in {"root", "rootless", "rootless-single", "simulated"}
        assert host.description.endswith(".")
        assert list(await host.recover()) == []
    finally:
        await host.close()


@ordinary
async def test_root_guests_are_not_for_ordinary_users(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="not possible"):
        await pick_host(tmp_path, "root")


@ordinary
@pytest.mark.parametrize("kind", ["rootless", "rootless-single"])
async def test_ordinary_users_install_packages(tmp_path: Path, kind: str) -> None:
    host = await open_or_skip(tmp_path, kind)
    try:
        await host.create(GuestSpec(VMID, "web-01", root_password="secret"))
        await host.start(VMID)
        status, output = await run_in(
            host, VMID, ["sh", "-c", "id -u; hostname; echo x >/etc/mine; stat -c %u /etc/mine"]
        )
        assert (status, output) == (0, b"0\nweb-01\n0\n")
        if await asyncio.to_thread(mirror_is_near):
            install = "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y hello && hello"
            status, output = await run_in(host, VMID, ["sh", "-c", install], timeout_s=110)
            assert status == 0, output.decode()
            assert b"Hello, world!" in output
    finally:
        await host.destroy(VMID)  # pytest cannot remove files of the guest's ids
        await host.close()


@ordinary
async def test_a_guest_with_one_user_seems_to_change_owners(tmp_path: Path) -> None:
    host = await open_or_skip(tmp_path, "rootless-single")
    try:
        await host.create(GuestSpec(VMID, "web-01"))
        await host.start(VMID)
        status, output = await run_in(host, VMID, ["sh", "-c", "touch /x && chown www-data /x && stat -c %U /x"])
        assert (status, output) == (0, b"root\n")
    finally:
        await host.destroy(VMID)  # pytest cannot remove files of the guest's ids
        await host.close()


async def test_simulated_guests_repeat_what_they_are_told(tmp_path: Path) -> None:
    host = await pick_host(tmp_path, "simulated")
    await host.create(GuestSpec(VMID, "web-01"))
    assert await host.address(VMID) == ""
    with pytest.raises(GuestError, match="not running"):
        host.argv(VMID, ["true"])
    await host.start(VMID)
    assert await run_in(host, VMID, ["rm", "-rf", "a b"]) == (0, b"simulated: web-01: rm -rf 'a b'\n")
    assert (await host.address(VMID)).startswith("10.77.0.")
    assert (await host.usage(VMID)).memory_bytes > 0
    source = tmp_path / "source"
    source.write_text("x")
    await host.push(VMID, source, "/x", mode=0o644, uid=0, gid=0)
    with pytest.raises(FileNotFoundError):
        await host.push(VMID, tmp_path / "missing", "/x", mode=0o644, uid=0, gid=0)
    await host.pull(VMID, "/x", tmp_path / "back")
    assert "simulated" in (tmp_path / "back").read_text()
    await host.shutdown(VMID)
    assert not host.is_running(VMID)
    await host.close()


async def test_simulated_guests_are_found_again(tmp_path: Path) -> None:
    host = await pick_host(tmp_path, "simulated")
    await host.create(GuestSpec(VMID, "web-01"))
    with pytest.raises(ConflictError):
        await host.create(GuestSpec(VMID, "web-01"))
    with pytest.raises(InvalidInputError):
        await host.create(GuestSpec(102, "web-02", address="nowhere"))
    await host.close()
    again = await pick_host(tmp_path, "simulated")
    assert list(await again.recover()) == [VMID]
    await again.destroy(VMID)
    with pytest.raises(NotFoundError):
        await again.start(VMID)


async def test_a_guest_made_while_simulated_becomes_a_real_one(tmp_path: Path) -> None:
    simulated = await pick_host(tmp_path, "simulated")
    await simulated.create(GuestSpec(VMID, "web-01"))
    await simulated.close()
    host = await pick_host(tmp_path)
    try:
        if host.kind == "simulated":
            pytest.skip("this machine allows no real guests")
        assert list(await host.recover()) == [VMID]
        await host.start(VMID)
        assert await run_in(host, VMID, ["hostname"]) == (0, b"web-01\n")
        with pytest.raises(CommandFailedError):
            await host.pull(VMID, "/no/such/file", tmp_path / "back")
    finally:
        await host.close()
