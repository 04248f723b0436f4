"""``/nodes/{node}/lxc``: containers. In docstrings ``...`` stands for ``/nodes/{node}/lxc/{vmid}``."""

from __future__ import annotations

import builtins
from typing import Any, Literal
from urllib.parse import urlencode

from lxc_dashboard.proxmox.caller import Form, Noun, path_of
from lxc_dashboard.proxmox.decoding import NOTHING, UPID, Shape, many, one, plain
from lxc_dashboard.proxmox.schemas import (
    Guest,
    GuestStatus,
    Interface,
    LxcConfig,
    PendingValue,
    RrdPoint,
    Snapshot,
    TerminalTicket,
)

Timeframe = Literal["hour", "day", "week", "month", "year"]

_GUESTS = many(Guest)
_STATUS = one(GuestStatus)
_INTERFACES = many(Interface)
_SNAPSHOTS = many(Snapshot)
_PENDING = many(PendingValue)
_RRD = many(RrdPoint)
_TERMINAL = one(TerminalTicket)
_VALUES = plain(dict[str, Any])


def _config(body: bytes) -> LxcConfig:
    return LxcConfig.of(_VALUES.decode(body))


_CONFIG: Shape[LxcConfig] = Shape(_config)


class Lxc(Noun):
    """A call that returns ``str`` starts a task and returns its UPID, for ``client.tasks.wait``.

    PVE accepts many invalid requests (a missing guest, OS template or bridge), and their tasks fail.
    """

    async def list(self, node: str) -> list[Guest]:
        """``GET /nodes/{node}/lxc``: the containers of a node that the user may see, with current figures."""
        return await self._caller.get(path_of("nodes", node, "lxc"), _GUESTS)

    async def find(self, node: str, vmid: int) -> Guest | None:
        """Return the container from the list of ``node``, or None. More reliable than the text of an error."""
        return next((guest for guest in await self.list(node) if guest.vmid == vmid), None)

    async def create(self, node: str, vmid: int, ostemplate: str, *, unprivileged: bool, options: Form) -> str:
        """``POST /nodes/{node}/lxc``. Always sends ``unprivileged``, because PVE 8 and 9 have different defaults.

        ``options`` are PVE's own: hostname, rootfs, memory, net0, features, tags, pool, ssh-public-keys, ...
        """
        form = {**options, "vmid": vmid, "ostemplate": ostemplate, "unprivileged": unprivileged}
        return await self._caller.post(path_of("nodes", node, "lxc"), UPID, form)

    async def restore(self, node: str, vmid: int, archive: str, *, options: Form) -> str:
        """``POST /nodes/{node}/lxc`` with the volid of a backup."""
        form = {**options, "vmid": vmid, "ostemplate": archive, "restore": True}
        return await self._caller.post(path_of("nodes", node, "lxc"), UPID, form)

    async def config(self, node: str, vmid: int, *, current: bool = False) -> LxcConfig:
        """``GET .../config``: the configuration after the next start, with ``current`` the present one."""
        return await self._caller.get(_of(node, vmid, "config"), _CONFIG, {"current": True if current else None})

    async def pending(self, node: str, vmid: int) -> builtins.list[PendingValue]:
        """``GET .../pending``: changes that the next start applies."""
        return await self._caller.get(_of(node, vmid, "pending"), _PENDING)

    async def set_config(self, node: str, vmid: int, options: Form) -> None:
        """``PUT .../config``. PVE refuses a change where ``options["digest"]`` is not the current digest."""
        await self._caller.put(_of(node, vmid, "config"), NOTHING, options)

    async def status(self, node: str, vmid: int) -> GuestStatus:
        """``GET .../status/current``."""
        return await self._caller.get(_of(node, vmid, "status", "current"), _STATUS)

    async def start(self, node: str, vmid: int) -> str:
        """``POST .../status/start``. PVE refuses it for a running guest."""
        return await self._caller.post(_of(node, vmid, "status", "start"), UPID)

    async def stop(self, node: str, vmid: int) -> str:
        """``POST .../status/stop``: stop without shutting down."""
        return await self._caller.post(_of(node, vmid, "status", "stop"), UPID)

    async def shutdown(self, node: str, vmid: int, *, timeout_s: int = 60, force_stop: bool = False) -> str:
        """``POST .../status/shutdown``. ``force_stop`` stops the guest after ``timeout_s``, except under HA."""
        form = {"timeout": timeout_s, "forceStop": force_stop}
        return await self._caller.post(_of(node, vmid, "status", "shutdown"), UPID, form)

    async def reboot(self, node: str, vmid: int, *, timeout_s: int | None = None) -> str:
        """``POST .../status/reboot``."""
        return await self._caller.post(_of(node, vmid, "status", "reboot"), UPID, {"timeout": timeout_s})

    async def interfaces(self, node: str, vmid: int) -> builtins.list[Interface]:
        """``GET .../interfaces``. Empty where the guest does not run or does not exist."""
        return await self._caller.get(_of(node, vmid, "interfaces"), _INTERFACES)

    async def snapshots(self, node: str, vmid: int) -> builtins.list[Snapshot]:
        """``GET .../snapshot``, without PVE's entry ``current``."""
        snapshots = await self._caller.get(_of(node, vmid, "snapshot"), _SNAPSHOTS)
        return [snapshot for snapshot in snapshots if not snapshot.is_current]

    async def create_snapshot(self, node: str, vmid: int, name: str, description: str = "") -> str:
        """``POST .../snapshot``."""
        form = {"snapname": name, "description": description or None}
        return await self._caller.post(_of(node, vmid, "snapshot"), UPID, form)

    async def rollback(self, node: str, vmid: int, name: str, *, start: bool = False) -> str:
        """``POST .../snapshot/{name}/rollback``. It stops a running guest."""
        form = {"start": True if start else None}
        return await self._caller.post(_of(node, vmid, "snapshot", name, "rollback"), UPID, form)

    async def delete_snapshot(self, node: str, vmid: int, name: str) -> str:
        """``DELETE .../snapshot/{name}``."""
        return await self._caller.delete(_of(node, vmid, "snapshot", name), UPID)

    async def clone(self, node: str, vmid: int, newid: int, options: Form | None = None) -> str:
        """``POST .../clone``. ``options``: hostname, full, target, storage, snapname, pool, description."""
        return await self._caller.post(_of(node, vmid, "clone"), UPID, {**(options or {}), "newid": newid})

    async def resize(self, node: str, vmid: int, disk: str, size: str) -> str:
        """``PUT .../resize``. ``disk`` is rootfs or mpN, ``size`` 8G or +1G."""
        return await self._caller.put(_of(node, vmid, "resize"), UPID, {"disk": disk, "size": size})

    async def migrate(
        self, node: str, vmid: int, target: str, *, restart: bool = False, storage: str | None = None
    ) -> str:
        """``POST .../migrate``. A running guest moves only with ``restart``. ``storage``: for its volumes at the target."""
        form = {"target": target, "restart": True if restart else None, "target-storage": storage}
        return await self._caller.post(_of(node, vmid, "migrate"), UPID, form)

    async def delete(self, node: str, vmid: int, *, purge: bool = False, force: bool = False) -> str:
        """``DELETE ...``. ``force`` also deletes a running guest, ``purge`` also its jobs and HA entry. Backups stay."""
        params = {"purge": True if purge else None, "force": True if force else None}
        return await self._caller.delete(_of(node, vmid), UPID, params)

    async def rrddata(
        self, node: str, vmid: int, timeframe: Timeframe, cf: Literal["AVERAGE", "MAX"] = "AVERAGE"
    ) -> builtins.list[RrdPoint]:
        """``GET .../rrddata``."""
        return await self._caller.get(_of(node, vmid, "rrddata"), _RRD, {"timeframe": timeframe, "cf": cf})

    async def termproxy(self, node: str, vmid: int) -> TerminalTicket:
        """``POST .../termproxy``."""
        return await self._caller.post(_of(node, vmid, "termproxy"), _TERMINAL)

    def websocket_url(self, node: str, vmid: int, terminal: TerminalTicket) -> str:
        """Return ``wss://.../vncwebsocket`` on the host that issued ``terminal``. It holds the ticket: never log it."""
        query = urlencode({"port": terminal.port, "vncticket": terminal.ticket})
        return f"wss://{self._caller.endpoint.authority}/api2/json{_of(node, vmid, 'vncwebsocket')}?{query}"


def _of(node: str, vmid: int, *rest: str) -> str:
    return path_of("nodes", node, "lxc", vmid, *rest)
