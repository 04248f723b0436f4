"""Strangers and users who send what no page sends: the server holds on to nothing of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest

from lxc_dashboard import routes
from lxc_dashboard.api import shares
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.integration.web.conftest import PATIENCE_S, Visitor, tab
from tests.integration.web.programs import Program
from tests.integration.web.told_jobs import begin

BUSY = 503


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


async def test_a_session_follows_so_many_logs_and_no_more_and_others_are_served(
    signed_in: Visitor, visitor: Visitor, settings: Settings
) -> None:
    async with Runtime.open(settings) as rt, AsyncExitStack() as open_:
        events = f"{(await begin(rt, signed_in)).base}/events"
        client = await open_.enter_async_context(
            httpx.AsyncClient(base_url=signed_in.stack.url, timeout=60, limits=httpx.Limits(max_connections=None))
        )
        headers = {"Cookie": signed_in.header, "Accept": "text/event-stream"}
        for _ in range(shares.STREAMS):
            status = BUSY
            while (
                status == BUSY
            ):  # says a server that waits for its database too long, on a machine with much else to do
                status = (await open_.enter_async_context(client.stream("GET", events, headers=headers))).status_code
            assert status == 200
        refused = await signed_in.get(events)
        assert (refused.status_code, refused.json()["error"][:33]) == (429, "You have 250 open logs, and no mo")
        assert (await signed_in.get(f"{events.removesuffix('/events')}/log")).status_code == 200
        await visitor.sign_in()
        async with client.stream("GET", events, headers=headers | {"Cookie": visitor.header}) as answer:
            assert answer.status_code == 200


async def test_a_session_has_so_many_sockets_and_no_more(signed_in: Visitor, visitor: Visitor) -> None:
    async with AsyncExitStack() as open_:
        for _ in range(shares.SOCKETS):
            await open_.enter_async_context(tab(signed_in, "/nowhere"))
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await open_.enter_async_context(tab(signed_in, "/nowhere"))
        await visitor.sign_in()
        async with tab(visitor, "/nowhere") as other:
            assert await other.settled()


async def test_requests_of_a_program_that_come_at_once_are_all_answered(stack: Stack) -> None:
    program = Program(stack, NodeSide(stack).new_token())
    answers = await asyncio.gather(*(program.get(routes.API_CREATIONS) for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}
