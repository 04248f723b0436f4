"""Containers with real commands through the API, with the best kind of guest on this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from pve_sandbox.api.containers.console import Terminal
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, run_in
from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.api_session import Session, signed_in, until

PASSWORD = "a-root-password"
LARGE_BYTES = 300_000


@asynccontextmanager
async def sandbox(folder: Path, stats_interval_s: float = 0.2) -> AsyncIterator[Session]:
    machine = await pick_host(folder / "machine")
    node = SandboxNode(folder / "node", guests=machine, time_scale=0.01, stats_interval_s=stats_interval_s)
    async with node, signed_in(node) as it:
        yield it


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Session]:
    async with sandbox(tmp_path) as session:
        if machine_of(session).kind == "simulated":
            pytest.skip("this machine allows no real guests")
        yield session


def machine_of(it: Session) -> GuestHost:
    assert it.node.guests is not None
    return it.node.guests


async def running(it: Session, vmid: int = 900, **form: str) -> None:
    asked = {"net0": "name=eth0,bridge=vmbr0,ip=dhcp", "password": PASSWORD, "start": "1", **form}
    assert await it.end_of(await it.create(vmid, **asked)) == "OK"


async def test_a_container_is_made_started_entered_stopped_and_destroyed(it: Session) -> None:
    await running(it, hostname="real-one")
    assert await run_in(machine_of(it), 900, ["hostname"]) == (0, b"real-one\n")
    assert (await it.data("/nodes/pve1/lxc/900/status/current"))["status"] == "running"
    assert await it.run("/nodes/pve1/lxc/900/status/stop") == "OK"
    assert not machine_of(it).is_running(900)
    assert await it.refusal("POST", "/nodes/pve1/lxc/900/status/stop") == (500, "CT 900 not running")
    assert await it.run("/nodes/pve1/lxc/900", "DELETE") == "OK"
    assert not machine_of(it).exists(900)


async def test_the_address_that_the_machine_gave_is_among_the_interfaces(it: Session) -> None:
    await running(it)
    lease = await machine_of(it).address(900)
    eth0 = (await it.data("/nodes/pve1/lxc/900/interfaces"))[1]
    assert eth0["inet"] == lease
    assert {item["ip-address-type"] for item in eth0["ip-addresses"]} == {"inet", "inet6"}


async def test_figures_are_measured(it: Session) -> None:
    await running(it)
    burn = asyncio.create_task(run_in(machine_of(it), 900, ["sh", "-c", "until [ -e /root/enough ]; do :; done"]))

    async def busy() -> bool:
        current = await it.data("/nodes/pve1/lxc/900/status/current")
        return bool(current["cpu"] > 0.005 and current["mem"] > 0)

    await until(busy)
    await until(lambda: it.node.api.guest_stats.get(900, {}).get("cpu", 0) > 0)
    assert any(len(point) > 1 for point in await it.data("/nodes/pve1/lxc/900/rrddata", timeframe="hour"))
    await run_in(machine_of(it), 900, ["touch", "/root/enough"])
    await burn


async def test_a_guest_that_ends_by_itself_is_stopped_and_leaves_no_task(it: Session) -> None:
    await running(it)
    await machine_of(it).stop(900)
    assert (await it.data("/nodes/pve1/lxc/900/status/current"))["status"] == "stopped"
    assert [task["type"] for task in await it.data("/cluster/tasks") if task["id"] == "900"] == ["vzcreate"]
    assert await it.run("/nodes/pve1/lxc/900/status/start") == "OK"


async def test_a_start_waits_for_the_create_that_still_runs(it: Session) -> None:
    creating = await it.create(900)
    starting = await it.post("/nodes/pve1/lxc/900/status/start")
    assert await it.end_of(starting) == "OK"
    assert await it.end_of(creating) == "OK"
    assert machine_of(it).is_running(900)


@pytest.mark.parametrize("time_scale", [0.01, 1])
async def test_a_lock_is_waited_for_as_long_as_pve_does(tmp_path: Path, time_scale: float) -> None:
    node = SandboxNode(tmp_path, guests=await pick_host(tmp_path / "machine", "simulated"), time_scale=time_scale)
    assert node.api.lock_wait * time_scale == pytest.approx(10), "in real seconds: real guests take them"


async def test_a_demo_guest_becomes_real_when_it_starts(it: Session) -> None:
    assert await it.run("/nodes/pve1/lxc/110/status/start") == "OK"
    code, output = await run_in(machine_of(it), 110, ["hostname"])
    assert (code, output) == (0, b"runner-02\n")
    assert await it.run("/nodes/pve1/lxc/110/status/reboot") == "OK"
    assert machine_of(it).is_running(110)
    assert await it.run("/nodes/pve1/lxc/110/status/shutdown", timeout="5") == "OK"
    assert not machine_of(it).is_running(110)


async def test_what_is_not_possible_with_real_guests_fails_with_a_message(it: Session) -> None:
    assert await it.end_of(await it.create(900)) == "OK"
    end = await it.run("/nodes/pve1/lxc/900/clone", newid="901", full="1")
    assert end == "the sandbox cannot clone a guest in which commands really run"
    assert await it.data("/cluster/nextid", vmid=901) == "901"
    assert "lock" not in await it.data("/nodes/pve1/lxc/900/config")


async def test_after_a_restart_real_guests_are_there_with_their_true_state(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as it:
        if machine_of(it).kind == "simulated":
            pytest.skip("this machine allows no real guests")
        await running(it)
        await run_in(machine_of(it), 900, ["sh", "-c", "echo kept >/root/kept"])
    async with sandbox(tmp_path) as it:
        truly = "running" if machine_of(it).is_running(900) else "stopped"
        assert (await it.data("/nodes/pve1/lxc/900/status/current"))["status"] == truly
        if truly == "stopped":
            assert await it.run("/nodes/pve1/lxc/900/status/start") == "OK"
        assert await run_in(machine_of(it), 900, ["cat", "/root/kept"]) == (0, b"kept\n")


async def test_a_guest_without_a_container_is_removed_at_the_start(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as it:
        assert await it.end_of(await it.create(900)) == "OK"
    (tmp_path / "node" / "guests" / "900.json").unlink()
    async with sandbox(tmp_path) as it:
        assert not machine_of(it).exists(900)


# ------------------------------------------------------------------ console


@asynccontextmanager
async def console(it: Session, vmid: int = 900, ticket: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    proxy = await it.post(f"/nodes/pve1/lxc/{vmid}/termproxy")
    base = f"{it.node.url}/api2/json/nodes/pve1/lxc/{vmid}/vncwebsocket"
    url = f"{base}?port={proxy['port']}&vncticket={quote(ticket or proxy['ticket'], safe='')}"
    trust = ssl.create_default_context(cafile=str(it.node.ca_file))
    headers = {"Cookie": it.http.headers["Cookie"]}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, ssl=trust, headers=headers, protocols=("binary",)) as socket,
    ):
        await socket.send_str(f"{proxy['user']}:{proxy['ticket']}\n")
        assert (await socket.receive()).data == b"OK"
        yield socket


async def type_in(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    await socket.send_str(f"0:{len(text.encode())}:{text}")


async def read_until(socket: aiohttp.ClientWebSocketResponse, wanted: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(60):
        while wanted not in seen:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, seen
            seen += message.data
    return seen


async def test_the_console_is_a_shell_on_a_pty_of_the_asked_size(it: Session) -> None:
    await running(it, cmode="shell", hostname="con")
    async with console(it) as socket:
        await socket.send_str("1:132:43:")
        await socket.send_str("2")
        await type_in(socket, "stty size; echo I am $(id -un)\n")
        seen = await read_until(socket, b"I am root")
        assert b"43 132" in seen


async def test_much_output_comes_through_whole(it: Session) -> None:
    await running(it, cmode="shell")
    async with console(it) as socket:
        await type_in(socket, f"stty -echo; head -c {LARGE_BYTES} /dev/zero | tr '\\0' x; echo; echo 'en''d'\n")
        seen = await read_until(socket, b"end\r\n")
        assert seen.count(b"x") >= LARGE_BYTES


async def test_without_shell_mode_the_console_asks_for_a_login(it: Session) -> None:
    await running(it, hostname="con")
    # In a guest with a single uid, a change of user succeeds without effect.
    asked = await run_in(machine_of(it), 900, ["su", "-s", "/bin/sh", "nobody", "-c", '[ "$(id -u)" != 0 ]'])
    async with console(it) as socket:
        await read_until(socket, b"con login: ")
        await type_in(socket, "root\n")
        if asked[0] == 0:  # otherwise no password is required
            await read_until(socket, b"Password: ")
            await type_in(socket, "wrong\n")
            await read_until(socket, b"con login: ")
            await type_in(socket, "root\n")
            await read_until(socket, b"Password: ")
            await type_in(socket, PASSWORD + "\n")
        await read_until(socket, b"# ")  # su discards what is typed before the prompt
        await type_in(socket, "echo I am $(id -un)\n")
        await read_until(socket, b"I am root")


async def test_two_tabs_share_one_session_which_outlives_them(it: Session) -> None:
    await running(it, cmode="shell")
    async with console(it) as first, console(it) as second:
        await type_in(first, "shared=by-$((40 + 2)); echo $shared\n")
        await read_until(first, b"by-42")
        await read_until(second, b"by-42")
    async with console(it) as third:
        await type_in(third, "echo still $shared\n")
        await read_until(third, b"still by-42")


async def test_a_client_waits_while_the_session_opens(it: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(it, cmode="shell")
    opening, goes_on, opened = asyncio.Event(), asyncio.Event(), Terminal.open

    async def slowly(terminal: Terminal, argv: Sequence[str]) -> None:
        opening.set()
        await goes_on.wait()
        await opened(terminal, argv)

    monkeypatch.setattr(Terminal, "open", slowly)
    first = asyncio.create_task(it.node.api._terminal(900))
    await opening.wait()
    second = asyncio.create_task(it.node.api._terminal(900))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done(), "what is typed before there is a pty is lost"
    goes_on.set()
    assert await first is await second


async def test_a_wrong_console_ticket_opens_nothing(it: Session) -> None:
    await running(it, cmode="shell")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with console(it, ticket="PVEVNC:root@pam:6B04B46C::AAAA"):
            pytest.fail("the console opened")
    assert refused.value.status == 401


async def test_a_guest_without_processes_has_no_console(it: Session) -> None:
    status, reason = await it.refusal("POST", "/nodes/pve1/lxc/101/termproxy")
    assert (status, reason) == (500, "Timeout while waiting for port '5900' to get ready!")


async def test_the_ssh_door_reaches_the_same_guests(it: Session) -> None:
    assert it.node.ssh_port
    assert it.node.ssh_host_key.startswith("ssh-")
    assert "PRIVATE KEY" in it.node.ssh_client_key
    assert it.node.node_of(102) == "pve2"
