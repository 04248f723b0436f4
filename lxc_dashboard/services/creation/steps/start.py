"""Starting, 20-35 %: starts the container, waits until its init is up, and finds its address."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.errors import ApiError, PhaseFailedError, TaskFailedError
from lxc_dashboard.services.containers import ha
from lxc_dashboard.services.creation import access
from lxc_dashboard.services.creation.access import NoWay, Way
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.form.spec import NETWORK_DEVICE, IpMode
from lxc_dashboard.services.creation.ownership import ensure_ours
from lxc_dashboard.services.creation.steps.packages import batches
from lxc_dashboard.services.jobs.codes import JobCode, Message
from lxc_dashboard.services.jobs.engine.pve_tasks import PveStep, run_task

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door
    from lxc_dashboard.proxmox.schemas import Interface
    from lxc_dashboard.proxmox.tasks import TaskResult
    from lxc_dashboard.services.creation.access import Entrance
    from lxc_dashboard.services.creation.form.spec import ContainerSpec

log = structlog.get_logger(__name__)

START: Final = "start.container"
INIT: Final = "start.init"
ADDRESS: Final = "start.address"
START_DEADLINE_S: Final = 300.0
BUSY_FOR_S: Final = 180.0
BUSY_LOOK_S: Final = (0.5, 1.0, 2.0, 5.0)
INIT_WAIT_S: Final = 90.0
INIT_LOOK_S: Final = 3  # of one entry, so that it soon ends by itself after a cancel
ADDRESS_WAIT_S: Final = 30.0
ENTRY_ADDRESS_WAIT_S: Final = 90.0
TELL_WAIT_AFTER_S: Final = 1.0
ADDRESS_POLL_S: Final = (0.1, 0.2, 0.5, 1.0)

# PVE's errors, from the POST or the task, while another task such as a backup locks the container.
_BUSY: Final = re.compile(r"CT is locked|got (?:lock request )?timeout")
# systemd itself reports when it is up. Before it sets its name, its process has the name init or that of LXC.
# OpenRC (Alpine) is up when its runlevel `default` has started; the network belongs to an earlier one.
# Any other init counts as up when the guest can be entered.
_WAIT_FOR_INIT: Final = """
left=$1
while [ "$left" -gt 0 ]; do
    if [ -d /run/systemd/system ]; then
        state=$(systemctl is-system-running 2>/dev/null)
        case $state in running | degraded | maintenance) echo "$state"; exit 0 ;; esac
    elif read -r init </proc/1/comm; then
        [ "$init" != init ] || init=$(readlink -f /sbin/init 2>/dev/null)
        case $init in
        systemd | */systemd | lxc*) ;;
        *)
            if [ -d /run/openrc ] || grep -qs '^[^#]*openrc' /etc/inittab; then
                { read -r state </run/openrc/softlevel; } 2>/dev/null
                [ "$state" = default ] && [ ! -e /run/openrc/rc.starting ] || init=
            fi
            [ -z "$init" ] || { echo running; exit 0; }
            ;;
        esac
    fi
    sleep 0.2 2>/dev/null || sleep 1
    left=$((left - 1))
done
echo "${state:-starting}"
exit 1
"""


async def run(ctx: RunContext) -> None:
    """``POST .../status/start``, ``GET .../interfaces``. Raises ``PhaseFailedError`` and PVE's errors."""
    await ctx.once(START, lambda: _start(ctx))
    ctx.reach(0.5)
    entrance, door = ctx.entrance, ctx.unmarked_door
    if door is not None and not isinstance(entrance, NoWay) and ctx.spec.enters_guest:
        if ctx.by_ssh:
            await ctx.once(ADDRESS, lambda: _find_address(ctx))
        await ctx.once(INIT, lambda: _enter(ctx, entrance, door))
    ctx.reach(0.75)
    await ctx.once(ADDRESS, lambda: _find_address(ctx))
    ctx.reach(1)


def start_step(ctx: RunContext) -> PveStep:
    guest = ctx.guest
    return PveStep(
        START,
        "vzstart",
        str(guest.vmid),
        guest.node,
        START_DEADLINE_S,
        lambda: ctx.client.lxc.start(guest.node, guest.vmid),
    )


