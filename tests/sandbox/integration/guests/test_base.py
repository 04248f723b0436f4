"""Guests have their own system, independent of changes to the machine's."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec
from pve_sandbox.guests.namespaced import NamespaceHost
from tests.sandbox.integration.guests.guest_commands import PROJECT, VMID, output_of, status_of

DEADLINE_S = 120
INSTALLED = "later later 640 /etc/later.conf\n"
# Opens a sandbox in a mount namespace. There the machine installs a package with a new user while the sandbox runs.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestSpec, run_in

async def main(folder, line):
    host = await pick_host(Path(folder))
    try:
        for path, text in {"/etc/passwd": "later:x:499:499::/:/bin/false\\n", "/var/lib/dpkg/statoverride": line}.items():
            with open(path, "a") as file:
                file.write(text)
        await host.create(GuestSpec(101, "web-01"))
        await host.start(101)
        probe = "mkdir -p /d/DEBIAN && printf 'Package: probe\\\\nVersion: 1\\\\nArchitecture: all\\\\nMaintainer: x <x@example.org>\\\\n' >/d/DEBIAN/control"
        script = f"{probe} && dpkg-deb -b /d /probe.deb && dpkg -i /probe.deb && dpkg-statoverride --list; id later"
        print((await run_in(host, 101, ["sh", "-c", script]))[1].decode())
    finally:
        await host.close()

asyncio.run(main(*sys.argv[1:]))
"""
IN_A_COPY = """
mount --make-rprivate /
mount --bind "$1/etc" /etc && mount --bind "$1/dpkg" /var/lib/dpkg && shift && exec "$@"
"""


async def has_dpkg(guest: GuestHost) -> bool:
    return await status_of(guest, "command -v dpkg") == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount namespace in which the machine's files change")
async def test_what_is_installed_on_the_machine_later_does_not_come_into_its_guests(tmp_path: Path) -> None:
    if not Path("/var/lib/dpkg/status").exists():
        pytest.skip("the machine's packages are not dpkg's")
    for source, name in {"/etc": "etc", "/var/lib/dpkg": "dpkg"}.items():
        await asyncio.to_thread(shutil.copytree, source, tmp_path / name, symlinks=True)
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "sandbox"), INSTALLED]
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-ec", IN_A_COPY, "copy", str(tmp_path), *program),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    async with asyncio.timeout(DEADLINE_S):
        output = (await process.communicate())[0].decode()
    if "simulated" in output:
        pytest.skip("this machine allows no real guests")
    assert "Setting up probe" in output, output
    assert "later.conf" not in output
    assert "no such user" in output


async def test_its_packages_are_configured_and_whole(guest: GuestHost) -> None:
    if not await has_dpkg(guest):
        pytest.skip("guests have no dpkg here")
    assert await output_of(guest, "dpkg --audit; dpkg --configure --pending") == ""
    assert await output_of(guest, "dpkg-query -W -f '${db:Status-Abbrev}\\n' | sort -u") == "ii"


async def test_its_files_belong_to_its_root(guest: GuestHost) -> None:
    assert await output_of(guest, "stat -c %u /etc /usr /etc/passwd $(command -v su) | sort -u") == "0"
    assert await output_of(guest, "stat -c %a $(command -v su)") == "4755"


async def test_the_host_says_what_the_base_is_and_when_it_was_made(host: GuestHost) -> None:
    assert isinstance(host, NamespaceHost)
    base = host._environment.base
    assert f"{base.source}, {base.made}" in host.description


async def test_a_guest_whose_base_is_gone_is_built_anew(folder: Path) -> None:
    first = await pick_host(folder)
    if not isinstance(first, NamespaceHost):
        pytest.skip("this machine allows no real guests")
    await first.create(GuestSpec(VMID, "web-01"))
    await first.start(VMID)
    await output_of(first, "echo kept >/etc/kept")
    await first.close()
    record = folder / f"guests/{VMID}/guest.json"
    record.write_text(record.read_text().replace(first._records[VMID].base, "0000gone0000"))
    second = await pick_host(folder)
    try:
        await second.start(VMID)
        assert await output_of(second, "hostname; test -e /etc/kept || echo anew") == "web-01\nanew"
        await second.destroy(VMID)
    finally:
        await second.close()
