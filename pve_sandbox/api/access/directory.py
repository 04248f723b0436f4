"""Users, tokens, roles and the access control list, with PVE's rules for privileges."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from fakepve import shapes

ROOT = "root@pam"
BUILT_IN_ROLES: dict[str, tuple[str, ...]] = {
    "NoAccess": (),
    "Administrator": tuple(shapes.PRIVILEGES),
    "PVEAuditor": tuple(shapes.ROLES["PVEAuditor"]),
    "PVEVMAdmin": tuple(p for p in shapes.PRIVILEGES if p.startswith("VM.") and p != "VM.Replicate"),
    "PVEVMUser": ("VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.PowerMgmt"),
    "PVEDatastoreAdmin": tuple(p for p in shapes.PRIVILEGES if p.startswith("Datastore.")),
    "PVEDatastoreUser": ("Datastore.AllocateSpace", "Datastore.Audit"),
    "PVEPoolAdmin": ("Pool.Allocate", "Pool.Audit"),
    "PVEPoolUser": ("Pool.Audit",),
    "PVESDNUser": ("SDN.Audit", "SDN.Use"),
    "PVETemplateUser": ("VM.Audit", "VM.Clone"),
}
# A full dump of permissions always contains these.
FIXED_PATHS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


class Token(msgspec.Struct):
    secret: str
    privsep: int = 1
    expire: int = 0
    comment: str = ""


class Totp(msgspec.Struct):
    secret: str
    description: str = ""
    created: int = 0
    last_step: int = 0


class User(msgspec.Struct):
    """``recovery``: recovery keys, "" once used. ``expire``: epoch seconds, 0 for never."""

    password: str = ""
    enable: int = 1
    expire: int = 0
    comment: str = ""
    email: str = ""
    firstname: str = ""
    lastname: str = ""
    groups: set[str] = msgspec.field(default_factory=set)
    tokens: dict[str, Token] = msgspec.field(default_factory=dict)
    totp: dict[str, Totp] = msgspec.field(default_factory=dict)
    recovery: list[str] = msgspec.field(default_factory=list)

    @property
    def is_active(self) -> bool:
        return bool(self.enable) and (not self.expire or self.expire > time.time())

    @property
    def needs_second_step(self) -> bool:
        return bool(self.totp) or any(self.recovery)


class AclEntry(msgspec.Struct, frozen=True):
    """``kind`` is user, group or token. ``ugid`` is its name."""

    path: str
    kind: str
    ugid: str
    roleid: str
    propagate: int = 1


class DirectoryState(msgspec.Struct):
    """The part that survives a restart."""

    users: dict[str, User] = msgspec.field(default_factory=dict)
    groups: dict[str, str] = msgspec.field(default_factory=dict)
    roles: dict[str, list[str]] = msgspec.field(default_factory=dict)
    acl: list[AclEntry] = msgspec.field(default_factory=list)


class Directory:
    """Users and access rules. Call ``changed()`` after changing a field in place."""

    def __init__(self, state: DirectoryState | None = None) -> None:
        state = state or DirectoryState()
        self.users = state.users
        self.groups = state.groups
        self.roles = state.roles
        self.acl = state.acl
        self._held: dict[tuple[str, str, str | None], Mapping[str, int]] = {}
        self._by_path: dict[str, list[AclEntry]] | None = None

    def state(self) -> DirectoryState:
        return DirectoryState(self.users, self.groups, self.roles, self.acl)

    def changed(self) -> None:
        self._held.clear()
        self._by_path = None

    def role(self, roleid: str) -> tuple[str, ...] | None:
        own = self.roles.get(roleid)
        return BUILT_IN_ROLES.get(roleid) if own is None else tuple(own)

    def role_exists(self, roleid: str) -> bool:
        return roleid in BUILT_IN_ROLES or roleid in self.roles

    def check_password(self, userid: str, password: str) -> bool:
        user = self.users.get(userid)
        if user is None or not user.is_active or not user.password:
            return False
        return hmac.compare_digest(user.password.encode(), password.encode())

    def privileges(self, authid: str, path: str, pool: str | None = None) -> Mapping[str, int]:
        """Map each privilege of ``authid`` at ``path`` to its propagate flag.

        ``authid`` is a user or a token (``user!name``). ``pool`` contains the guest or storage at ``path``.
        """
        key = (authid, path, pool)
        if key not in self._held:
            self._held[key] = self._compute(authid, path, pool)
        return self._held[key]

    def _compute(self, authid: str, path: str, pool: str | None) -> dict[str, int]:
        if authid == ROOT:
            return dict.fromkeys(BUILT_IN_ROLES["Administrator"], 1)
        userid, _, tokenid = authid.partition("!")
        if not tokenid:
            return self._own(authid, path, pool)
        user = self.users.get(userid)
        token = user.tokens.get(tokenid) if user else None
        if token is None:
            return {}
        of_user = self.privileges(userid, path, pool)
        if not token.privsep:
            return dict(of_user)
        return {priv: flag for priv, flag in self._own(authid, path, pool).items() if priv in of_user}

    def _own(self, authid: str, path: str, pool: str | None) -> dict[str, int]:
        roles = self._roles(authid, path)
        if "NoAccess" in roles:
            return {}
        held: dict[str, int] = {}
        for roleid, propagate in roles.items():
            for priv in self.role(roleid) or ():
                held[priv] = max(propagate, held.get(priv, 0))
        for roleid in self._roles(authid, f"/pool/{pool}") if pool else ():
            for priv in self.role(roleid) or ():
                held.setdefault(priv, 0)
        return held

    def _roles(self, authid: str, path: str) -> dict[str, int]:
        """The roles at ``path``. The deepest entries win, and a user's own win over a group's."""
        kind = "token" if "!" in authid else "user"
        user = self.users.get(authid)
        groups = user.groups if user else set()
        roles: dict[str, int] = {}
        for step in _steps(path):
            here = [e for e in self._at(step) if step == path or e.propagate]
            own = {e.roleid: e.propagate for e in here if e.kind == kind and e.ugid == authid}
            of_groups = {e.roleid: e.propagate for e in here if e.kind == "group" and e.ugid in groups}
            roles = own or of_groups or roles
        return roles

    def _at(self, path: str) -> list[AclEntry]:
        if self._by_path is None:
            self._by_path = {}
            for entry in self.acl:
                self._by_path.setdefault(entry.path, []).append(entry)
        return self._by_path.get(path, [])

    def drop_path(self, path: str) -> None:
        self.acl = [entry for entry in self.acl if entry.path != path]
        self.changed()

    def known_paths(self) -> Iterable[str]:
        return sorted({*FIXED_PATHS, *(entry.path for entry in self.acl)})


def _steps(path: str) -> Iterator[str]:
    yield "/"
    so_far = ""
    for part in path.strip("/").split("/"):
        if part:
            so_far += f"/{part}"
            yield so_far
