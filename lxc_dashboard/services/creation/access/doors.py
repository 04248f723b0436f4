"""Choose how to enter a guest: by ``pct`` on its node if the node has an SSH door, else by SSH into the guest."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.errors import ApiError, GuestError, GuestGoneError, PrivilegeError, UnreachableError
from lxc_dashboard.guest.doors import address_of
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.form.spec import IpMode

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.guest.connection import SshAddress
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import GuestStatus
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.form.spec import ContainerSpec

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


async def choose(rt: Runtime, endpoint_id: UUID, node: str, spec: ContainerSpec) -> Way | NoWay:
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


async def find(client: ProxmoxClient, vmid: int, known: str) -> tuple[str | None, GuestStatus | None]:
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
