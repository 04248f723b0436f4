"""The way into a job's guest: its addresses, the door, its own SSH server, and the user's privileges."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.errors import (
    ApiError,
    GuestError,
    GuestGoneError,
    GuestUnreachableError,
    KeyRefusedError,
    PhaseFailedError,
    PrivilegeError,
    UnreachableError,
)
from lxc_dashboard.guest.base import COMMAND_TIMEOUT_S, OUTPUT_LIMIT_BYTES, CommandResult, Door, GuestStream
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.doors import SSH_PORT, EntryDoor, PctDoor, SshDoor, address_of
from lxc_dashboard.guest.keys import fingerprint_of_pin
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.schemas import Interface, InterfaceAddress
from lxc_dashboard.services.auth.privileges import CONSOLE_PRIVILEGE
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.form.spec import IpMode

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.guest.keys import KeyPair
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import GuestStatus
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.context import RunContext
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.jobs.engine.run import Guest

# Parts of the names of PVE's own OS templates. Whether any other OS template has an SSH server is unknown.
WITH_SSH_SERVER: Final = ("debian-", "ubuntu-", "devuan-")
WITH_SSH_SERVER_KIND: Final = "-standard_"
CONTAINER: Final = "lxc"
WITHOUT_SSH_SERVER: Final = ("alpine-",)


class WayKind(StrEnum):
    PCT = "pct"
    SSH = "ssh"


@dataclass(frozen=True, slots=True)
class Way:
    """How to enter a guest. ``address``: of the node, for ``pct``; None for SSH into the guest."""

    kind: WayKind
    node: str
    address: SshAddress | None = None


@dataclass(frozen=True, slots=True)
class NoWay:
    """Why the guest cannot be entered."""

    reason: Message


async def choose_door(rt: Runtime, endpoint_id: UUID, node: str, spec: ContainerSpec) -> Way | NoWay:
    """Choose the way into the guest that ``spec`` describes, by the doors that ``node`` has now."""
    async with rt.db.transaction() as tx:
        return await choose_in(tx, endpoint_id, node, spec)


async def choose_in(tx: Transaction, endpoint_id: UUID, node: str, spec: ContainerSpec) -> Way | NoWay:
    """``choose`` in a transaction."""
    try:
        address = await _door_address(tx, endpoint_id, node)
    except GuestError as fault:
        return NoWay(Message.of(FailureCode.NO_WAY_DOOR_FAILED, node=node, reason=fault.reason))
    if address is not None:
        return Way(WayKind.PCT, node, address)
    closed = _closed(node, spec)
    return NoWay(closed) if closed else Way(WayKind.SSH, node)


async def door_address(rt: Runtime, endpoint_id: UUID, node: str) -> SshAddress | None:
    """The SSH door of ``node``. None if it has none. Raises ``HostKeyError`` if its host key was never confirmed."""
    async with rt.db.transaction() as tx:
        return await _door_address(tx, endpoint_id, node)


async def _door_address(tx: Transaction, endpoint_id: UUID, node: str) -> SshAddress | None:
    endpoint = await tx.nodes.get(endpoint_id)
    key = tx.nodes.secrets(endpoint).ssh_key
    return address_of(endpoint.doors, node, user=endpoint.ssh_user, private_key=key)


def _closed(node: str, spec: ContainerSpec) -> Message | None:
    """Why SSH into the guest cannot work. None if it may work."""
    modes = (spec.ipv4.mode, spec.ipv6.mode)
    if modes == (IpMode.NONE, IpMode.NONE):
        return Message.of(FailureCode.NO_WAY_NO_ADDRESS, node=node)
    if brings_ssh_server(spec.ostemplate) is False:
        return Message.of(FailureCode.NO_WAY_NO_SSH_SERVER, node=node, ostemplate=_name(spec))
    static = [ip.address.partition("/")[0] for ip in (spec.ipv4, spec.ipv6) if ip.mode is IpMode.STATIC]
    dynamic = any(mode in {IpMode.DHCP, IpMode.AUTO} for mode in modes)
    if static and not dynamic and not any(map(has_route, static)):
        return Message.of(FailureCode.NO_WAY_NO_ROUTE, node=node, address=static[0])
    return None


def _name(spec: ContainerSpec) -> str:
    return spec.ostemplate.rpartition("/")[2]


def brings_ssh_server(ostemplate: str) -> bool | None:
    """Whether guests of this OS template run an SSH server from their first start. None: unknown."""
    name = ostemplate.rpartition("/")[2].lower()
    if name.startswith(WITHOUT_SSH_SERVER):
        return False
    if "-turnkey-" in name or (name.startswith(WITH_SSH_SERVER) and WITH_SSH_SERVER_KIND in name):
        return True
    return None


def has_route(address: str) -> bool:
    """Whether this machine has a route to ``address``. Sends no packet."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return False
    return True


