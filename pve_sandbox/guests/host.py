"""The interface of a kind of guest. The API and the SSH server share one host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """What a guest is made of. ``memory_mib`` and ``disk_gib`` are enforced if the kind can."""

    vmid: int
    hostname: str
    ostype: str = "debian"
    address: str = ""  # IPv4 in CIDR form; empty: the host chooses one, as DHCP does
    memory_mib: int = 512
    disk_gib: int = 4
    root_password: str = ""
    ssh_public_keys: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuestUsage:
    """Live figures of a running guest: CPU seconds since its start, the rest in bytes."""

    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int
    network_in_bytes: int
    network_out_bytes: int
    uptime_s: float


class GuestHost(Protocol):
    """A machine that runs guests. ``recover`` finds the guests of an earlier run."""

    kind: str  # one of guests.KINDS but "auto"
    description: str  # what works in the guests, as one sentence for the operator

    async def recover(self) -> Sequence[int]: ...  # the vmids on disk
    async def create(self, spec: GuestSpec) -> None: ...
    async def start(self, vmid: int) -> None: ...  # returns when init is up; idempotent
    async def stop(self, vmid: int) -> None: ...  # kills all processes; idempotent
    async def shutdown(self, vmid: int) -> None: ...  # TERM, then KILL after 5 s
    async def destroy(self, vmid: int) -> None: ...  # removes the layer; stops first
    def exists(self, vmid: int) -> bool: ...
    def is_running(self, vmid: int) -> bool: ...
    async def address(self, vmid: int) -> str: ...  # IPv4 in CIDR form, "" if none
    async def usage(self, vmid: int) -> GuestUsage: ...
    def argv(self, vmid: int, command: Sequence[str], *, tty: bool = False) -> list[str]:
        """The command of this machine that runs ``command`` as root in the guest, with its streams."""
        ...

    async def push(self, vmid: int, source: Path, target: str, *, mode: int, uid: int, gid: int) -> None: ...
    async def pull(self, vmid: int, source: str, target: Path) -> None: ...
    async def close(self) -> None: ...  # ends the guests of this run, keeps their layers


async def run_in(host: GuestHost, vmid: int, command: Sequence[str], *, timeout_s: float = 60) -> tuple[int, bytes]:
    """Run a command in a guest. Returns exit status and output. ``TimeoutError`` after ``timeout_s``."""
    process = await asyncio.create_subprocess_exec(
        *host.argv(vmid, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output
