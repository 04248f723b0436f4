"""``vzdump``: the task, its log and its volume. The archive has no content."""

from __future__ import annotations

import time
from typing import Any

from fakepve.model import PveError, TaskError
from fakepve.routing import param_error, split_list

from pve_sandbox.api.access.privileges import Routes
from pve_sandbox.api.checks import Values
from pve_sandbox.api.statistics import Statistics
from pve_sandbox.api.tasks import task_log

BACKUP_PVE_S = 12
EXTENSIONS = {"zstd": "tar.zst", "gzip": "tar.gz", "1": "tar.lzo", "lzo": "tar.lzo", "0": "tar"}
SHRINKS_TO = 0.35


class Backups(Statistics):
    """``POST /nodes/{node}/vzdump``."""

    def _routes_backups(self) -> Routes:
        return [("POST", "/nodes/{node}/vzdump", self._vzdump)]

    async def _vzdump(self, v: Values, user: str) -> str:
        vmids = [int(text) for text in split_list(v.get("vmid")) if text.isdecimal()]
        if not vmids:
            raise param_error(vmid="property is missing and it is not optional")
        sid = v.get("storage") or "local"
        store = self._active_store(sid, v["node"])
        if "backup" not in split_list(store.get("content")):
            raise PveError(500, f"storage '{sid}' does not support backups")
        self.require(user, f"/storage/{sid}", "Datastore.AllocateSpace")
        for vmid in vmids:
            self.require(user, f"/vms/{vmid}", "VM.Backup")
        here = [ct for ct in map(self.cts.get, vmids) if ct is not None and ct.node == v["node"]]
        if not here:
            return "OK"  # PVE starts no task when the guests are on other nodes

        async def body() -> None:
            options = " ".join(f"--{k} {v[k]}" for k in ("compress", "storage", "node", "mode") if v.get(k))
            task_log(f"INFO: starting new backup job: vzdump {' '.join(map(str, vmids))} {options}".rstrip())
            for guest in here:
                await self._back_up(guest, v, store)
            task_log("INFO: Backup job finished successfully")

        upid: str = await self.task(v["node"], "vzdump", vmids[0] if len(vmids) == 1 else "", user, body)
        return upid

    async def _back_up(self, guest: Any, v: Values, store: dict[str, Any]) -> None:
        started = time.time()
        stamp = time.strftime("%Y_%m_%d-%H_%M_%S", time.localtime(started))
        name = f"vzdump-lxc-{guest.vmid}-{stamp}.{EXTENSIONS.get(v.get('compress') or '0', 'tar')}"
        figures = await self.figures(guest, started)
        size = int((figures.disk or self.limits(guest).disk_bytes // 20) * SHRINKS_TO)
        task_log(f"INFO: Starting Backup of VM {guest.vmid} (lxc)")
        task_log(time.strftime("INFO: Backup started at %Y-%m-%d %H:%M:%S", time.localtime(started)))
        task_log(f"INFO: status = {guest.status}", f"INFO: backup mode: {v.get('mode') or 'snapshot'}")
        task_log("INFO: ionice priority: 7", f"INFO: CT Name: {guest.name}")
        task_log("INFO: including mount point rootfs ('/') in backup")
        self._task_lock(guest)
        guest.lock = "backup"
        try:
            task_log(f"INFO: creating vzdump archive '/var/lib/vz/dump/{name}'")
            await self.pause(BACKUP_PVE_S)
            if size > self._space(store)[2]:
                raise TaskError("job errors")
        finally:
            guest.lock = None
        volume = {"content": "backup", "format": name.partition(".")[2], "size": size, "ctime": int(started)}
        volume |= {"vmid": guest.vmid, "subtype": "lxc"}
        if v.get("notes-template"):
            volume["notes"] = v["notes-template"].replace("{{guestname}}", guest.name)
        store.setdefault("volumes", {})[f"backup/{name}"] = volume
        task_log(f"INFO: Total bytes written: {size * 2} ({size * 2 // 1024**2}MiB, 190MiB/s)")
        task_log(f"INFO: archive file size: {size // 1024**2}MB")
        ended = time.time()
        task_log(
            f"INFO: Finished Backup of VM {guest.vmid} ({time.strftime('%H:%M:%S', time.gmtime(ended - started))})"
        )
        task_log(time.strftime("INFO: Backup finished at %Y-%m-%d %H:%M:%S", time.localtime(ended)))

    def _item(self, name: str, volname: str, vol: Values) -> Values:
        """Add the kind of guest to a backup."""
        item: Values = super()._item(name, volname, vol)
        return {**item, "subtype": vol["subtype"]} if "subtype" in vol else item
