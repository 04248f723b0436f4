"""A worker whose outgoing calls pass a gate, where a test kills it, drops an answer or stalls it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

import httpx

from lxc_dashboard.bus import Bus
from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.errors import GuestUnreachableError, KeyRefusedError, ServiceUnavailableError, UnreachableError
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.keys import private_key_of
from lxc_dashboard.proxmox.client import ProxmoxClient, ProxmoxPool
from lxc_dashboard.proxmox.endpoint import Endpoint
from lxc_dashboard.proxmox.transport import EndpointTransport
from tests.integration.jobs.world import HOST_KEY, NODE_HOST, Entered, Guest, World

CONNECTION_LOST = GuestUnreachableError("The connection to the guest was lost")
PVE_AWAY = UnreachableError("PVE does not answer")  # the error that the transport raises
DATABASE_AWAY = ServiceUnavailableError("PostgreSQL")
REDIS_AWAY = ServiceUnavailableError("Redis")
TURNS = 8  # turns of the event loop within which a woken writer begins


class Death(BaseException):
    """Kills the worker at the instruction that raises it."""


class How(StrEnum):
    """What happens to a worker. ``stalls``: it pauses until it is released, like a stopped process."""

    DIES = "dies"
    LOSES = "loses the answer"
    STALLS = "stalls"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at the call with this number, counted from 0, before or after the call takes effect."""

    call: int
    after: bool
    how: How = How.DIES


@dataclass
class Gate:
    """``calls``: the names of the calls so far. ``writing``: how many transactions are open."""

    fault: Fault | None = None
    calls: list[str] = field(default_factory=list)
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    writing: int = 0

    async def before(self, name: str, lost: Exception) -> int:
        """Return the number of the call. ``lost``: raised to the caller when the fault drops the answer."""
        await self._stand_still()
        if self.died.is_set():
            raise Death
        self.calls.append(name)
        number = len(self.calls) - 1
        await self._strike(number, after=False, lost=lost)
        return number

    async def after(self, number: int, lost: Exception) -> None:
        await self._stand_still()
        if self.died.is_set():
            raise Death
        await self._strike(number, after=True, lost=lost)

    async def until_written(self) -> None:
        """Wait until the output so far is stored, so that a death can fall between any two lines."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        while self.writing and not self.died.is_set():
            await asyncio.sleep(0.001)

    async def _strike(self, number: int, *, after: bool, lost: Exception) -> None:
        fault = self.fault
        if fault is None or (fault.call, fault.after) != (number, after):
            return
        self.struck.set()
        if fault.how is How.LOSES:
            raise lost
        if fault.how is How.DIES:
            self.died.set()
            raise Death
        await self._stand_still()

    async def _stand_still(self) -> None:
        if self.fault is not None and self.fault.how is How.STALLS and self.struck.is_set():
            await self.released.wait()


class GatedPve(ProxmoxPool):
    """The real client, with every HTTPS request through the gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def client(
        self, endpoint: Endpoint, auth: httpx.Auth | None = None, *, get_deadline_s: float = 20
    ) -> ProxmoxClient:
        if endpoint not in self._https:
            transport = _GatedTransport(EndpointTransport(endpoint), self._gate)
            self._https[endpoint] = httpx.AsyncClient(transport=transport, trust_env=False)
        return ProxmoxClient(endpoint, self._https[endpoint], auth, get_deadline_s=get_deadline_s)


