"""Guests whose acts wait at a gate, so that a test chooses the moment of a failure."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lxc_dashboard.guest.doors import conversation
from pve_sandbox.guests.host import GuestHost, GuestSpec
from tests.integration.faults import gate_proxy

CREATE = "create"
START = "start"
END = ";"  # follows the last word of a command


@dataclass
class Gate:
    """Holds the first matching act on a guest: ``create``, ``start``, or a command whose words contain ``where``.

    ``after``: let the act take effect and hold only its answer. The gate holds one act; later ones pass.
    """

    vmid: int
    where: str
    after: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self.opened.set()

    def fits(self, words: str) -> bool:
        return words == self.where if self.where in {CREATE, START} else self.where in words

    async def around(self, act: Awaitable[None]) -> None:
        if self.after:
            await act
        self.reached.set()
        await self.opened.wait()
        if not self.after:
            await act


class GatedHost:
    """Wraps a host of guests and holds acts at the gates.

    Each command of a conversation passes ``gate_proxy.py``, which asks this host. Enter ``listen`` first.
    """

    def __init__(self, host: GuestHost) -> None:
        self._host = host
        self._gates: list[Gate] = []
        self._port = 0

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self._port = server.sockets[0].getsockname()[1]
            yield

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def hold(self, vmid: int, where: str, *, after: bool = False) -> Gate:
        gate = Gate(vmid, where, after)
        self._gates.append(gate)
        return gate

    def open_all(self) -> None:
        for gate in self._gates:
            gate.open()
        self._gates.clear()

    async def create(self, spec: GuestSpec) -> None:
        await self._around(spec.vmid, CREATE, self._host.create(spec))

    async def start(self, vmid: int) -> None:
        await self._around(vmid, START, self._host.start(vmid))

    def argv(self, vmid: int, command: Sequence[str], *, tty: bool = False) -> list[str]:
        argv = self._host.argv(vmid, command, tty=tty)
        if list(command) != conversation():
            return argv
        return [sys.executable, "-I", "-S", gate_proxy.__file__, str(self._port), str(vmid), *argv]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        argv = shlex.split(asked["words"])[:-1]
        gate = self._take(asked["vmid"], " ".join(argv) + END)
        if gate is not None and gate.after:
            writer.write(gate_proxy.HOLD)
            await reader.readline()
        if gate is not None:
            gate.reached.set()
            await gate.opened.wait()
        writer.write(gate_proxy.GO)
        await writer.drain()
        writer.close()

    async def _around(self, vmid: int, act_name: str, act: Awaitable[None]) -> None:
        gate = self._take(vmid, act_name)
        await (act if gate is None else gate.around(act))

    def _take(self, vmid: int, words: str) -> Gate | None:
        waiting = (gate for gate in self._gates if gate.vmid == vmid and not gate.reached.is_set())
        return next((gate for gate in waiting if gate.fits(words)), None)
