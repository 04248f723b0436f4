"""Start, shut down, stop, restart: as the signed-in user, one act at a time on a guest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import DashboardError, NotFoundError, PrivilegeError
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.guest_lock import guest_lock
from lxc_dashboard.services.monitor.feed import touch

log = structlog.get_logger(__name__)

SHUTDOWN_TIMEOUT_S: Final = 60
TASK_DEADLINE_S: Final = 120.0
HA_WITHIN_S: Final = 120.0


class Act(StrEnum):
    START = "start"
    SHUTDOWN = "shutdown"
    STOP = "stop"
    REBOOT = "reboot"


PAST_TENSE: Final = {
    Act.START: "Started",
    Act.SHUTDOWN: "Shut down",
    Act.STOP: "Stopped",
    Act.REBOOT: "Restarted",
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest by its number, the node that it is on, and its name."""

    vmid: int
    node: str
    name: str

    def __str__(self) -> str:
        return f"CT {self.vmid} {self.name}".strip()


async def find(rt: Runtime, session: Session, vmid: int) -> Guest:
    """The guest by the node and name that PVE tells the user. Raises ``NotFoundError``."""
    client = await acting.client(rt, session)
    found = await client.cluster.find_guest(vmid)
    if found is None or found.type != "lxc":
        raise NotFoundError(f"There is no CT {vmid}, or you may not see it")
    return Guest(vmid, found.node, found.name)


async def act(rt: Runtime, session: Session, guest: Guest, what: Act) -> str:
    """Do it and wait for its end; returns what to tell the user ("Started CT 101 web"), under HA that it was asked for where
    HA takes longer than ``HA_WITHIN_S``.

    ``POST /nodes/{node}/lxc/{vmid}/status/{start,shutdown,stop,reboot}``. A shutdown that takes longer than 60 s becomes a stop.
    Raises ConflictError where another act runs on the guest, else what PVE says; both are audited.
    """
    client = await acting.client(rt, session)
    async with guest_lock(rt.bus, session.endpoint_id, guest.vmid, guest.name):
        try:
            is_done = await _do(rt, client, session, guest, what)
        except DashboardError as error:
            refused = isinstance(error, PrivilegeError)
            result = AuditResult.REFUSED if refused else AuditResult.FAILED
            await _audit(rt, session, guest, what=what, result=result, cause=str(error))
            raise
        said = f"{PAST_TENSE[what]} {guest}" if is_done else f"Asked HA for the {what} of {guest}: not done yet"
        await _audit(rt, session, guest, what=what, result=AuditResult.OK, said=said)
    return said


async def _do(rt: Runtime, client: ProxmoxClient, session: Session, guest: Guest, what: Act) -> bool:
    """False where HA has it still to do."""
    try:
        upid = await _request(client, guest, what)
        await client.tasks.wait(upid, deadline_s=TASK_DEADLINE_S)
        if not power.was_handed_to_ha(upid):
            return True
        await touch(rt.bus, session.endpoint_id, guest.vmid, guest.node)
        running = what in {Act.START, Act.REBOOT}
        return await power.reached(client, guest.vmid, guest.node, running=running, within_s=HA_WITHIN_S)
    finally:
        await touch(rt.bus, session.endpoint_id, guest.vmid, guest.node)


async def _request(client: ProxmoxClient, guest: Guest, what: Act) -> str:
    if what is Act.START:
        return await client.lxc.start(guest.node, guest.vmid)
    if what is Act.STOP:
        return await client.lxc.stop(guest.node, guest.vmid)
    if what is Act.REBOOT:
        return await client.lxc.reboot(guest.node, guest.vmid, timeout_s=SHUTDOWN_TIMEOUT_S)
    return await client.lxc.shutdown(guest.node, guest.vmid, timeout_s=SHUTDOWN_TIMEOUT_S, force_stop=True)


async def _audit(
    rt: Runtime, session: Session, guest: Guest, *, what: Act, result: AuditResult, cause: str = "", said: str = ""
) -> None:
    async with rt.db.transaction() as tx:
        await tx.audit.append(
            userid=session.userid,
            endpoint_name=session.endpoint_name,
            action=f"container.{what.value}",
            subject=str(guest),
            address=session.address,
            result=result,
            detail={"node": guest.node, **({"cause": cause} if cause else {})},
        )
        container = await tx.containers.by_vmid(session.endpoint_id, guest.vmid)
        if container is not None and result is AuditResult.OK:
            await tx.containers.add_event(container.id, what.value, said, userid=session.userid)
