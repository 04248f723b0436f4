"""Selecting the kind of guest: the best that starts on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from pve_sandbox.errors import ConflictError, GuestError, InvalidInputError, NotFoundError
from pve_sandbox.guests import KINDS
from pve_sandbox.guests.host import GuestHost, GuestSpec, GuestUsage, run_in
from pve_sandbox.guests.kind import GuestKind, GuestRecord, candidates, choose_address
from pve_sandbox.guests.namespaced import NamespaceHost
from pve_sandbox.guests.namespaces import kernel

log = structlog.get_logger(__name__)

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


_PROBE_VMID = 0  # no guest of Proxmox VE has it


async def pick(data_dir: Path, kind: str) -> GuestHost:
    """See ``guests.pick_host``."""
    if kind not in KINDS:
        raise InvalidInputError(f"kind: must be one of {', '.join(KINDS)}")
    refusals: list[str] = []
    if kind != "simulated" and kernel.supported():
        for guest_kind in candidates(kind):
            try:
                return await _try(data_dir, guest_kind)
            except (OSError, GuestError) as error:
                refusals.append(f"{guest_kind.name}: {error}".rstrip("."))
                log.info("kind of guest not possible", kind=guest_kind.name, error=str(error))
    if kind not in {"auto", "simulated"}:
        raise GuestError(f"Guests of kind {kind} are not possible on this machine", detail="; ".join(refusals))
    host = await SimulatedHost.open(data_dir)
    if refusals:
        host.description += f" Real ones are not possible here: {'; '.join(refusals)}."
    return host


async def _try(data_dir: Path, guest_kind: GuestKind) -> NamespaceHost:
    """Open a host and run a command in a guest of it."""
    host = NamespaceHost(data_dir, guest_kind)
    await host.open()
    try:
        await _probe(host)
    except BaseException:
        await host.close()
        raise
    return host


async def _probe(host: NamespaceHost) -> None:
    await host.recover()
    if host.exists(_PROBE_VMID):
        await host.destroy(_PROBE_VMID)
    await host.create(GuestSpec(_PROBE_VMID, "probe"))
    await host.start(_PROBE_VMID)
    status, output = await run_in(host, _PROBE_VMID, ["sh", "-c", "echo probe >/etc/probe && cat /etc/probe"])
    if status or output != b"probe\n":
        raise GuestError("A guest started but ran no command", detail=output.decode(errors="replace"))
    await host.destroy(_PROBE_VMID)
