"""Selecting the kind of guest: the best that starts on this machine."""

from __future__ import annotations

from pathlib import Path

import structlog

from pve_sandbox.errors import GuestError, InvalidInputError
from pve_sandbox.guests import KINDS
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from pve_sandbox.guests.kind import GuestKind, candidates
from pve_sandbox.guests.namespaced import NamespaceHost
from pve_sandbox.guests.namespaces import kernel
from pve_sandbox.guests.simulated import SimulatedHost

log = structlog.get_logger(__name__)

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
