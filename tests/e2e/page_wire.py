"""The page's websocket with a hand on it: what the server says is held back, or the connection is cut."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, WebSocketRoute

from tests.e2e.conftest import until

# The last thing that a page is told when it is opened or connects again.
FILLED: Final = re.compile(r'is_hydrated\w*"\s*:\s*true')


class PageWire:
    """``filled`` counts how often the page was given all of its state. Make it before the page is visited."""

    def __init__(self, page: Page) -> None:
        self.filled = 0
        self._page = page
        self._held: list[str | bytes] | None = None
        self._socket: WebSocketRoute | None = None
        page.route_web_socket(lambda url: "_event" in url, self._between)

    def hold(self) -> None:
        """From now on the page hears nothing."""
        self._held = []

    def let_go(self) -> None:
        """It hears all of it, once the server has said something."""
        until(self._page, lambda: bool(self._held), "the server says nothing")
        held, self._held = self._held or [], None
        assert self._socket
        for message in held:
            self._socket.send(message)

    def cut(self) -> None:
        """The page loses its connection, and comes again."""
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
