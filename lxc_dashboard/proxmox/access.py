"""``/access``: realms and the privileges of the signed-in user. ``auth`` signs users in."""

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
    """A user's privileges: by path, each privilege and whether it propagates to the paths below.

    Paths with equal privileges share one mapping, because PVE lists thousands of guests of a pool with 30 privileges
    each.
    """

    by_path: Mapping[str, Mapping[str, int]]

    def at(self, path: str) -> frozenset[str]:
        """Return the privileges at exactly ``path``."""
        return frozenset(self.by_path.get(path, ()))

    def at_guest(self, vmid: int) -> frozenset[str]:
        """Return the privileges on a guest that PVE lists for the user.

        PVE leaves out a path without an ACL of its own, and a path without privileges. A listed guest is never the
        second case, because the user holds VM.Audit there. So the privileges that propagate from ``/vms`` hold.
        """
        own = self.by_path.get(f"/vms/{vmid}")
        if own is not None:
            return frozenset(own)
        return frozenset(privilege for privilege, propagates in self.by_path.get("/vms", {}).items() if propagates)

    def below(self, path: str, privilege: str) -> list[str]:
        """Return the names below ``path`` where ``privilege`` is held, sorted.

        For example ``dev`` for ``/pool/dev`` below ``/pool``.
        """
        start = f"{path}/"
        held = (place for place, privileges in self.by_path.items() if privilege in privileges)
        return sorted(place.removeprefix(start) for place in held if place.startswith(start))


def _grants(body: bytes) -> Grants:
    answer = _ANYTHING.decode(body)
    by_path: dict[str, dict[str, bool]] = {}
    shared: dict[frozenset[tuple[str, bool]], dict[str, bool]] = {}
    for path, privileges in answer.items() if isinstance(answer, dict) else ():
        if isinstance(privileges, dict):
            flags = {name: bool(propagates) for name, propagates in privileges.items()}
            by_path[path] = shared.setdefault(frozenset(flags.items()), flags)
    return Grants(by_path)


_GRANTS: Shape[Grants] = Shape(_grants)


class Access(Noun):
    async def domains(self) -> list[Domain]:
        """``GET /access/domains``: list the realms. Needs no sign-in."""
        return await self._caller.get("/access/domains", _DOMAINS)

    async def permissions(self, path: str) -> frozenset[str]:
        """``GET /access/permissions?path=``: the user's own privileges at exactly ``path``, for example ``/vms/101``.

        The user holds a privilege whose key is present. PVE's value is only the propagate flag: 1, 0 or null.
        """
        grants = await self._caller.get("/access/permissions", _GRANTS, {"path": path})
        return grants.at(path)

    async def grants(self) -> Grants:
        """``GET /access/permissions``: the user's own privileges at each path of the ACL, with members of pools."""
        return await self._caller.get("/access/permissions", _GRANTS)
