"""``/access``: realms and what the signed-in user may do. Signing in is in ``auth``."""

from __future__ import annotations

from typing import Any

from lxc_dashboard.proxmox.caller import Noun
from lxc_dashboard.proxmox.decoding import Shape, many, plain
from lxc_dashboard.proxmox.schemas import Domain

_DOMAINS = many(Domain)
_ANYTHING = plain(Any)


def _held(body: bytes) -> dict[str, frozenset[str]]:
    found = _ANYTHING.decode(body)
    paths = found.items() if isinstance(found, dict) else ()
    return {path: frozenset(privileges) for path, privileges in paths if isinstance(privileges, dict)}


_PERMISSIONS: Shape[dict[str, frozenset[str]]] = Shape(_held)


class Access(Noun):
    async def domains(self) -> list[Domain]:
        """``GET /access/domains``: the realms; needs no sign-in."""
        return await self._caller.get("/access/domains", _DOMAINS)

    async def permissions(self, path: str) -> frozenset[str]:
        """``GET /access/permissions?path=``: the user's own privileges at exactly ``path`` (``/vms/101``).

        A privilege is held where its key is present; PVE's value is only the propagate flag: 1, 0 or null.
        """
        found = await self._caller.get("/access/permissions", _PERMISSIONS, {"path": path})
        return found.get(path, frozenset())

    async def all_permissions(self) -> dict[str, frozenset[str]]:
        """``GET /access/permissions``: by path, without those paths at which the user has none."""
        return await self._caller.get("/access/permissions", _PERMISSIONS)
