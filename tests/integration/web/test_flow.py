"""Requests that no page sends, with and without a session: the server keeps nothing of them in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest

from lxc_dashboard import routes
from lxc_dashboard.api.middleware import limits
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.integration.web.conftest import PATIENCE_S, Visitor, tab
from tests.integration.web.programs import Program
from tests.integration.web.told_jobs import begin


async def test_a_binary_message_ends_a_pages_socket(signed_in: Visitor) -> None:
    async with tab(signed_in, "/nowhere") as opened:
        await opened.settled()
        await opened.socket.send_str('45900000000-/_event,["event",{"_placeholder":true,"num":0}]')
        await opened.socket.send_bytes(b"x" * 1000)
        async with asyncio.timeout(PATIENCE_S):
            while not opened.socket.closed:
                await opened.socket.receive()
        assert opened.socket.closed


@pytest.mark.full
async def test_a_form_that_does_not_come_is_answered_in_time(stack: Stack) -> None:
    host = urlsplit(stack.url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    writer.write(
        f"POST {routes.SIGN_IN} HTTP/1.1\r\nHost: {host.netloc}\r\nOrigin: {stack.url}\r\nContent-Length: 100\r\n\r\nuser=a".encode()
    )
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()


async def served(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Repeat the request while the server is busy: many open logs keep a slow machine busy."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await ask()).status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await answer.aclose()
            await asyncio.sleep(0.2)
    return answer


async def test_a_session_follows_so_many_logs_and_no_more_and_others_are_served(
    signed_in: Visitor, visitor: Visitor, settings: Settings
) -> None:
    async with Runtime.open(settings) as rt, AsyncExitStack() as open_:
        job = await begin(rt, signed_in)
        client = await open_.enter_async_context(
            httpx.AsyncClient(base_url=signed_in.stack.url, timeout=60, limits=httpx.Limits(max_connections=None))
        )

        async def followed(who: Visitor) -> int:
            headers = {"Cookie": who.header, "Accept": "text/event-stream"}
            asked = client.build_request("GET", f"{job.base}/events", headers=headers)
            answer = await served(lambda: client.send(asked, stream=True))
            open_.push_async_callback(answer.aclose)
            return answer.status_code

        assert {await followed(signed_in) for _ in range(limits.STREAMS)} == {200}
        refused = await served(lambda: signed_in.get(f"{job.base}/events"))
        assert (refused.status_code, refused.json()["error"][:33]) == (429, "You have 250 open logs, the most ")
        assert (await served(lambda: signed_in.get(f"{job.base}/log"))).status_code == 200
        assert (await served(visitor.sign_in)).status_code == 303
        assert await followed(visitor) == 200


@pytest.mark.full
async def test_a_session_has_so_many_sockets_and_no_more(signed_in: Visitor, visitor: Visitor) -> None:
    async with AsyncExitStack() as open_:
        for _ in range(limits.SOCKETS):
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
