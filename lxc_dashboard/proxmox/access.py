"""``/access``: realms and what the signed-in user may do. Signing in is in ``auth``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxc_dashboard.proxmox.caller import Noun
from lxc_dashboard.proxmox.decoding import Shape, many, plain
from lxc_dashboard.proxmox.schemas import Domain

_DOMAINS = many(Domain)
_ANYTHING = plain(Any)


@dataclass(frozen=True, slots=True)
class Grants:
    """What a user holds: by path, each privilege and whether it propagates to the paths below.

    Paths with equal privileges share one mapping: PVE lists thousands of guests in a pool with 30 privileges each.
    """

    by_path: Mapping[str, Mapping[str, int]]

    def at(self, path: str) -> frozenset[str]:
        """The privileges at exactly ``path``."""
        return frozenset(self.by_path.get(path, ()))

    def at_guest(self, vmid: int) -> frozenset[str]:
        """The privileges on a guest that PVE lists for the user.

        PVE leaves out a path that has no ACL of its own, and one where nothing is held. A listed guest is never the second:
        VM.Audit is held there. So what propagates from ``/vms`` holds.
        """
        own = self.by_path.get(f"/vms/{vmid}")
        if own is not None:
            return frozenset(own)
        return frozenset(privilege for privilege, propagates in self.by_path.get("/vms", {}).items() if propagates)

    def below(self, path: str, privilege: str) -> list[str]:
        """Names below ``path`` where ``privilege`` is held, sorted: ``dev`` for ``/pool/dev`` below ``/pool``."""
        start = f"{path}/"
        held = (each for each, privileges in self.by_path.items() if privilege in privileges)
        return sorted(each.removeprefix(start) for each in held if each.startswith(start))


def _grants(body: bytes) -> Grants:
    found = _ANYTHING.decode(body)
    by_path: dict[str, dict[str, bool]] = {}
    shared: dict[frozenset[tuple[str, bool]], dict[str, bool]] = {}
    for path, privileges in found.items() if isinstance(found, dict) else ():
        if isinstance(privileges, dict):
            flags = {name: bool(propagates) for name, propagates in privileges.items()}
            by_path[path] = shared.setdefault(frozenset(flags.items()), flags)
    return Grants(by_path)


_GRANTS: Shape[Grants] = Shape(_grants)


class Access(Noun):
    async def domains(self) -> list[Domain]:
        """``GET /access/domains``: the realms; needs no sign-in."""
        return await self._caller.get("/access/domains", _DOMAINS)

    async def permissions(self, path: str) -> frozenset[str]:
        """``GET /access/permissions?path=``: the user's own privileges at exactly ``path`` (``/vms/101``).

        A privilege is held where its key is present; PVE's value is only the propagate flag: 1, 0 or null.
        """
        found = await self._caller.get("/access/permissions", _GRANTS, {"path": path})
        return found.at(path)

    async def grants(self) -> Grants:
        """``GET /access/permissions``: the user's own privileges at every path of the ACL, pool members among them."""
        return await self._caller.get("/access/permissions", _GRANTS)