async def _start(ctx: RunContext) -> None:
    guest = ctx.guest
    await ensure_ours(ctx, Phase.STARTING, "start")
    if START not in ctx.checkpoint.intent and (await ctx.client.lxc.status(guest.node, guest.vmid)).running:
        ctx.tell(CreationCode.RUNNING_ALREADY, vmid=guest.vmid)
        return
    ctx.tell_once(START, CreationCode.CONTAINER_STARTING, vmid=guest.vmid)
    result = await _ask(ctx)
    if result is None:
        return
    if not ha.was_handed_over(result.upid):
        guest.seen()
    elif not await ha.reached(ctx.client, guest.vmid, guest.node, running=True, within_s=START_DEADLINE_S):
        raise _not_started(Message.of(FailureCode.HA_NOT_STARTED, vmid=guest.vmid, seconds=round(START_DEADLINE_S)))
    if result.warnings:
        ctx.tell(CreationCode.STARTED_WITH_WARNINGS, EventType.WARNING, count=result.warnings)


async def _ask(ctx: RunContext) -> TaskResult | None:
    """Run the start task, again for ``BUSY_FOR_S`` while another task locks the container.

    None if the task failed but the container runs.
    """
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + BUSY_FOR_S, 0
    while True:
        try:
            return await run_task(ctx, start_step(ctx))
        except (TaskFailedError, ApiError) as error:
            if (await ctx.client.lxc.status(ctx.guest.node, ctx.guest.vmid)).running:
                return None
            if loop.time() >= until or not _BUSY.search(
                error.exitstatus if isinstance(error, TaskFailedError) else error.message
            ):
                raise _not_started(error.reason) from error
            ctx.tell_once(f"{START}:busy", JobCode.STEP_RETRIED, EventType.WARNING, reason=error.reason)
            await ctx.recorder.flush()
        await _wait_for_lock(ctx, tries, until)
        ctx.checkpoint.came_to_nothing(START)
        tries += 1


async def _wait_for_lock(ctx: RunContext, tries: int, until: float) -> None:
    """Wait until PVE shows no lock, or the time ``until``. Each refused start leaves a failed task in PVE's log."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(BUSY_LOOK_S[min(tries, len(BUSY_LOOK_S) - 1)])
        status = await ctx.client.lxc.status(ctx.guest.node, ctx.guest.vmid)
        if not status.lock or loop.time() >= until:
            break
        tries += 1
    await ensure_ours(ctx, Phase.STARTING, "start")


def _not_started(why: Message) -> PhaseFailedError:
    reason = Message.of(FailureCode.NOT_STARTED, reason=why)
    return PhaseFailedError(Phase.STARTING.value, reason, step="start", of_disk=True)


async def _enter(ctx: RunContext, entrance: Entrance, door: Door) -> None:
    entered = entered_by(entrance.way)
    for entry in ctx.checkpoint.facts.get("plan", ()):
        if entry["key"] == INIT:
            entry.update(entered.to_json())  # the way may have changed since the job began
    ctx.tell_once(INIT, CreationCode(entered.code), **entered.params)
    if ctx.by_ssh:
        await access.meet_ssh_server(ctx, entrance, door)
    await _wait_for_init(ctx, door)


def entered_by(way: Way) -> Message:
    if way.address is None:
        return Message.of(CreationCode.ENTERED_BY_SSH)
    return Message.of(CreationCode.ENTERED_BY_PCT, node=way.node, user=way.address.user, host=way.address.host)


async def _wait_for_init(ctx: RunContext, door: Door) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + INIT_WAIT_S
    argv = ["/bin/sh", "-c", _WAIT_FOR_INIT, "sh", str(INIT_LOOK_S * 5)]
    while True:
        result = await door.run(argv)
        state = result.text.strip()
        if result.exit_status == 0 or loop.time() >= until:
            break
    if result.exit_status != 0 and state:
        ctx.tell(CreationCode.INIT_NOT_UP, EventType.WARNING, seconds=round(INIT_WAIT_S), state=state)
    elif result.exit_status != 0:
        ctx.tell(CreationCode.INIT_SILENT, EventType.WARNING, seconds=round(INIT_WAIT_S))
    elif state == "degraded":
        ctx.tell(CreationCode.INIT_DEGRADED, EventType.WARNING)
    else:
        ctx.tell(CreationCode.INIT_UP)


async def _find_address(ctx: RunContext) -> None:
    if not is_dynamic(ctx.spec):
        static = ctx.spec.ipv4.address or ctx.spec.ipv6.address
        await keep_address(ctx, static.partition("/")[0])
        return
    needed, wait_s = _needs_address(ctx), _address_wait_s(ctx)
    address = await _wait_for_address(ctx, wait_s if needed else 0.0)
    if address == "" and needed:
        tell_no_address(ctx, after_s=wait_s)
    elif address == "":
        ctx.tell_once(f"{ADDRESS}:later", CreationCode.ADDRESS_NOT_NEEDED)
    await keep_address(ctx, address or "")


def is_dynamic(spec: ContainerSpec) -> bool:
    """Whether the guest gets an address by DHCP or SLAAC."""
    return not {IpMode.DHCP, IpMode.AUTO}.isdisjoint((spec.ipv4.mode, spec.ipv6.mode))


def tell_no_address(ctx: RunContext, *, after_s: float | None = None) -> None:
    key, segment = f"{ADDRESS}:none", str(ctx.spec.segment)
    if after_s is not None:
        in_time = CreationCode.NO_ADDRESS_IN_TIME
        ctx.tell_once(key, in_time, EventType.WARNING, seconds=round(after_s), segment=segment)
    else:
        ctx.tell_once(key, CreationCode.NO_ADDRESS, EventType.WARNING, segment=segment)


def _address_wait_s(ctx: RunContext) -> float:
    """Longer for SSH: it needs the address, and the guest's init may have just begun."""
    return ENTRY_ADDRESS_WAIT_S if ctx.by_ssh else ADDRESS_WAIT_S


