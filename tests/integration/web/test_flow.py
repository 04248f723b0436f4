"""Strangers and users who send what no page sends: the server holds on to nothing of it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from lxc_dashboard import routes
from tests.e2e.stack import Stack
from tests.integration.web.conftest import PATIENCE_S, Visitor, tab


async def test_a_binary_message_ends_a_pages_socket(signed_in: Visitor) -> None:
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        await opened.socket.send_str('45900000000-/_event,["event",{"_placeholder":true,"num":0}]')
        await opened.socket.send_bytes(b"x" * 1000)
        async with asyncio.timeout(PATIENCE_S):
            while not opened.socket.closed:
                await opened.socket.receive()


async def test_a_form_that_does_not_come_is_answered_in_time(stack: Stack) -> None:
    host = urlsplit(stack.url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    writer.write(
        f"POST {routes.SIGN_IN} HTTP/1.1\r\nHost: {host.netloc}\r\nOrigin: {stack.url}\r\nContent-Length: 100\r\n\r\nuser=a".encode()
    )
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