async def find_door(client: ProxmoxClient, vmid: int, known: str) -> tuple[str | None, GuestStatus | None]:
    """Find the guest's node and its status, starting at ``known``, the last known node.

    The node is None if PVE shows the guest on none. The status is None unless ``known`` answers.
    ``GET .../status/current``; if that fails, ``GET /cluster/resources``. Raises ``UnreachableError`` if ``known`` is
    down, unless the guest is on another node now, as after recovery by HA. Raises ``GuestGoneError`` if PVE has no such
    container.
    """
    try:
        return known, await client.lxc.status(known, vmid)
    except UnreachableError:
        node = await _node_of(client, vmid)
        if node in {None, known}:
            raise
    except (ApiError, PrivilegeError) as error:
        node = await _node_of(client, vmid)
        if node is None and await client.cluster.has_no_guest(vmid):
            raise GuestGoneError(vmid) from error
        if isinstance(error, PrivilegeError):
            raise
    return node, None


async def _node_of(client: ProxmoxClient, vmid: int) -> str | None:
    """The node of the container with ``vmid``. None if PVE shows the user no such container."""
    found = await client.cluster.find_guest(vmid)
    return found.node if found is not None and found.type == CONTAINER else None


ENTRY_PRIVILEGES: Final = (CONSOLE_PRIVILEGE, "VM.Config.Options")
RIGHTS_HOLD_FOR_S: Final = 5.0


class Entrance:
    """The way into one job's guest, also after PVE moved it. ``key``: the SSH key of the creation, if it has one."""

    def __init__(
        self, rt: Runtime, client: ProxmoxClient, endpoint_id: UUID, guest: Guest, *, way: Way, key: KeyPair | None
    ) -> None:
        self._rt = rt
        self._client = client
        self._endpoint_id = endpoint_id
        self._guest = guest
        self.way = way
        self._key = key
        self._host = self._host_key = ""
        self._asked_at = -RIGHTS_HOLD_FOR_S
        self._asking = asyncio.Lock()

    async def door(self, marker: str | None) -> Door:
        """Return a door for one entry, after asking PVE for the user's privileges and the guest's node.

        PVE's answer counts for ``RIGHTS_HOLD_FOR_S``. Raises ``PrivilegeError``, ``GuestError`` if the guest's node
        has no door, ``GuestUnreachableError`` for SSH before ``lead_to``, and PVE's errors.
        """
        async with self._asking:
            await self._ask()
        return self._door(marker)

    def _door(self, marker: str | None) -> EntryDoor:
        if self.way.kind is WayKind.SSH:
            return SshDoor(self._rt.ssh, self._ssh_address(), self._guest.vmid, marker=marker)
        if self.way.address is None:
            raise GuestError(Message.of(FailureCode.NO_DOOR, node=self._guest.node))
        return PctDoor(self._rt.ssh, self.way.address, self._guest.vmid, marker=marker)

    async def _ask(self) -> None:
        """Ask PVE for both at once, unless it just answered. If both fail, raise the error of ``check_rights``."""
        clock = asyncio.get_running_loop().time
        if clock() - self._asked_at < RIGHTS_HOLD_FOR_S:
            return
        asked = check_rights(self._client, self._guest.vmid), self._find()
        for told in await asyncio.gather(*asked, return_exceptions=True):
            if told is not None:
                raise told
        self._asked_at = clock()

    async def _find(self) -> None:
        if self._guest.was_seen_within(RIGHTS_HOLD_FOR_S):
            await self._turn_to_its_node()
        else:
            await self.look()

    async def look(self) -> GuestStatus | None:
        """``follow``, and use the door of the guest's node from now on. Raises ``GuestError`` if it has none."""
        status = await follow(self._rt, self._client, self._guest)
        await self._turn_to_its_node()
        return status

    async def _turn_to_its_node(self) -> None:
        node = self._guest.node
        if self.way.kind is WayKind.SSH or self.way.node == node:
            return
        address = await door_address(self._rt, self._endpoint_id, node)
        if address is None:
            raise GuestError(Message.of(FailureCode.NO_DOOR_AFTER_MOVE, vmid=self._guest.vmid, node=node))
        await self._leave_node()
        self.way = Way(WayKind.PCT, node, address)

    def lead_to(self, host: str, host_key: str) -> None:
        """Set the guest's address and the host key of its SSH server, for SSH into the guest."""
        self._host, self._host_key = host, host_key

    async def shown_host_key(self, host: str) -> str:
        """Read the host key of the guest's SSH server. Raises ``GuestUnreachableError``."""
        return await self._rt.ssh.host_key(host, SSH_PORT)

    def _ssh_address(self) -> SshAddress:
        if self._key is None or not self._host:
            raise GuestUnreachableError(Message.of(FailureCode.NO_ADDRESS_YET))
        return SshAddress(self._host, SSH_PORT, "root", self._host_key, self._key.private)

    async def close(self) -> None:
        """Close the door, and the SSH connections to the guest, which only this job uses."""
        await self._leave_node()
        if self._key is not None and self._host:
            await self._rt.ssh.forget(self._ssh_address())

    async def _leave_node(self) -> None:
        """Close the idle conversations with the guest through the current node."""
        if self.way.address is not None:
            await self._door(None).close()


