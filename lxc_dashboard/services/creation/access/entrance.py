"""Enter the guest of a job: check the user's privileges, follow the guest to its node, and open a door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.errors import GuestError, GuestUnreachableError, PrivilegeError
from lxc_dashboard.guest.base import COMMAND_TIMEOUT_S, OUTPUT_LIMIT_BYTES, CommandResult, Door, GuestStream
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.doors import SSH_PORT, EntryDoor, PctDoor, SshDoor
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth.privileges import CONSOLE_PRIVILEGE
from lxc_dashboard.services.creation.access.doors import Way, WayKind, door_address, find
from lxc_dashboard.services.creation.codes import FailureCode

if TYPE_CHECKING:
    from lxc_dashboard.guest.keys import KeyPair
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import GuestStatus
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.engine.run import Guest

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
    node, status = await find(client, guest.vmid, guest.node)
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
