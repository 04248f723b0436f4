"""Guests made of namespaces and overlays: the kinds with real processes."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from pve_sandbox.errors import CommandFailedError, ConflictError, GuestError, InvalidInputError, NotFoundError
from pve_sandbox.guests.environment import GuestEnvironment
from pve_sandbox.guests.host import GuestSpec, GuestUsage
from pve_sandbox.guests.kind import GuestKind, GuestRecord, choose_address
from pve_sandbox.guests.rootfs.base import Base, build_layer, load_base, write_identity
from pve_sandbox.guests.running_guest import DiskMeter, RunningGuest

log = structlog.get_logger(__name__)


class NamespaceHost:
    """A ``GuestHost`` that needs only this machine's kernel. ``close`` ends all it started."""

    def __init__(self, data_dir: Path, guest_kind: GuestKind) -> None:
        self.kind = guest_kind.name
        self.description = guest_kind.description
        self._guest_kind = guest_kind
        self._environment = GuestEnvironment(data_dir, guest_kind)
        self._records: dict[int, GuestRecord] = {}
        self._running: dict[int, RunningGuest] = {}
        self._recovered = False
        self._locks: dict[int, asyncio.Lock] = {}

    async def open(self) -> None:
        """Open before use. ``OSError`` or ``GuestError`` if this machine does not allow the kind.

        ``ConflictError`` if another sandbox uses the data folder.
        """
        await self._environment.open()
        self.description += f" {self._environment.base.description}"
        if self._environment.network_problem:
            self.description += f" No network to other machines: {self._environment.network_problem}."

    async def recover(self) -> Sequence[int]:
        """Find the guests on disk. The first call removes what is half created or half removed."""
        if not self._recovered:
            self._recovered = True
            for folder in await asyncio.to_thread(lambda: list(self._environment.folder.iterdir())):
                if folder.suffix in {".new", ".gone"}:
                    await self._environment.remove_folder(folder)
                elif folder.name.isdecimal() and (record := await asyncio.to_thread(GuestRecord.load, folder)):
                    self._records[int(folder.name)] = record
        return sorted(self._records)

    def exists(self, vmid: int) -> bool:
        return vmid in self._records

    def is_running(self, vmid: int) -> bool:
        running = self._running.get(vmid)
        return running is not None and not running.ended

    async def create(self, spec: GuestSpec) -> None:
        """Create a guest. ``ConflictError`` if it exists, ``InvalidInputError`` for a bad address."""
        async with self._lock(spec.vmid):
            if self.exists(spec.vmid):
                raise ConflictError(f"CT {spec.vmid} already exists")
            taken = {record.address for record in self._records.values()}
            try:
                address = choose_address(spec, self._environment.gateway, taken)
            except ValueError as error:
                raise InvalidInputError(f"address: {error}") from error
            record = GuestRecord(spec, address, base=self._environment.base.name)
            self._records[spec.vmid] = record  # from now on its address is taken
            building = asyncio.ensure_future(asyncio.to_thread(self._build, record))
            try:
                await asyncio.shield(building)
            except BaseException:
                await self._discard(spec.vmid, building)
                raise

    async def _discard(self, vmid: int, building: asyncio.Future[None]) -> None:
        """Wait for the thread, which ignores cancellation, and remove what it created."""
        await asyncio.gather(building, return_exceptions=True)
        for left in (self._folder(vmid).with_suffix(".new"), self._folder(vmid)):
            if await asyncio.to_thread(left.exists):
                await self._environment.remove_folder(left)
        del self._records[vmid]

    def _build(self, record: GuestRecord) -> None:
        """Create the guest's folder. It appears complete or not at all."""
        environment, new = self._environment, self._folder(record.spec.vmid).with_suffix(".new")
        new.mkdir(mode=0o755)
        build_layer(new, self._guest_kind.owner)
        write_identity(new, record, str(environment.gateway.ip), self._guest_kind.owner)
        record.save(new)
        new.rename(self._folder(record.spec.vmid))

    async def start(self, vmid: int) -> None:
        self._record(vmid)
        async with self._lock(vmid):
            if self.is_running(vmid):
                return
            record, base = await self._ensure_layer(self._record(vmid))
            config = await asyncio.to_thread(self._launch_config, record, base)
            self._running[vmid] = await RunningGuest.start(config, self._folder(vmid), self._environment.prefix)
            if self._environment.uplink:
                self._environment.uplink.route_to(ipaddress.IPv4Interface(record.address).ip)
            if record.fresh:
                await self._finish_first_start(record)
            await self._running[vmid].start_services()

    async def _ensure_layer(self, record: GuestRecord) -> tuple[GuestRecord, Base]:
        """Return the record and its base.

        A guest that was simulated, or whose base is gone, is created again.
        """
        environment, folder = self._environment, self._folder(record.spec.vmid)
        base = await asyncio.to_thread(load_base, environment.base.folder.parent / record.base)
        layered: bool = await asyncio.to_thread((folder / "upper").is_dir)
        if base and layered:
            return record, base
        if record.base:
            log.warning("guest base missing", vmid=record.spec.vmid, base=record.base)
        await environment.remove_folder(folder)
        rebuilt = replace(record, base=environment.base.name)
        await asyncio.to_thread(self._build, rebuilt)
        self._records[record.spec.vmid] = rebuilt
        return rebuilt, environment.base

    def _launch_config(self, record: GuestRecord, base: Base) -> Mapping[str, Any]:
        cgroups, vmid = self._environment.cgroups, record.spec.vmid
        cgroup = str(cgroups.make(vmid, self._guest_kind.shift)) if cgroups else ""
        return self._environment.launch_config(record, self._folder(vmid)) | {"base": str(base.tree), "cgroup": cgroup}

    async def _finish_first_start(self, record: GuestRecord) -> None:
        if record.spec.root_password:
            try:
                await self._run(record.spec.vmid, ["chpasswd"], f"root:{record.spec.root_password}\n".encode())
            except CommandFailedError as error:
                log.warning("root password not set", vmid=record.spec.vmid, output=error.detail)
        started = record.started()
        self._records[record.spec.vmid] = started
        await asyncio.to_thread(started.save, self._folder(record.spec.vmid))

    async def stop(self, vmid: int) -> None:
        self._record(vmid)
        async with self._lock(vmid):
            await self._kill(vmid)

    async def _kill(self, vmid: int) -> None:
        if running := self._running.pop(vmid, None):
            await running.kill()
            if self._environment.cgroups:
                await asyncio.to_thread(self._environment.cgroups.remove, vmid)

    async def shutdown(self, vmid: int) -> None:
        self._record(vmid)
        async with self._lock(vmid):
            if self.is_running(vmid):
                await self._running[vmid].terminate()
            await self._kill(vmid)

    async def destroy(self, vmid: int) -> None:
        self._record(vmid)
        async with self._lock(vmid):
            await self._kill(vmid)
            del self._records[vmid]
            gone = self._folder(vmid).with_suffix(".gone")
            await asyncio.to_thread(self._folder(vmid).rename, gone)
            await self._environment.remove_folder(gone)

    async def address(self, vmid: int) -> str:
        record = self._record(vmid)
        return record.address if self.is_running(vmid) else ""

    async def usage(self, vmid: int) -> GuestUsage:
        self._record(vmid)
        if self.is_running(vmid):
            return await self._running[vmid].usage()
        disk = DiskMeter(self._folder(vmid) / "upper")
        return GuestUsage(0, 0, await asyncio.to_thread(disk.read), 0, 0, 0)

    def argv(self, vmid: int, command: Sequence[str], *, tty: bool = False) -> list[str]:
        record = self._record(vmid)
        if not self.is_running(vmid):
            raise GuestError(f"container '{vmid}' not running!")
        return self._running[vmid].argv(command, record.spec.environment, tty=tty)

    async def push(self, vmid: int, source: Path, target: str, *, mode: int, uid: int, gid: int) -> None:
        script = 'umask 077; cat >"$1" && chown "$2" "$1" && chmod "$3" "$1"'
        command = ["sh", "-c", script, "push", target, f"{uid}:{gid}", f"{mode:o}"]
        with await asyncio.to_thread(source.open, "rb") as file:
            await self._run(vmid, command, stdin=file.fileno())

    async def pull(self, vmid: int, source: str, target: Path) -> None:
        with await asyncio.to_thread(target.open, "wb") as file:
            await self._run(vmid, ["cat", "--", source], stdout=file.fileno())

    async def _run(
        self,
        vmid: int,
        command: Sequence[str],
        text: bytes | None = None,
        *,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.DEVNULL,
    ) -> None:
        """Run a command in a guest. ``CommandFailedError`` for an exit status other than 0."""
        process = await asyncio.create_subprocess_exec(
            *self.argv(vmid, command),
            stdin=stdin if text is None else asyncio.subprocess.PIPE,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )
        _, output = await process.communicate(text)
        if process.returncode:
            raise CommandFailedError(command[0], process.returncode, output.decode(errors="replace"))

    async def close(self) -> None:
        for vmid in tuple(self._running):
            await self._kill(vmid)
        await self._environment.close()

    def _folder(self, vmid: int) -> Path:
        return self._environment.folder / str(vmid)

    def _record(self, vmid: int) -> GuestRecord:
        try:
            return self._records[vmid]
        except KeyError:
            raise NotFoundError(f"There is no guest {vmid}") from None

    def _lock(self, vmid: int) -> asyncio.Lock:
        return self._locks.setdefault(vmid, asyncio.Lock())
