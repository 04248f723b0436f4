"""Start, shut down, stop and restart a guest: kinds of jobs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.jobs.acts import ACTS, Act, ActRun, NoParams, act
from lxc_dashboard.services.jobs.codes import EventCode, Message
from lxc_dashboard.services.jobs.engine.run import Guest, find_guest
from lxc_dashboard.services.monitor.feed import touch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

SHUTDOWN_TIMEOUT_S: Final = 60
HA_WITHIN_S: Final = 120.0
POWER: Final = ("VM.PowerMgmt",)


class Power(StrEnum):
    START = "start"
    SHUTDOWN = "shutdown"
    STOP = "stop"
    REBOOT = "reboot"

    @property
    def act(self) -> Act:
        return ACTS[f"container.{self.value}"]


class PowerCode(EventCode):
    """``HA_ASKED``: HA has accepted the act and not finished it."""

    STARTING = "power.starting"
    SHUTTING_DOWN = "power.shutting_down"
    STOPPING = "power.stopping"
    RESTARTING = "power.restarting"
    STARTED = "power.started"
    SHUT_DOWN = "power.shut_down"
    STOPPED = "power.stopped"
    RESTARTED = "power.restarted"
    HA_ASKED = "power.ha_asked"


async def find(rt: Runtime, session: Session, vmid: int) -> Guest:
    """The guest with node and name from PVE. Raises ``NotFoundError``."""
    return await find_guest(await acting.client(rt, session), vmid)


@act("container.start", begins=PowerCode.STARTING, needs=POWER, at="POST /start")
async def start(run: ActRun, _: NoParams) -> Message:
    """``POST /nodes/{node}/lxc/{vmid}/status/start``."""
    lxc, guest = run.client.lxc, run.guest
    return await _run_act(run, "vzstart", lambda: lxc.start(guest.node, guest.vmid), PowerCode.STARTED, running=True)


@act("container.shutdown", begins=PowerCode.SHUTTING_DOWN, needs=POWER, at="POST /shutdown")
async def shutdown(run: ActRun, _: NoParams) -> Message:
    """``POST .../status/shutdown``: PVE stops it after ``SHUTDOWN_TIMEOUT_S``."""
    lxc, guest = run.client.lxc, run.guest
    return await _run_act(
        run,
        "vzshutdown",
        lambda: lxc.shutdown(guest.node, guest.vmid, timeout_s=SHUTDOWN_TIMEOUT_S, force_stop=True),
        PowerCode.SHUT_DOWN,
        running=False,
    )


@act("container.stop", begins=PowerCode.STOPPING, needs=POWER, at="POST /stop")
async def stop(run: ActRun, _: NoParams) -> Message:
    """``POST .../status/stop``: at once, without a shutdown."""
    lxc, guest = run.client.lxc, run.guest
    return await _run_act(run, "vzstop", lambda: lxc.stop(guest.node, guest.vmid), PowerCode.STOPPED, running=False)


@act("container.reboot", begins=PowerCode.RESTARTING, needs=POWER, at="POST /reboot")
async def reboot(run: ActRun, _: NoParams) -> Message:
    """``POST .../status/reboot``."""
    lxc, guest = run.client.lxc, run.guest
    return await _run_act(
        run,
        "vzreboot",
        lambda: lxc.reboot(guest.node, guest.vmid, timeout_s=SHUTDOWN_TIMEOUT_S),
        PowerCode.RESTARTED,
        running=True,
    )


async def _run_act(
    run: ActRun, task_type: str, post: Callable[[], Awaitable[str]], code: PowerCode, *, running: bool
) -> Message:
    """Run the act and return the result's message. Under HA, waits up to ``HA_WITHIN_S`` for the guest's state."""
    guest, name = run.guest, task_type.removeprefix("vz")
    try:
        result = await run.pve_task(name, task_type, post)
        if not ha.was_handed_over(result.upid):
            return Message.of(code, guest=str(guest))
        await refresh(run)
        if await ha.reached(run.client, guest.vmid, guest.node, running=running, within_s=HA_WITHIN_S):
            return Message.of(code, guest=str(guest))
        return Message.of(PowerCode.HA_ASKED, act=name, guest=str(guest))
    finally:
        await refresh(run)


async def refresh(run: ActRun, guest: Guest | None = None) -> None:
    """Refresh a guest in open lists; default the job's."""
    guest = guest or run.guest
    try:
        await touch(run.rt.bus, run.endpoint_id, guest.vmid, guest.node)
    except ServiceUnavailableError as error:
        log.info("feed refresh failed", vmid=guest.vmid, why=str(error))