class GuardedDoor:
    """A door that checks before each entry whether the job's user may enter the guest. See ``Entrance.door``."""

    def __init__(self, entrance: Entrance, marker: str | None) -> None:
        self._entrance = entrance
        self._marker = marker

    @property
    def kind(self) -> str:
        return self._entrance.way.kind.value

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = COMMAND_TIMEOUT_S,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        door = await self._entrance.door(self._marker)
        return await door.run(argv, stdin=stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)

    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AbstractAsyncContextManager[GuestStream]:
        return self._stream(argv, stdin)

    @asynccontextmanager
    async def _stream(self, argv: Sequence[str], stdin: bytes) -> AsyncIterator[GuestStream]:
        door = await self._entrance.door(self._marker)
        async with door.stream(argv, stdin=stdin) as stream:
            yield stream


async def follow(rt: Runtime, client: ProxmoxClient, guest: Guest) -> GuestStatus | None:
    """Update ``guest.node`` and the container's row to the guest's current node. Return its status as ``find``."""
    node, status = await find_door(client, guest.vmid, guest.node)
    if node is not None and node != guest.node:
        if guest.container_id is not None:
            async with rt.db.transaction() as tx:
                await tx.containers.set_node(guest.container_id, node)
        guest.node = node
    guest.seen()
    return status


async def check_rights(client: ProxmoxClient, vmid: int) -> None:
    """Raise ``PrivilegeError`` if the user of ``client`` may not enter the guest as root."""
    path = f"/vms/{vmid}"
    held = await client.access.permissions(path)
    for privilege in ENTRY_PRIVILEGES:
        if privilege not in held:
            raise PrivilegeError(privilege, path)


async def unlock(rt: Runtime, client: ProxmoxClient, endpoint_id: UUID, node: str, vmid: int) -> bool:
    """Run ``pct unlock`` on the node if the user of ``client`` may enter the guest. False if the node has no door.

    Raises ``PrivilegeError``, ``CommandFailedError``, and the door's errors.
    """
    address = await door_address(rt, endpoint_id, node)
    if address is None:
        return False
    await check_rights(client, vmid)
    await PctDoor(rt.ssh, address, vmid, marker=None).unlock()
    return True


# PVE answers 501 to an unknown call. Proxies and other servers with PVE's API answer 404 or 405.
NO_SUCH_CALL: Final = frozenset({404, 405, 501})
_LIST: Final = "ip -o addr show 2>/dev/null || hostname -I 2>/dev/null | tr ' ' '\\n' | sed 's/^./0: eth0 inet &/'"
_FIELDS: Final = 4


