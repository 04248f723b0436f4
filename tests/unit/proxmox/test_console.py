"""The console's handshake when PVE answers in pieces or with something else."""

from __future__ import annotations

import ssl

import pytest
from aiohttp import web

from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.proxmox import Endpoint, ProxmoxPool, TicketAuth
from lxc_dashboard.proxmox.auth import Ticket
from lxc_dashboard.proxmox.console import open_console
from tests.unit.proxmox.replay import HANG_UP, UPID, Answer, Identity, RawServer, data

NODE = "/api2/json/nodes/pve1/lxc/101"


async def test_a_greeting_in_pieces_and_an_answer_without_a_user(pool: ProxmoxPool, identity: Identity) -> None:
    said: list[str] = []

    async def termproxy(_: web.Request) -> web.Response:
        return web.json_response({"data": {"ticket": "PVEVNC:x", "port": "5900", "upid": UPID}})

    async def terminal(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()  # accepts no subprotocol, as some proxies do
        await socket.prepare(request)
        said.append(bytes((await socket.receive()).data).decode())
        for piece in (b"O", b"K", b"$ "):
            await socket.send_bytes(piece)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_post(f"{NODE}/termproxy", termproxy)
    app.router.add_get(f"{NODE}/vncwebsocket", terminal)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.chain_file)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    try:
        port = runner.addresses[0][1]
        auth = TicketAuth(Ticket("root@pam", "PVE:root@pam:x", "csrf", 2e9))
        client = pool.client(Endpoint("localhost", port, fingerprint=identity.fingerprint), auth)
        async with open_console(client, "pve1", 101) as opened:
            assert await opened.read() == b"$ "
    finally:
        await runner.cleanup()
    assert said == ["root@pam:PVEVNC:x\n"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (HANG_UP, "closed the console before it opened"),
        (Answer("101 Sw", headers=(("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "AAAA"))), "cannot be reached"),
        (Answer("no status"), "cannot be reached"),
    ],
)
async def test_a_handshake_that_is_none_is_an_endpoint_that_is_not_reached(
    answer: Answer, cause: str, pool: ProxmoxPool, identity: Identity
) -> None:
    terminal = data({"ticket": "PVEVNC:x", "port": 5900, "user": "root@pam", "upid": UPID})
    async with RawServer(identity, lambda seen: terminal if seen.method == "POST" else answer) as server:
        client = pool.client(server.endpoint, TicketAuth(Ticket("root@pam", "PVE:root@pam:x", "csrf", 2e9)))
        with pytest.raises(UnreachableError, match=cause):
            async with open_console(client, "pve1", 101):
                pytest.fail("there is no console")