class _GatedTransport(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = await self._gate.before(f"{request.method} {request.url.path.removeprefix('/api2/json')}", PVE_AWAY)
        answer = await self._inner.handle_async_request(request)
        await self._gate.after(number, PVE_AWAY)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class ModelPve(ProxmoxPool):
    def __init__(self, world: World, gate: Gate) -> None:
        super().__init__()
        self._https_model = httpx.AsyncClient(transport=_GatedTransport(_Transport(world), gate), trust_env=False)

    def client(
        self, endpoint: Endpoint, auth: httpx.Auth | None = None, *, get_deadline_s: float = 20
    ) -> ProxmoxClient:
        return ProxmoxClient(endpoint, self._https_model, auth, get_deadline_s=get_deadline_s)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api2/json")
        form = dict(parse_qsl(request.url.query.decode())) | dict(parse_qsl(request.content.decode()))
        status, data = self._world.answer(request.method, path, form)
        if status == httpx.codes.OK:
            body = {"data": data, "total": len(data) if isinstance(data, list) else 0}
            return httpx.Response(status, content=json.dumps(body).encode())
        return httpx.Response(status, extensions={"reason_phrase": str(data).encode()}, content=b'{"data":null}')


class ModelSsh:
    """Stands in for ``SshPool``. Each read passes the gate, so a worker can die between any two lines.

    A guest checks the key once, when a connection opens. The connection survives the removal of the key.
    Each worker opens its own connections.
    """

    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate
        self._connected: set[SshAddress] = set()
        self._kept: dict[tuple[SshAddress, str], list[ModelPooled]] = {}

    @contextlib.asynccontextmanager
    async def channel(self, address: SshAddress, command: str) -> AsyncIterator[ModelChannel]:
        yield await self._open(address, command)

    async def _open(self, address: SshAddress, command: str) -> ModelChannel:
        here = address.host == NODE_HOST
        guest = self._world.entered(shlex.split(command)) if here else await self._connect(address)
        return ModelChannel(self._world, guest, self._gate)

    async def take(self, address: SshAddress, command: str) -> ModelPooled:
        kept = self._kept.get((address, command))
        return kept.pop() if kept else ModelPooled(address, command, await self._open(address, command))

    def keep(self, pooled: ModelPooled) -> None:
        self._kept.setdefault((pooled.address, pooled.command), []).append(pooled)

    async def drop(self, pooled: ModelPooled) -> None:
        pass

    async def end(self, address: SshAddress, command: str) -> None:
        self._kept.pop((address, command), None)

    async def _connect(self, address: SshAddress) -> Guest:
        number = None if address in self._connected else await self._gate.before("ssh connect", CONNECTION_LOST)
        guest = self._world.at(address.host)
        if guest is None:
            raise GuestUnreachableError(f"{address.name} cannot be reached")
        if number is not None:
            if private_key_of(address.private_key).get_base64() not in guest.keys:
                raise KeyRefusedError(f"{address.name} refuses the key")
            self._connected.add(address)
            await self._gate.after(number, CONNECTION_LOST)
        return guest

    async def check_access(self, address: SshAddress) -> None:
        async with self.channel(address, "true") as channel:
            await channel.send(b"")

    async def host_key(self, host: str, _: int) -> str:
        number = await self._gate.before("ssh host key", CONNECTION_LOST)
        if self._world.at(host) is None:
            raise GuestUnreachableError(f"{host} cannot be reached")
        await self._gate.after(number, CONNECTION_LOST)
        return HOST_KEY

    async def forget(self, address: SshAddress) -> None:
        self._connected.discard(address)


@dataclass
class ModelPooled:
    """Stands in for ``PooledChannel``. A conversation ends only with its worker."""

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
            words = sent[:200].decode("utf-8", "replace").split()[-4:]
            number = await self._gate.before(f"guest {shlex.join(words)[:60]}", CONNECTION_LOST)
            guest = self._guest
            self._entered = Entered(b"", b"", None) if guest is None else self._world.answer_request(guest, sent)
        else:
            number = await self._gate.before("guest reads", CONNECTION_LOST)
        said = self._entered.read()
        if self._entered.has_left:
            self._entered = None
        await self._gate.after(number, CONNECTION_LOST)
        return said

    async def exit_status(self) -> int:
        return self._entered.status if self._entered else 0


class GatedDatabase:
    """Each transaction is one call. It takes effect with the commit."""

    def __init__(self, database: DatabaseService, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        number = await self._gate.before("database", DATABASE_AWAY)
        self._gate.writing += 1
        try:
            async with self._database.transaction() as tx:
                yield tx
                if self._gate.died.is_set():
                    raise Death
        finally:
            self._gate.writing -= 1
        await self._gate.after(number, DATABASE_AWAY)


class GatedBus:
    """Passes every call of the bus to Redis through the gate."""

    def __init__(self, bus: Bus, gate: Gate) -> None:
        self._bus = bus
        self._gate = gate

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._bus, name)

        async def gated(*args: Any, **options: Any) -> Any:
            number = await self._gate.before(f"redis {name}", REDIS_AWAY)
            answer = await call(*args, **options)
            await self._gate.after(number, REDIS_AWAY)
            return answer

        return gated
