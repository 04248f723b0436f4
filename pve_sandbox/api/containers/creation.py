"""Creating a container: the checks before the task, and the task until the guest exists."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NoReturn

from fakepve.lxc import ostype_of
from fakepve.model import PveError, TaskError

from pve_sandbox.api.checks import Values
from pve_sandbox.api.containers.lifecycle import CreateRequest, keys_are_valid, tags_of, unpacked_lines, volume_lines
from pve_sandbox.api.statistics import Statistics
from pve_sandbox.api.tasks import Body, task_log

UNPACK_PVE_S = 3
FORBIDDEN = 403
GIB = 1024**3
DEFAULT_DISK_GIB = 4
UNPACKED = 3  # factor of the archive's size
THICK = ("lvm", "iscsi", "iscsidirect")  # these types allocate a whole volume at once


class Creation(Statistics):
    """``POST /nodes/{node}/lxc``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_requests: dict[int, CreateRequest] = {}

    def wrap_task(self, ttype: str, guest: Any, body: Body) -> Body:
        if ttype in {"vzcreate", "vzrestore"} and guest is not None:
            request = self._create_requests[guest.vmid]
            return lambda: self._create_task(guest, body, request)
        return super().wrap_task(ttype, guest, body)

    async def _lxc_create(self, user: str, v: Values) -> str:
        if v.get("ssh-public-keys") and not keys_are_valid(v["ssh-public-keys"]):
            raise PveError(500, "SSH public key validation error")
        if v.get("tags"):
            # The guest is in no pool yet, so privileges at the pool do not count.
            self.require(user, f"/vms/{v['vmid']}", "VM.Config.Options")
            self.require_tag_privilege(user, tags_of(v["tags"]))
        vmid = int(v["vmid"])
        self._create_requests[vmid] = CreateRequest(v)
        try:
            upid: str = await super()._lxc_create(user, v)
        finally:
            self._create_requests.pop(vmid, None)
        return upid

    def _check_template(self, user: str, ostemplate: str, restore: bool) -> None:
        try:
            super()._check_template(user, ostemplate, restore)
        except PveError as error:
            if error.status != FORBIDDEN:
                raise
            # PVE checks the space on the storage first, and reports that privilege.
            path = f"/storage/{ostemplate.partition(':')[0]}"
            raise PveError(FORBIDDEN, f"Permission check failed ({path}, Datastore.AllocateSpace)") from None

    async def _create_task(self, guest: Any, body: Body, request: CreateRequest) -> str | None:
        verb = "restore" if request.values.get("restore") else "create"
        try:
            disk_bytes = await self._unpack(guest.vmid, request)
            await self._create_guest(
                guest.vmid, {**request.values, "ostype": ostype_of(request.ostemplate)}, disk_bytes, request
            )
        except asyncio.CancelledError:
            await self._undo(guest)
            if self.closing:
                raise
            raise TaskError(
                f"unable to {verb} CT {guest.vmid} - {request.unpack_failure('received interrupt')}"
            ) from None
        except Exception as error:
            await self._undo(guest)
            raise TaskError(f"unable to {verb} CT {guest.vmid} - {error}") from error
        self._templates[guest.vmid] = request.ostemplate
        return await body()

    async def _unpack(self, vmid: int, request: CreateRequest) -> int:
        """Allocate volumes and unpack the archive, with log lines, time and failures.

        Returns the size of the root in bytes.
        """
        size = self._make_volumes(vmid, request)
        if ":" not in request.ostemplate:
            self._fail_with_log(f"can't find file '{request.ostemplate}'")
        volume = self._volumes(request.ostemplate.partition(":")[0]).get(request.ostemplate.partition(":")[2])
        if volume is None:
            self._fail_with_log(f"volume '{request.ostemplate}' does not exist")
        if request.values.get("restore") and self.guest_host is not None:
            raise TaskError("the sandbox keeps no contents in backups: a real guest cannot be restored")
        await self._extract(request, volume, size)
        task_log(*unpacked_lines(volume["size"], request.values.get("hostname") or f"CT{vmid}", request.file_name))
        return size

    async def _extract(self, request: CreateRequest, volume: Values, room_bytes: int) -> None:
        task_log(f"extracting archive '/var/lib/vz/template/cache/{request.file_name}'")
        await self.pause(UNPACK_PVE_S)
        if volume.get("corrupt"):
            task_log("zstd: /*stdin*\\: unsupported format ", "tar: Child returned status 1")
            task_log("tar: Error is not recoverable: exiting now")
            raise TaskError(request.unpack_failure("exit code 2"))
        if room_bytes < volume["size"]:
            task_log(
                "tar: ./usr/lib: Cannot mkdir: No space left on device",
                "tar: Exiting with failure status due to previous errors",
            )
            raise TaskError(request.unpack_failure("exit code 2"))
        self._write(int(request.values["vmid"]), request.volumes()[0].rpartition(":")[0], volume["size"] * UNPACKED)

    def _write(self, vmid: int, sid: str, written_bytes: int) -> None:
        """Write to a thin storage. When it is full, PVE does not notice, but the guest's file system fails."""
        store = self.storages[sid or "local"]
        if written_bytes > self._space(store)[2]:
            store["avail"] = 0
            self.failed_filesystems.add(vmid)

    def _make_volumes(self, vmid: int, request: CreateRequest) -> int:
        """Allocate the volumes of root and mount points. Returns the size of the root in bytes."""
        default = request.values.get("storage") or "local"
        sizes: list[int] = []
        sids: list[str] = []
        allocated: dict[str, int] = {}
        for volume in request.volumes():
            sid, _, gib = volume.rpartition(":")
            sid = sid or default
            sizes.append(int(float(gib) * GIB) if re.fullmatch(r"\d+(\.\d+)?", gib) else DEFAULT_DISK_GIB * GIB)
            allocated[sid] = allocated.get(sid, 0) + sizes[-1]
            store = self.storages[sid]
            if (allocated[sid] if store.get("type") in THICK else 1) > self._space(store)[2]:
                pool = f"{store.get('vgname', 'pve')}/vm-{vmid}-disk-{sids.count(sid)}"
                raise TaskError(f"lvcreate '{pool}' error:   insufficient free space on storage '{sid}'")
            volid = f"{sid}:{self._ct_volume_name(vmid, sid, sids.count(sid))}"
            sids.append(sid)
            task_log(*volume_lines(store.get("type", "dir"), volid, sizes[-1]))
        return sizes[0]

    @staticmethod
    def _fail_with_log(message: str) -> NoReturn:
        task_log(message)
        raise TaskError(message)

    async def _undo(self, guest: Any) -> None:
        if self.closing:
            return  # a node that dies leaves the lock and the volumes
        self._drop(guest)
        self.hosted.discard(guest.vmid)
        if self.guest_host is not None and self.guest_host.exists(guest.vmid):
            await self.guest_host.destroy(guest.vmid)
