"""``/nodes/{node}/qemu``: virtual machines, as far as containers have them for neighbours."""

from __future__ import annotations

import re
from typing import Any, Final

from lxc_dashboard.proxmox.caller import Noun, path_of
from lxc_dashboard.proxmox.decoding import Shape, plain
from lxc_dashboard.proxmox.schemas import split_property_string

_VALUES: Final = plain(dict[str, Any])
_IP_CONFIG: Final = re.compile(r"ipconfig(?P<index>\d+)")


def _cards(body: bytes) -> list[dict[str, str]]:
    found = _VALUES.decode(body)
    indexes = [match["index"] for key in sorted(found) if (match := _IP_CONFIG.fullmatch(key))]
    texts = ((str(found.get(f"net{index}", "")), str(found[f"ipconfig{index}"])) for index in indexes)
    return [split_property_string(net) | split_property_string(ip) for net, ip in texts]


_CARDS: Final = Shape(_cards)


class Qemu(Noun):
    async def cards(self, node: str, vmid: int) -> list[dict[str, str]]:
        """``GET /nodes/{node}/qemu/{vmid}/config``: each network card that cloud-init configures, with what it gives it.

        ``{"bridge": "vmbr0", "tag": "30", "ip": "10.0.0.5/24", "gw": "10.0.0.1", ...}``.
        """
        return await self._caller.get(path_of("nodes", node, "qemu", vmid, "config"), _CARDS)
