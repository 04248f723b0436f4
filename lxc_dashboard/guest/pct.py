"""The door ``pct``: a shell on the guest's node over SSH, and from there ``pct exec`` into the guest."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from typing import Any

from lxc_dashboard.errors import CommandFailedError, HostKeyError
from lxc_dashboard.guest.base import COMMAND_TIMEOUT_S
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.entry import NOISE_LIMIT_BYTES, EntryDoor, conversation


class PctDoor(EntryDoor):
    """One guest by its node's ``pct``; the address is the node's."""

    kind = "pct"

    async def unlock(self) -> None:
        """``pct unlock`` on the node, for what a killed task left behind. Raises ``CommandFailedError``."""
        command = shlex.join([*self._prefix(), "pct", "unlock", str(self._vmid)])
        async with asyncio.timeout(COMMAND_TIMEOUT_S), self._pool.channel(self._address, command) as channel:
            await channel.send(b"")
            said = b""
            while True:
                out, err = await channel.read()
                if not (out or err):
                    break
                said = (said + out + err)[-NOISE_LIMIT_BYTES:]
            status = await channel.exit_status()
        if status != 0:
            raise CommandFailedError("pct unlock", status, said.decode("utf-8", "replace"))

    def _prefix(self) -> list[str]:
        return ["env", "LC_ALL=C"] if self._address.user == "root" else ["sudo", "-n", "LC_ALL=C"]

    def command(self) -> str:
        """As ``EntryDoor.command``: a shell on the node. ``pct`` checks that the guest is here and runs."""
        pct = ["pct", "exec", str(self._vmid), "--keep-env", "0", "--"]
        return shlex.join([*self._prefix(), *pct, *conversation()])


def address_of(
    doors: Mapping[str, Mapping[str, Any]], node: str, *, user: str, private_key: str | None
) -> SshAddress | None:
    """The SSH door of ``node``: its own entry in ``doors``, else that of ``*``; None where there is none.

    It comes from the endpoint's settings only, never from what a signed-in user may list. Raises ``HostKeyError``
    for a door whose host key was never confirmed.
    """
    door = doors.get(node) or doors.get("*")
    if not door or not door.get("host") or not private_key:
        return None
    if not door.get("host_key"):
        raise HostKeyError(f"No SSH host key is pinned for node {node}: read it on the node and register it")
    return SshAddress(
        host=str(door["host"]),
        port=int(door.get("port", 22)),
        user=user,
        host_key=str(door["host_key"]),
        private_key=private_key,
    )
