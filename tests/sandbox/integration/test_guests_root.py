"""Features that only guests of root have: other users, and addresses that the machine can reach."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from pve_sandbox.guests.kind import ROOT
from pve_sandbox.guests.namespaced import NamespaceHost
from pve_sandbox.guests.network import relay as network
from pve_sandbox.guests.network.relay import link_name, routed_networks
from tests.sandbox.integration.mirrors import mirror_is_near

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="guests that the machine reaches by network need root")

VMID = 101
DEADLINE_S = 60
# Serves one page to each connection, with tools that every guest has.
SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 8080))
print("listening", flush=True)
while True:
    connection, _ = server.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nfrom the guest")
    connection.close()
"""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[GuestHost]:
    picked = await pick_host(tmp_path)
    try:
        if picked.kind != "root":
            pytest.skip(f"this machine allows no root guests: {picked.description}")
        yield picked
    finally:
        await picked.close()


async def run(host: GuestHost, *command: str) -> tuple[int, str]:
    status, output = await run_in(host, VMID, command, timeout_s=110)
    return status, output.decode(errors="replace")


@pytest.mark.parametrize("wanted", ["", "10.201.44.7/24"])
async def test_the_machine_reaches_a_guests_web_server(host: GuestHost, wanted: str) -> None:
    await host.create(GuestSpec(VMID, "web-01", address=wanted))
    await host.start(VMID)
    if (await run(host, "python3", "--version"))[0]:
        pytest.skip("the guests' base has no python3 to serve a page with")
    server = await asyncio.create_subprocess_exec(
        *host.argv(VMID, ["python3", "-c", SERVER]), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout
    async with asyncio.timeout(DEADLINE_S):
        assert await server.stdout.readline() == b"listening\n"
    address = (await host.address(VMID)).split("/")[0]
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{address}:8080/", timeout=DEADLINE_S)).text == "from the guest"
    await host.stop(VMID)
    await server.wait()


def interfaces(ours: str) -> set[str]:
    """The machine's interfaces, without those of sandboxes in other tests."""
    found = {path.name for path in Path("/sys/class/net").iterdir()}
    return {name for name in found if name == ours or not re.fullmatch("lxc[0-9a-f]{8,}", name)}


async def test_the_line_to_the_guests_is_the_only_thing_on_the_machine(host: GuestHost, tmp_path: Path) -> None:
    link = link_name(tmp_path)
    before = interfaces(link)
    assert link in before
    await host.create(GuestSpec(VMID, "web-01"))
    await host.start(VMID)
    assert interfaces(link) == before


async def test_two_sandboxes_that_look_for_a_network_at_once_have_one_each(
    host: GuestHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(host, NamespaceHost)
    other = tmp_path / "other"
    (other / "guests").mkdir(parents=True)
    (other / "guests" / "network").write_text(str(host._environment.gateway))
    looked: list[Path] = []

    def look() -> list[ipaddress.IPv4Network]:
        """Make the first choice before the other sandbox sets its route."""
        looked.append(other)
        return routed_networks() if len(looked) > 1 else []

    monkeypatch.setattr(network, "routed_networks", look)
    second = NamespaceHost(other, ROOT)
    await second.open()
    try:
        assert len(looked) == 2
        assert second._environment.gateway != host._environment.gateway
    finally:
        await second.close()


async def test_a_guests_layer_belongs_to_nobody_of_the_machine(host: GuestHost, tmp_path: Path) -> None:
    await host.create(GuestSpec(VMID, "web-01"))
    await host.start(VMID)
    assert (await run(host, "sh", "-c", "cp /bin/sh /root/shell && chmod 4755 /root/shell"))[0] == 0
    assert (tmp_path / f"guests/{VMID}/upper/root/shell").stat().st_uid >= 100_000


async def test_a_user_of_a_guest_is_no_root(host: GuestHost) -> None:
    await host.create(GuestSpec(VMID, "web-01"))
    await host.start(VMID)
    status, output = await run(host, "su", "-s", "/bin/sh", "www-data", "-c", "id -un; touch /etc/x")
    assert status != 0
    assert output.startswith("www-data\n")


async def test_packages_install_from_the_machines_own_mirrors(host: GuestHost) -> None:
    if not await asyncio.to_thread(mirror_is_near):
        pytest.skip("this machine has no apt mirror that it reaches")
    await host.create(GuestSpec(VMID, "web-01"))
    await host.start(VMID)
    status, output = await run(host, "apt-get", "-o", "Acquire::Retries=2", "update")
    assert status == 0, output
    status, output = await run(host, "sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -y hello && hello")
    assert status == 0, output
    assert "Hello, world!" in output
    assert not Path("/usr/bin/hello").exists()
