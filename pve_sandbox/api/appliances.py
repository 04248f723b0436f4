"""OS templates: the list of offered ones, and the download to a storage."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from fakepve.model import TaskError
from fakepve.routing import param_error, split_list

from pve_sandbox.api.access.privileges import Routes
from pve_sandbox.api.checks import Values
from pve_sandbox.api.statistics import Statistics
from pve_sandbox.api.tasks import task_log

SOURCE = "http://templates.example/images"
MIB = 1024**2
DOWNLOAD_PVE_S = 10
PROGRESS_STEPS = 5
NAME = re.compile(
    r"(?P<package>(?P<os>[a-z]+-[\d.]+)-(?P<flavour>[a-z]+))_(?P<version>[\w.-]+)_amd64\.tar\.(zst|xz|gz)"
)
SECTIONS = {"turnkey": "turnkeylinux", "mail-gateway": "mail"}
# file name -> size in MiB
OFFERED = {
    "debian-12-turnkey-wordpress_18.2-1_amd64.tar.gz": 340,
    "proxmox-mail-gateway-8.2-standard_8.2-1_amd64.tar.zst": 421,
    "alpine-3.22-default_20250617_amd64.tar.xz": 3,
    "alpine-3.23-default_20260116_amd64.tar.xz": 3,
    "archlinux-base_20240911-1_amd64.tar.zst": 159,
    "debian-12-standard_12.12-1_amd64.tar.zst": 120,
    "debian-13-standard_13.1-2_amd64.tar.zst": 123,
    "fedora-42-default_20250428_amd64.tar.xz": 80,
    "rockylinux-10-default_20251001_amd64.tar.xz": 104,
    "ubuntu-24.04-standard_24.04-2_amd64.tar.zst": 135,
    "ubuntu-25.04-standard_25.04-1.1_amd64.tar.zst": 142,
}
FORMATS = {"zst": "tzst", "xz": "txz", "gz": "tgz"}


def volume_of(file_name: str, ctime: int) -> Values:
    """Build the volume of an OS template."""
    size = OFFERED.get(file_name, 100) * MIB + len(file_name) * 4096
    kind = FORMATS.get(file_name.rpartition(".")[2], "tgz")
    return {"content": "vztmpl", "format": kind, "size": size, "ctime": ctime}


class Appliances(Statistics):
    """``/nodes/{node}/aplinfo``. The offers are names only: a real guest runs the machine's system."""

    def _routes_appliances(self) -> Routes:
        path = "/nodes/{node}/aplinfo"
        return [("GET", path, self._appliances), ("POST", path, self._download_appliance)]

    async def _appliances(self, _v: Values, _user: str) -> list[Values]:
        return [_appliance(name) for name in sorted(OFFERED)]

    async def _download_appliance(self, v: Values, user: str) -> str:
        name, sid = v["template"], v["storage"]
        if name not in OFFERED:
            raise param_error(template="no such template")
        store = self._active_store(sid, v["node"])
        if "vztmpl" not in split_list(store.get("content")):
            raise param_error(storage=f"storage '{sid}' does not support templates")

        async def body() -> None:
            await self._fetch(store, name)

        upid: str = await self.task(v["node"], "download", name, user, body)
        return upid

    async def _fetch(self, store: dict[str, Any], name: str) -> None:
        url, target = f"{SOURCE}/system/{name}", f"{store.get('path', '/var/lib/vz')}/template/cache/{name}"
        volume = volume_of(name, int(self.ticket_issuer.now()))
        task_log(f"downloading {url} to {target}")
        if f"vztmpl/{name}" in store.setdefault("volumes", {}):
            task_log("calculating checksum of existing file...", "OK, got correct file already, no need to download")
            return
        if volume["size"] > self._space(store)[2]:
            raise TaskError(f"download failed: {target}.tmp_dwnl: No space left on device")
        task_log(
            f"Length: {volume['size']} ({volume['size'] // MIB}M) [application/octet-stream]", f"Saving to: '{target}'"
        )
        for step in range(1, PROGRESS_STEPS + 1):
            await self.pause(DOWNLOAD_PVE_S / PROGRESS_STEPS)
            done = volume["size"] // 1024 * step // PROGRESS_STEPS
            task_log(f"{done:6d}K ........ ........ ........ ........ {100 * step // PROGRESS_STEPS:3d}% 58.1M 0s")
        task_log("calculating checksum...OK, checksum verified", f"download of '{url}' to '{target}' finished")
        store["volumes"][f"vztmpl/{name}"] = volume
        if "avail" in store:
            store["avail"] -= volume["size"]


def _appliance(name: str) -> Values:
    match = NAME.fullmatch(name)
    package, os, version = (
        (match["package"], match["os"], match["version"]) if match else (name.partition("_")[0], name, "")
    )
    return {
        "template": name,
        "package": package,
        "version": version,
        "os": os,
        "type": "lxc",
        "section": next((section for part, section in SECTIONS.items() if part in name), "system"),
        "architecture": "amd64",
        "headline": f"LXC image for {os} ({version})",
        "description": f"A small {os} system, offered by the sandbox.",
        "infopage": "http://templates.example/",
        "location": f"{SOURCE}/system/{name}",
        "source": SOURCE,
        "maintainer": "Sandbox",
        "md5sum": hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
        "sha512sum": hashlib.sha512(name.encode()).hexdigest(),
    }