def _needs_address(ctx: RunContext) -> bool:
    """Whether the job enters the guest by SSH, installs packages, or runs scripts whose template needs the network."""
    content = ctx.revision.content if ctx.revision else None
    by_scripts = content is not None and content.config.network
    return ctx.spec.enters_guest and (ctx.by_ssh or by_scripts or bool(batches(ctx.spec, content)))


async def _wait_for_address(ctx: RunContext, wait_s: float) -> str | None:
    """The guest's address. Empty if it has none in time, None if neither PVE nor the guest can be asked."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    tries = 0
    while True:
        interfaces = await access.interfaces_of(ctx)
        if interfaces is None:
            return None
        address, is_final = best_address(ctx.spec, interfaces)
        waited = loop.time() - begun
        if is_final or waited >= wait_s:
            return address
        if waited >= TELL_WAIT_AFTER_S:
            ctx.tell_once(
                f"{ADDRESS}:waits",
                CreationCode.ADDRESS_AWAITED,
                seconds=round(wait_s),
                ways=_ways(ctx.spec),
                segment=str(ctx.spec.segment),
            )
        await asyncio.sleep(ADDRESS_POLL_S[min(tries, len(ADDRESS_POLL_S) - 1)])
        tries += 1


def best_address(spec: ContainerSpec, interfaces: list[Interface]) -> tuple[str, bool]:
    """The address by which others reach the guest, "" for none, and whether no better one is expected."""
    found = global_addresses(interfaces)
    ipv4 = next((address for address in found if ":" not in address), "")
    is_final = bool(ipv4 or (found and spec.ipv4.mode is IpMode.NONE))
    return ipv4 or next(iter(found), ""), is_final


def _ways(spec: ContainerSpec) -> str:
    names = {IpMode.DHCP: "DHCP", IpMode.AUTO: "SLAAC"}
    return "/".join(dict.fromkeys(names[mode] for mode in (spec.ipv4.mode, spec.ipv6.mode) if mode in names))


def global_addresses(interfaces: list[Interface]) -> list[str]:
    """Addresses by which others reach the guest, without prefix length: IPv4 first, then by interface.

    The interface of the creation comes first. A guest may add others, such as bridges and tunnels.
    """
    values: list[str] = []
    for interface in sorted(interfaces, key=lambda interface: interface.name != NETWORK_DEVICE):
        if interface.is_loopback:
            continue
        values += [found.address for found in interface.addresses] or [interface.inet, interface.inet6]
    plain = [value.partition("/")[0] for value in values if value]
    reachable = [address for address in plain if not address.lower().startswith(("fe80:", "169.254."))]
    return sorted(dict.fromkeys(reachable), key=lambda address: ":" in address)


async def keep_address(ctx: RunContext, address: str) -> None:
    async with ctx.rt.db.transaction() as tx:
        await tx.containers.set_address(ctx.container_id, address)
    ctx.checkpoint.facts["address"] = address
    if address:
        ctx.tell(CreationCode.ADDRESS, address=address)
