"""Pages that send requests without reading the answers, against the real web server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from lxc_dashboard import routes
from lxc_dashboard.state.socket.sockets import UNSENT_BYTES
from tests.e2e.stack import Stack
from tests.integration.web.conftest import HYDRATE, PATIENCE_S, Visitor, has_loaded, tab
from tests.integration.web.test_memory import MIB, memory_bytes

# The queue, what the writer has taken from it, the page's state, and memory that the allocator keeps.
KEPT_BYTES = 8 * UNSENT_BYTES
ASKED_S = 40
# Until the kernel's buffers are full and the server waits.
FILLED_S = 12
ENDED_WITHIN_S = 15
EVENT = {"name": HYDRATE, "payload": {}, "router_data": {"pathname": "/create", "asPath": "/create", "query": {}}}

pytestmark = pytest.mark.timeout(180)


@contextlib.contextmanager
def unread_page(visitor: Visitor) -> Iterator[socket.socket]:
    """A page's websocket that the test never reads."""
    place = urlsplit(visitor.stack.url)
    with socket.socket() as page:
        page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        page.settimeout(PATIENCE_S)
        page.connect((place.hostname, place.port))
        lines = (
            f"GET /_event/?token={uuid.uuid4()}&EIO=4&transport=websocket HTTP/1.1",
            *(f"Host: {place.netloc}", f"Origin: {visitor.stack.url}", f"Cookie: {visitor.header}"),
            *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        page.sendall("\r\n".join((*lines, "", "")).encode())
        assert b" 101 " in page.recv(64)
        page.sendall(frame(f"40/_event,{json.dumps({'event': EVENT})}"))
        yield page


def frame(text: str) -> bytes:
    """A masked websocket frame of up to 64 KiB."""
    data = text.encode()
    return b"\x81\xfe" + struct.pack(">H", len(data)) + bytes(4) + data


async def ask_for(page: socket.socket, seconds: float) -> None:
    """Send events, each answered with the page's whole state, until the socket closes or the time is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    event = frame(f"42/_event,{json.dumps(['event', EVENT])}")
    with contextlib.suppress(OSError):
        while loop.time() < until:
            await asyncio.to_thread(page.sendall, event)
            await asyncio.sleep(0.005)


@pytest.mark.full
async def test_answers_that_a_page_does_not_read_take_little_memory(stack: Stack, signed_in: Visitor) -> None:
    async with tab(signed_in, "/create") as opened:
        await opened.settled()
    before = memory_bytes(stack)
    with unread_page(signed_in) as page:
        await ask_for(page, ASKED_S)
        after = memory_bytes(stack)
    assert after - before < KEPT_BYTES, (before // MIB, after // MIB)


@pytest.mark.full
async def test_a_page_that_does_not_read_holds_up_no_other_page_when_the_session_ends(signed_in: Visitor) -> None:
    with unread_page(signed_in) as page:
        await ask_for(page, FILLED_S)
        async with tab(signed_in, "/nowhere") as opened:
            await opened.until(has_loaded)
            await signed_in.post(routes.SIGN_OUT)
            async with asyncio.timeout(ENDED_WITHIN_S):
                await opened.until(lambda _: opened.ended)
            assert opened.ended
