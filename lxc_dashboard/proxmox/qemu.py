"""``/nodes/{node}/qemu``: virtual machines, as far as containers have them for neighbours."""

from __future__ import annotations

import re
from typing import Any, Final

from lxc_dashboard.proxmox.caller import Noun, path_of
from lxc_dashboard.proxmox.decoding import Shape, plain
from lxc_dashboard.proxmox.schemas import split_property_string

_VALUES: Final = plain(dict[str, Any])
_IP_CONFIG: Final = re.compile(r"ipconfig\d+")


def _ip_configs(body: bytes) -> list[dict[str, str]]:
    found = _VALUES.decode(body)
    return [split_property_string(str(found[key])) for key in sorted(found) if _IP_CONFIG.fullmatch(key)]


_IP_CONFIGS: Final = Shape(_ip_configs)


class Qemu(Noun):
    async def ip_configs(self, node: str, vmid: int) -> list[dict[str, str]]:
        """``GET /nodes/{node}/qemu/{vmid}/config``: what cloud-init gives each card, ``{"ip": "10.0.0.5/24", "gw": "10.0.0.1"}``."""
        return await self._caller.get(path_of("nodes", node, "qemu", vmid, "config"), _IP_CONFIGS)
