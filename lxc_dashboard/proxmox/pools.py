"""``/pools``."""

from __future__ import annotations

from lxc_dashboard.proxmox.caller import Noun
from lxc_dashboard.proxmox.decoding import many
from lxc_dashboard.proxmox.schemas import Pool

_POOLS = many(Pool)


class Pools(Noun):
    async def list(self) -> list[Pool]:
        """``GET /pools``: those that the user may see."""
        return await self._caller.get("/pools", _POOLS)
