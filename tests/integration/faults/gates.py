"""Guests whose acts wait for a test: that makes the moment at which something dies a chosen one, not a lucky one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxc_dashboard.sandbox.guests.base import GuestHost, GuestSpec

CREATE = "create"
START = "start"

# Around a command that is about to enter a guest: ``$1`` is the gate's file.
_BEFORE = 'until [ -e "$1" ]; do sleep 0.02; done; shift; exec "$@"'
_AFTER = 'gate=$1; shift; "$@"; status=$?; until [ -e "$gate" ]; do sleep 0.02; done; exit "$status"'


@dataclass
class Gate:
    """Holds the first act on a guest that fits: ``create``, ``start``, or a command whose words hold ``where``.

    ``after`` lets it take effect and holds its answer. It is held once; whoever comes again finds no gate.
    """

    vmid: int
    where: str
    file: Path
    after: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self.file.touch()
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

    def argv(self, argv: Sequence[str]) -> list[str]:
        self.reached.set()
        return ["/bin/sh", "-c", _AFTER if self.after else _BEFORE, "sh", str(self.file), *argv]


class GatedHost:
    """A host of guests, its acts held where a gate stands. Stands in for the one that it is made of."""

    def __init__(self, host: GuestHost, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._gates: list[Gate] = []
        self._number = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def hold(self, vmid: int, where: str, *, after: bool = False) -> Gate:
        self._number += 1
        gate = Gate(vmid, where, self._folder / f"gate-{self._number}", after)
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
        gate = self._take(vmid, " ".join(command))
        return argv if gate is None else gate.argv(argv)

    async def _around(self, vmid: int, act_name: str, act: Awaitable[None]) -> None:
        gate = self._take(vmid, act_name)
        await (act if gate is None else gate.around(act))

    def _take(self, vmid: int, words: str) -> Gate | None:
        waiting = (gate for gate in self._gates if gate.vmid == vmid and not gate.reached.is_set())
        return next((gate for gate in waiting if gate.fits(words)), None)
