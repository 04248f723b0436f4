"""What a worker has of the model: each call that leaves it goes through a gate, which kills it where a schedule says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx

from lxc_dashboard.bus import Bus
from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.errors import GuestUnreachableError, KeyRefusedError
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.keys import private_key_of
from lxc_dashboard.proxmox.client import ProxmoxClient, ProxmoxPool
from lxc_dashboard.proxmox.endpoint import Endpoint
from tests.integration.crashes.world import HOST_KEY, NODE_HOST, Entered, Guest, World

TURNS = 8  # of the event loop: a writer is woken and begins within them


class Death(BaseException):
    """The worker was killed at this very instruction."""


@dataclass
class Gate:
    """``dies_at``: the number of the call, from 0, and whether after it took effect. ``calls`` names those that were made.

    ``writing`` counts the transactions that are under way.
    """

    dies_at: tuple[int, bool] | None = None
    calls: list[str] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    writing: int = 0

    def before(self, name: str) -> int:
        if self.died.is_set():
            raise Death
        self.calls.append(name)
        number = len(self.calls) - 1
        self._die((number, False))
        return number

    def after(self, number: int) -> None:
        if self.died.is_set():
            raise Death
        self._die((number, True))

    async def until_written(self) -> None:
        """Until what was told so far is stored, so that a death may fall between any two lines of it."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        while self.writing and not self.died.is_set():
            await asyncio.sleep(0.001)

    def _die(self, here: tuple[int, bool]) -> None:
        if self.dies_at == here:
            self.died.set()
            raise Death


class ModelPve(ProxmoxPool):
    def __init__(self, world: World, gate: Gate) -> None:
        super().__init__()
        self._https_model = httpx.AsyncClient(transport=_Transport(world, gate), trust_env=False)

    def client(
        self, endpoint: Endpoint, auth: httpx.Auth | None = None, *, get_deadline_s: float = 20
    ) -> ProxmoxClient:
        return ProxmoxClient(endpoint, self._https_model, auth, get_deadline_s=get_deadline_s)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api2/json")
        number = self._gate.before(f"{request.method} {path}")
        form = dict(parse_qsl(request.url.query.decode())) | dict(parse_qsl(request.content.decode()))
        status, data = self._world.answer(request.method, path, form)
        self._gate.after(number)
        if status == httpx.codes.OK:
            body = {"data": data, "total": len(data) if isinstance(data, list) else 0}
            return httpx.Response(status, content=json.dumps(body).encode())
        return httpx.Response(status, extensions={"reason_phrase": str(data).encode()}, content=b'{"data":null}')


class ModelSsh:
    """As ``SshPool``. Reading is a leaving call, too: a worker may die between any two lines.

    A connection to a guest is let in by its key once, and stays when the key goes; the next worker's is another one.
    """

    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate
        self._connected: set[SshAddress] = set()
        self._kept: dict[tuple[SshAddress, str], list[ModelPooled]] = {}

    @contextlib.asynccontextmanager
    async def channel(self, address: SshAddress, command: str) -> AsyncIterator[ModelChannel]:
        yield self._open(address, command)

    def _open(self, address: SshAddress, command: str) -> ModelChannel:
        here = address.host == NODE_HOST
        guest = self._world.entered(shlex.split(command)) if here else self._connect(address)
        return ModelChannel(self._world, guest, self._gate)

    async def take(self, address: SshAddress, command: str) -> ModelPooled:
        kept = self._kept.get((address, command))
        return kept.pop() if kept else ModelPooled(address, command, self._open(address, command))

    def keep(self, pooled: ModelPooled) -> None:
        self._kept.setdefault((pooled.address, pooled.command), []).append(pooled)

    async def drop(self, pooled: ModelPooled) -> None:
        pass

    async def end(self, address: SshAddress, command: str) -> None:
        self._kept.pop((address, command), None)

    def _connect(self, address: SshAddress) -> Guest:
        number = None if address in self._connected else self._gate.before("ssh connect")
        guest = self._world.at(address.host)
        if guest is None:
            raise GuestUnreachableError(f"{address.name} cannot be reached")
        if number is not None:
            if private_key_of(address.private_key).get_base64() not in guest.keys:
                raise KeyRefusedError(f"{address.name} refuses the key")
            self._connected.add(address)
            self._gate.after(number)
        return guest

    async def check_access(self, address: SshAddress) -> None:
        async with self.channel(address, "true") as channel:
            await channel.send(b"")

    async def host_key(self, host: str, _: int) -> str:
        number = self._gate.before("ssh host key")
        if self._world.at(host) is None:
            raise GuestUnreachableError(f"{host} cannot be reached")
        self._gate.after(number)
        return HOST_KEY

    async def forget(self, address: SshAddress) -> None:
        self._connected.discard(address)


@dataclass
class ModelPooled:
    """As ``PooledChannel``; no conversation of the model is lost but with its worker."""

    address: SshAddress
    command: str
    channel: ModelChannel
    uses: int = 1


class ModelChannel:
    def __init__(self, world: World, guest: Guest | None, gate: Gate) -> None:
        self._world = world
        self._guest = guest
        self._gate = gate
        self._sent: asyncio.Queue[bytes] = asyncio.Queue()
        self._entered: Entered | None = None

    async def send(self, data: bytes, *, end: bool = True) -> None:
        del end
        self._sent.put_nowait(data)

    async def read(self, _: int = 65536) -> tuple[bytes, bytes]:
        if self._entered is not None and self._entered.step is not None:
            await self._gate.until_written()
        if self._entered is None:
            sent = await self._sent.get()
            number = self._gate.before(f"guest {shlex.join(sent[:200].decode('utf-8', 'replace').split()[-4:])[:60]}")
            guest = self._guest
            self._entered = Entered(b"", b"", None) if guest is None else self._world.answer_request(guest, sent)
        else:
            number = self._gate.before("guest reads")
        said = self._entered.read()
        if self._entered.has_left:
            self._entered = None
        self._gate.after(number)
        return said

    async def exit_status(self) -> int:
        return self._entered.status if self._entered else 0


class GatedDatabase:
    """Each transaction is one call: it took effect once it was committed."""

    def __init__(self, database: DatabaseService, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        number = self._gate.before("database")
        self._gate.writing += 1
        try:
            async with self._database.transaction() as tx:
                yield tx
                if self._gate.died.is_set():
                    raise Death
        finally:
            self._gate.writing -= 1
        self._gate.after(number)


class GatedBus:
    """Whatever a run asks of Redis: its stream above all."""

    def __init__(self, bus: Bus, gate: Gate) -> None:
        self._bus = bus
        self._gate = gate

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._bus, name)

        async def gated(*args: Any, **options: Any) -> Any:
            number = self._gate.before(f"redis {name}")
            answer = await call(*args, **options)
            self._gate.after(number)
            return answer

        return gated
