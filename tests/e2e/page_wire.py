"""The page's websocket under the test's control: hold back the server's messages, or cut the connection."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, WebSocketRoute

from tests.e2e.conftest import until

# In the last message that a page gets after it opens or reconnects.
FILLED: Final = re.compile(r'is_hydrated\w*"\s*:\s*true')


class PageWire:
    """``filled`` counts how often the page received its whole state. Create it before the page is visited."""

    def __init__(self, page: Page) -> None:
        self.filled = 0
        self._page = page
        self._held: list[str | bytes] | None = None
        self._socket: WebSocketRoute | None = None
        page.route_web_socket(lambda url: "_event" in url, self._between)

    def hold(self) -> None:
        """Hold back all messages to the page."""
        self._held = []

    def let_go(self) -> None:
        """Wait for at least one held message, then deliver all."""
        until(self._page, lambda: bool(self._held), "the server says nothing")
        held, self._held = self._held or [], None
        assert self._socket
        for message in held:
            self._socket.send(message)

    def cut(self) -> None:
        """Close the connection and wait until the page has reconnected."""
        assert self._socket
        filled = self.filled
        self._socket.close()
        until(self._page, lambda: self.filled > filled, "the page has not connected again")

    def _between(self, socket: WebSocketRoute) -> None:
        server, self._socket = socket.connect_to_server(), socket

        def down(message: str | bytes) -> None:
            if self._held is not None:
                self._held.append(message)
                return
            socket.send(message)
            self.filled += FILLED.search(str(message)) is not None

        server.on_message(down)
        socket.on_message(server.send)