async def told_by_pve(client: ProxmoxClient, node: str, vmid: int) -> list[Interface] | None:
    """``GET .../interfaces``. None if this PVE has no such call, as before 8.0."""
    try:
        return await client.lxc.interfaces(node, vmid)
    except ApiError as error:
        if error.status in NO_SUCH_CALL:
            return None
        raise


async def interfaces_of(ctx: RunContext) -> list[Interface] | None:
    """The interfaces of the job's container. None if neither PVE nor the guest can tell. Raises ``GuestGoneError``."""
    interfaces = await told_by_pve(ctx.client, ctx.guest.node, ctx.guest.vmid)
    if interfaces:
        ctx.guest.seen()
    elif interfaces is not None:  # PVE answers so for a stopped guest and for a missing one
        await follow(ctx.rt, ctx.client, ctx.guest)
    if interfaces is not None:
        return interfaces
    door = ctx.unmarked_door
    if door is None or ctx.by_ssh or not ctx.spec.enters_guest:
        ctx.tell_once("address:untold", CreationCode.ADDRESS_NOT_TOLD, EventType.WARNING)
        return None
    return told_by_guest((await door.run(["/bin/sh", "-c", _LIST])).text)


def told_by_guest(text: str) -> list[Interface]:
    """Parse the output of ``ip -o addr show``: ``2: eth0@if7 inet 10.0.0.5/24 brd ...``."""
    found: dict[str, list[InterfaceAddress]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= _FIELDS and words[2] in {"inet", "inet6"}:
            address = InterfaceAddress(words[3].partition("/")[0], words[2])
            found.setdefault(words[1].partition("@")[0], []).append(address)
    return [Interface(name, addresses=addresses) for name, addresses in found.items()]


SERVER_WAIT_S: Final = 90.0
POLL_S: Final = (0.1, 0.2, 0.5, 1.0)


async def meet_ssh_server(ctx: RunContext, entrance: Entrance, door: Door) -> None:
    """Enter the guest once, within ``SERVER_WAIT_S``. Pin the first host key for the rest of the job.

    Raises ``PhaseFailedError`` with cause and remedy, ``HostKeyError``, and PVE's errors.
    """
    host = ctx.checkpoint.facts.get("address", "")
    if not host:
        raise _failed(Message.of(FailureCode.CONTACT_NO_ADDRESS, node=ctx.guest.node))
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + SERVER_WAIT_S, 0
    while True:
        try:
            await _enter(ctx, entrance, door, host)
        except KeyRefusedError as error:
            raise _failed(Message.of(FailureCode.CONTACT_REFUSED, node=ctx.guest.node, reason=error.reason)) from error
        except GuestUnreachableError as error:
            if loop.time() >= until:
                raise _explained(ctx, host, error) from error
            await asyncio.sleep(POLL_S[min(tries, len(POLL_S) - 1)])
            tries += 1
        else:
            return


async def _enter(ctx: RunContext, entrance: Entrance, door: Door, host: str) -> None:
    facts = ctx.checkpoint.facts
    if "host_key" not in facts:
        facts["host_key"] = await entrance.shown_host_key(host)
        await ctx.recorder.flush()  # before sending anything: after a crash, no worker trusts another key
        ctx.tell(CreationCode.HOST_KEY, fingerprint=fingerprint_of_pin(facts["host_key"]))
    entrance.lead_to(host, facts["host_key"])
    await door.run(["true"])


def _explained(ctx: RunContext, host: str, error: GuestUnreachableError) -> PhaseFailedError:
    cause, node = error.__cause__, ctx.guest.node
    where, seconds = f"CT {ctx.guest.vmid} at {host}:{SSH_PORT}", round(SERVER_WAIT_S)
    if isinstance(cause, ConnectionRefusedError):
        return _failed(Message.of(FailureCode.CONTACT_NO_SERVER, node=node, where=where, seconds=seconds))
    if isinstance(cause, OSError):
        why = cause.strerror or str(cause)
        return _failed(Message.of(FailureCode.CONTACT_NO_ROUTE, node=node, where=where, seconds=seconds, why=why))
    return _failed(Message.of(FailureCode.CONTACT_FAILED, node=node, reason=error.reason))


def _failed(reason: Message) -> PhaseFailedError:
    return PhaseFailedError(Phase.STARTING.value, reason, step="way in")
