"""The console's websocket: closed to other sites and without a session; it gives a reason if it ends at once."""

from __future__ import annotations

import json

import aiohttp
import pytest

from lxc_dashboard import routes
from tests.integration.web.conftest import Visitor

RUNNING = 103  # no other test of this stack stops it


async def first_message(visitor: Visitor, vmid: int, origin: str = "") -> dict[str, str]:
    """The first message. Raises ``aiohttp.WSServerHandshakeError`` if the server refuses the connection."""
    address = f"{visitor.stack.url}{routes.console_socket(vmid)}"
    headers = {"Cookie": visitor.header, "Origin": origin or visitor.stack.url}
    async with aiohttp.ClientSession() as client, client.ws_connect(address, headers=headers) as socket:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return dict(json.loads(message.data))


async def test_strangers_and_other_sites_are_kept_out(visitor: Visitor, signed_in: Visitor) -> None:
    for somebody, origin in ((visitor, ""), (signed_in, "https://evil.example")):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await first_message(somebody, RUNNING, origin)
        assert refused.value.status == 403


async def test_why_there_is_no_console_is_told(signed_in: Visitor) -> None:
    assert "There is no CT 999" in (await first_message(signed_in, 999))["error"]
    assert "is stopped. Start it first" in (await first_message(signed_in, 110))["error"]


async def test_a_viewer_is_told_the_privilege(visitor: Visitor) -> None:
    assert (await visitor.sign_in("viewer@pve")).status_code == 303
    assert "VM.Console" in (await first_message(visitor, RUNNING))["error"]


async def test_a_terminal_that_does_not_get_ready_is_told_with_what_to_do(signed_in: Visitor) -> None:
    told = (await first_message(signed_in, RUNNING))["error"]
    assert told.startswith("PVE opened no console for CT 103 ")
    assert "was not ready on node pve" in told
    assert "Connect again" in told
    assert told.endswith("PVE's message: Timeout while waiting for port '5900' to get ready!")
