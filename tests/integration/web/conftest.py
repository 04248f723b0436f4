"""A running web server over a sandbox without guests, and tabs that use Reflex's websocket protocol."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import httpx
import psycopg
import pytest

from lxc_dashboard import routes
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.settings import Settings
from tests.e2e.stack import Stack, running_stack

ROOT_STATE = "reflex___state____state"
HYDRATE = f"{ROOT_STATE}.hydrate_and_load"
IS_HYDRATED = "is_hydrated_rx_state_"
QUIET_S = 0.4


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("web"), "--guests", "none", worker=False) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def free_guests(stack: Stack) -> None:
    """Delete all jobs and containers, as no worker ends these tests' jobs.

    Otherwise a file would find guests locked by earlier files, or recognized as the product's own.
    """
    with psycopg.connect(stack.environ["DATABASE_URL"]) as connection:
        connection.execute("TRUNCATE container, job CASCADE")


@pytest.fixture
def settings(stack: Stack) -> Settings:
    """The settings of the running web server."""
    return Settings.load(stack.environ)


@dataclass
class Visitor:
    """A browser without scripts. It handles cookies itself, as httpx sends no Secure cookie over http."""

    stack: Stack
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def ask(self, method: str, path: str, *, origin: str | None = None, **options: Any) -> httpx.Response:
        """Send one request without following redirects. ``origin`` None: this site; empty: no header."""
        headers = {"Accept": "text/html", "Cookie": self.header, **options.pop("headers", {})}
        given = self.stack.url if origin is None else origin
        async with httpx.AsyncClient(base_url=self.stack.url, timeout=60) as client:
            response = await client.request(
                method, path, headers={**headers, **({"Origin": given} if given else {})}, **options
            )
        for cookie in response.cookies.jar:
            if cookie.value:
                self.cookies[cookie.name] = cookie.value
        for line in response.headers.get_list("set-cookie"):
            if "Max-Age=0" in line:
                self.cookies.pop(line.partition("=")[0], None)
        return response

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("POST", path, **options)

    async def endpoint_id(self) -> str:
        page = (await Visitor(self.stack).get(routes.SIGN_IN)).text
        return page.partition('<option value="')[2].partition('"')[0]

    async def sign_in(self, userid: str = "root@pam", password: str = "", **extra: str) -> httpx.Response:
        user, _, realm = userid.partition("@")
        form = {
            "endpoint": await self.endpoint_id(),
            "user": user,
            "realm": realm,
            "password": password or self.stack.users[userid],
            **extra,
        }
        return await self.post(routes.SIGN_IN, data=form)

    @property
    def cookie(self) -> str:
        return self.cookies.get(sessions.COOKIE_NAME, "")


NEW_TOKEN = "new_token"
PATIENCE_S = 60
SETTLED_S = 1.5


@dataclass
class Tab:
    """One websocket of a browser's tab, after its handshake."""

    socket: aiohttp.ClientWebSocketResponse
    token: str
    path: str = "/"
    ended: bool = False

    async def send(self, name: str, payload: dict[str, Any] | None = None) -> None:
        event = {"name": name, "payload": payload or {}, "router_data": self._router_data()}
        await self.socket.send_str(f"42/_event,{json.dumps(['event', event])}")

    async def open(self) -> None:
        """Connect as the page does: the CONNECT packet holds the first event."""
        assert (await self.socket.receive_str())[0] == "0"
        event = {"name": HYDRATE, "payload": {}, "router_data": self._router_data()}
        await self.socket.send_str(f"40/_event,{json.dumps({'event': event})}")

    async def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Collect updates until ``holds`` is true for them or the server closes."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            while not holds(found) and (update := await self.update(PATIENCE_S)) is not None:
                found.append(update)
        return found

    async def settled(self) -> list[dict[str, Any]]:
        """All updates of a page that opens: until it has loaded, and those that follow at once."""
        return [*await self.until(has_loaded), *await self.updates()]

    async def updates(self, quiet_s: float = QUIET_S) -> list[dict[str, Any]]:
        """Collect updates until none comes for ``quiet_s`` or the server closes."""
        found = []
        while (update := await self.update(quiet_s)) is not None:
            found.append(update)
        return found

    async def update(self, within_s: float = PATIENCE_S) -> dict[str, Any] | None:
        """The next update; None when none comes in time or the server closes."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    message = await self.socket.receive()
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return None
                    if message.data == "2":
                        await self.socket.send_str("3")
                    if message.data == "1":  # Engine.IO's close packet
                        self.ended = True
                        return None
                    if message.data.startswith("42/_event,"):
                        name, said = json.loads(message.data.partition(",")[2])
                        if name != NEW_TOKEN:
                            return dict(said)
                        self.token = said  # the server does not know yet that the old token's socket is gone
        except TimeoutError:
            return None

    def _router_data(self) -> dict[str, Any]:
        place = urlsplit(self.path)
        return {"pathname": place.path, "asPath": self.path, "query": dict(parse_qsl(place.query))}


def has_loaded(updates: list[dict[str, Any]]) -> bool:
    """Whether the page has finished loading: Reflex sends this last."""
    return any((update.get("delta") or {}).get(ROOT_STATE, {}).get(IS_HYDRATED) for update in updates)


@asynccontextmanager
async def tab(visitor: Visitor, path: str = "/", token: str = "", origin: str | None = None) -> AsyncIterator[Tab]:
    """Open a tab of the visitor, which begins to load. Raises ``aiohttp.WSServerHandshakeError`` if refused."""
    chosen = token or str(uuid.uuid4())
    address = f"{visitor.stack.url}/_event/?token={chosen}&EIO=4&transport=websocket"
    headers = {"Cookie": visitor.header, "Origin": visitor.stack.url if origin is None else origin}
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, headers={name: value for name, value in headers.items() if value}) as socket,
    ):
        opened = Tab(socket, chosen, path)
        await opened.open()
        yield opened


def redirects(updates: list[dict[str, Any]]) -> list[str]:
    """The addresses that the updates redirect to."""
    return [
        event["payload"]["path"]
        for update in updates
        for event in update.get("events", [])
        if event["name"] == "_redirect"
    ]


@pytest.fixture
def visitor(stack: Stack) -> Visitor:
    return Visitor(stack)


@pytest.fixture
async def signed_in(stack: Stack) -> Visitor:
    """A visitor signed in as root@pam."""
    someone = Visitor(stack)
    assert (await someone.sign_in()).status_code == 303
    return someone
