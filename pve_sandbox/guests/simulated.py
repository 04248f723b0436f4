"""Simulated guests, for machines that allow no real ones. Each answer says so."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pve_sandbox.errors import ConflictError, GuestError, InvalidInputError, NotFoundError
from pve_sandbox.guests.host import GuestSpec, GuestUsage
from pve_sandbox.guests.kind import GuestRecord, choose_address

_GATEWAY = ipaddress.IPv4Interface("10.77.0.1/24")
_REPLAY = """
import shlex, sys
name, command = sys.argv[1], sys.argv[2:]
if not sys.stdin.isatty():
    while sys.stdin.buffer.read(65536):
        continue
print(f"simulated: {name}: {shlex.join(command)}")
"""
_MEMORY_BYTES = 24 * 1024 * 1024
_CPU_SHARE = 0.02


class SimulatedHost:
    """A ``GuestHost`` without processes. A command prints one line and exits with 0."""

    kind = "simulated"

    def __init__(self, guests: Path) -> None:
        self.description = "Simulated guests: nothing runs in them; every command is answered with a line that says so."
        self._guests = guests
        self._records: dict[int, GuestRecord] = {}
        self._since: dict[int, float] = {}

    @classmethod
    async def open(cls, data_dir: Path) -> SimulatedHost:
        guests = data_dir / "guests"
        await asyncio.to_thread(guests.mkdir, mode=0o755, parents=True, exist_ok=True)
        return cls(guests)

    async def recover(self) -> Sequence[int]:
        def find() -> dict[int, GuestRecord]:
            folders = [folder for folder in self._guests.iterdir() if folder.name.isdecimal()]
            records = {int(folder.name): GuestRecord.load(folder) for folder in folders}
            return {vmid: record for vmid, record in records.items() if record}

        self._records = await asyncio.to_thread(find)
        return sorted(self._records)

    async def create(self, spec: GuestSpec) -> None:
        if self.exists(spec.vmid):
            raise ConflictError(f"CT {spec.vmid} already exists")
        taken = {record.address for record in self._records.values()}
        try:
            record = GuestRecord(spec, choose_address(spec, _GATEWAY, taken)).started()
        except ValueError as error:
            raise InvalidInputError(f"address: {error}") from error
        folder = self._guests / str(spec.vmid)
        await asyncio.to_thread(folder.mkdir)
        await asyncio.to_thread(record.save, folder)
        self._records[spec.vmid] = record

    async def start(self, vmid: int) -> None:
        self._record(vmid)
        self._since.setdefault(vmid, time.monotonic())

    async def stop(self, vmid: int) -> None:
        self._record(vmid)
        self._since.pop(vmid, None)

    async def shutdown(self, vmid: int) -> None:
        await self.stop(vmid)

    async def destroy(self, vmid: int) -> None:
        await self.stop(vmid)
        del self._records[vmid]
        await asyncio.to_thread(shutil.rmtree, self._guests / str(vmid))

    def exists(self, vmid: int) -> bool:
        return vmid in self._records

    def is_running(self, vmid: int) -> bool:
        return vmid in self._since

    async def address(self, vmid: int) -> str:
        return self._record(vmid).address if self.is_running(vmid) else ""

    async def usage(self, vmid: int) -> GuestUsage:
        self._record(vmid)
        if not self.is_running(vmid):
            return GuestUsage(0, 0, 0, 0, 0, 0)
        uptime_s = time.monotonic() - self._since[vmid]
        return GuestUsage(uptime_s * _CPU_SHARE, _MEMORY_BYTES, 0, 0, 0, uptime_s)

    def argv(self, vmid: int, command: Sequence[str], *, tty: bool = False) -> list[str]:
        record = self._record(vmid)
        if not self.is_running(vmid):
            raise GuestError(f"container '{vmid}' not running!")
        return [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _REPLAY,
            record.spec.hostname,
            *command,
            *(["(terminal)"] if tty else []),
        ]

    async def push(self, vmid: int, source: Path, target: str, *, mode: int, uid: int, gid: int) -> None:
        """Read the source, so that a missing file fails here too. Stores nothing."""
        self.argv(vmid, [target, oct(mode), str(uid), str(gid)])
        await asyncio.to_thread(source.read_bytes)

    async def pull(self, vmid: int, source: str, target: Path) -> None:
        self.argv(vmid, [source])
        await asyncio.to_thread(target.write_text, f"simulated: {source}\n", "utf-8")

    async def close(self) -> None:
        self._since.clear()

    def _record(self, vmid: int) -> GuestRecord:
        try:
            return self._records[vmid]
        except KeyError:
            raise NotFoundError(f"There is no guest {vmid}") from None
