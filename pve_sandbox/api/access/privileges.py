"""Privilege checks and ``/access``: users, roles, the access control list, tokens, TFA."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from fakepve.model import PveError

from pve_sandbox.api.access.directory import BUILT_IN_ROLES, ROOT, AclEntry, Directory, Token, User
from pve_sandbox.api.checks import Checks, Values

Handler = Callable[[Values, str], Awaitable[Any]]
Routes = list[tuple[str, str, Handler]]
REALMS = {"pam": "Linux PAM standard authentication", "pve": "Proxmox VE authentication server"}
# The privileges in ``cap``, by the first part of their path.
SHOWN_PRIVILEGES = {
    "vms": r"VM\.|Permissions\.Modify",
    "access": r"(User|Group)\.|Permissions\.Modify",
    "storage": r"Datastore\.|Permissions\.Modify",
    "nodes": r"Sys\.|Permissions\.Modify",
    "sdn": r"SDN\.|Permissions\.Modify",
    "dc": r"Sys\.Audit|Sys\.Modify|SDN\.(Allocate|Audit|Use)",
    "mapping": r"Mapping\.|Permissions\.Modify",
}
SHOWN_PATHS = ("/", "/access/groups", "/mapping", "/nodes", "/sdn", "/storage", "/vms")
PLAIN_USER_FIELDS = ("enable", "expire", "comment", "email", "firstname", "lastname")


class Access(Checks):
    """Check privileges with ``directory``. fakepve's own ``acl`` and ``users`` stay empty."""

    directory: Directory

    # ---------------------------------------------------------- privileges

    def privileges(self, authid: str, path: str) -> Any:
        return self.directory.privileges(authid, path, self._pool_holding(path))

    def _pool_holding(self, path: str) -> str | None:
        kind, _, name = path.lstrip("/").partition("/")
        if kind == "vms" and name.isdecimal():
            guest = self.cts.get(int(name))
            pool: str | None = guest.pool if guest else None
            return pool
        return self._pool_of_storage(name) if kind == "storage" and name else None

    def allowed(self, user: str | None, path: str, priv: str) -> bool:
        return bool(user) and (user == ROOT or priv in self.privileges(str(user), path))

    def grant(self, user: str, path: str, *privs: str) -> None:
        """Grant exactly these privileges at ``path``, with a new role."""
        roleid = "Granted-" + uuid.uuid4().hex[:8]
        self.directory.roles[roleid] = sorted(privs)
        self.directory.users.setdefault(user.partition("!")[0], User())
        kind = "token" if "!" in user else "user"
        self.directory.acl.append(AclEntry(path.rstrip("/") or "/", kind, user, roleid))
        self.directory.changed()

    def capabilities(self, userid: str) -> dict[str, dict[str, int]]:
        """Build ``cap`` of ``POST /access/ticket``."""
        shown: dict[str, dict[str, int]] = {area: {} for area in SHOWN_PRIVILEGES}
        for path in sorted({*SHOWN_PATHS, *(entry.path for entry in self.directory.acl)}):
            area = path.strip("/").partition("/")[0] or "dc"
            areas = ("vms", "storage") if area == "pool" else (area,) if area in shown else ()
            for name in areas:
                held = self.privileges(userid, path)
                shown[name].update({p: 1 for p in held if re.match(SHOWN_PRIVILEGES[name], p)})
        return shown

    # -------------------------------------------------------------- routes

    def _routes_access(self) -> Routes:
        user, token = "/access/users/{userid}", "/access/users/{userid}/token/{tokenid}"
        return [
            ("GET", "/access/permissions", self._permissions),
            ("GET", "/access/domains", self._domains),
            ("GET", "/access/users", self._user_list),
            ("POST", "/access/users", self._user_add),
            ("GET", user, self._user_read),
            ("PUT", user, self._user_change),
            ("DELETE", user, self._user_remove),
            ("GET", user + "/token", self._token_list),
            ("GET", token, self._token_read),
            ("POST", token, self._token_add),
            ("PUT", token, self._token_change),
            ("DELETE", token, self._token_remove),
            ("GET", "/access/roles", self._role_list),
            ("POST", "/access/roles", self._role_add),
            ("GET", "/access/roles/{roleid}", self._role_read),
            ("GET", "/access/acl", self._acl_read),
            ("PUT", "/access/acl", self._acl_write),
            ("GET", "/access/tfa/{userid}", self._tfa_list),
        ]

    async def _permissions(self, v: Values, user: str) -> dict[str, dict[str, int]]:
        """``{path: {privilege: propagate}}``.

        A full dump has the paths of the access control list and of pool members, except those without privileges.
        """
        who = v.get("userid") or user
        if who != user and who.partition("!")[0] != user:
            self.require(user, "/access", "Sys.Audit")
        if v.get("path"):
            return {v["path"]: dict(self.privileges(who, v["path"]))}
        pools = [f"/pool/{name}" for name in self.pools]
        members = [f"/vms/{vmid}" for vmids in self.pools.values() for vmid in vmids]
        paths = {*self.directory.known_paths(), *pools, *members}
        held = {path: dict(self.privileges(who, path)) for path in sorted(paths)}
        return {path: privs for path, privs in held.items() if privs}

    async def _domains(self, _v: Values, _user: str) -> list[dict[str, str]]:
        return [{"realm": realm, "type": realm, "comment": comment} for realm, comment in REALMS.items()]

    # --------------------------------------------------------------- users

    def _known_user(self, userid: str) -> User:
        user = self.directory.users.get(userid)
        if user is None:
            raise PveError(500, f"no such user ('{userid}')")
        return user

    @staticmethod
    def _user_view(userid: str, user: User) -> Values:
        view: Values = {"enable": user.enable, "expire": user.expire, "realm-type": userid.rpartition("@")[2]}
        view.update({k: getattr(user, k) for k in PLAIN_USER_FIELDS[2:] if getattr(user, k)})
        if userid.endswith("@pve"):
            view.setdefault("email", "")
        return view

    async def _user_list(self, v: Values, user: str) -> list[Values]:
        sees_all = any(self.allowed(user, "/access/groups", priv) for priv in ("User.Modify", "Sys.Audit"))
        listed = []
        for userid, entry in sorted(self.directory.users.items()):
            if not (sees_all or userid == user) or (v.get("enabled") is not None and v["enabled"] != entry.enable):
                continue
            view = {"userid": userid, **self._user_view(userid, entry)}
            if v.get("full"):
                view["groups"] = ",".join(sorted(entry.groups))
                view["tokens"] = [{"tokenid": name, **_token_view(token)} for name, token in entry.tokens.items()]
            listed.append(view)
        return listed

    async def _user_read(self, v: Values, _user: str) -> Values:
        entry = self._known_user(v["userid"])
        tokens = {name: _token_view(token) for name, token in entry.tokens.items()}
        return {**self._user_view(v["userid"], entry), "groups": sorted(entry.groups), "tokens": tokens}

    async def _user_add(self, v: Values, _user: str) -> None:
        if v["userid"] in self.directory.users:
            raise PveError(500, f"create user failed: user '{v['userid']}' already exists")
        self.directory.users[v["userid"]] = User(password=v.get("password", ""))
        await self._user_change(v, _user)

    async def _user_change(self, v: Values, _user: str) -> None:
        entry = self._known_user(v["userid"])
        for name in PLAIN_USER_FIELDS:
            if v.get(name) is not None:
                setattr(entry, name, v[name])
        if v.get("groups") is not None:
            entry.groups = {group for group in re.split(r"[\s,;]+", v["groups"]) if group}
        self.directory.changed()

    async def _user_remove(self, v: Values, _user: str) -> None:
        self._known_user(v["userid"])
        del self.directory.users[v["userid"]]
        owned = v["userid"] + "!"
        self.directory.acl = [e for e in self.directory.acl if e.ugid != v["userid"] and not e.ugid.startswith(owned)]
        self.directory.changed()

    # -------------------------------------------------------------- tokens

    def _known_token(self, v: Values) -> Token:
        token = self._known_user(v["userid"]).tokens.get(v["tokenid"])
        if token is None:
            raise PveError(500, f"no such token '{v['tokenid']}' for user '{v['userid']}'")
        return token

    async def _token_list(self, v: Values, _user: str) -> list[Values]:
        return [{"tokenid": n, **_token_view(t)} for n, t in sorted(self._known_user(v["userid"]).tokens.items())]

    async def _token_read(self, v: Values, _user: str) -> Values:
        return _token_view(self._known_token(v))

    async def _token_add(self, v: Values, _user: str) -> Values:
        tokens = self._known_user(v["userid"]).tokens
        if v["tokenid"] in tokens:
            raise PveError(400, "Parameter verification failed.", {"tokenid": "Token already exists."})
        token = Token(str(uuid.uuid4()), v.get("privsep", 1), v.get("expire", 0), v.get("comment", ""))
        tokens[v["tokenid"]] = token
        self.directory.changed()
        info = {**_token_view(token), "privsep": str(token.privsep)}
        return {"full-tokenid": f"{v['userid']}!{v['tokenid']}", "info": info, "value": token.secret}

    async def _token_change(self, v: Values, _user: str) -> Values:
        token = self._known_token(v)
        for name in ("comment", "expire", "privsep"):
            if v.get(name) is not None:
                setattr(token, name, v[name])
        self.directory.changed()
        return _token_view(token)

    async def _token_remove(self, v: Values, _user: str) -> None:
        self._known_token(v)
        del self.directory.users[v["userid"]].tokens[v["tokenid"]]
        self.directory.acl = [e for e in self.directory.acl if e.ugid != f"{v['userid']}!{v['tokenid']}"]
        self.directory.changed()

    # ----------------------------------------------------------- roles, ACL

    async def _role_list(self, _v: Values, _user: str) -> list[Values]:
        names = sorted({*BUILT_IN_ROLES, *self.directory.roles})
        return [
            {"roleid": name, "privs": ",".join(sorted(self.directory.role(name) or ())), "special": int(special)}
            for name in names
            for special in [name in BUILT_IN_ROLES]
        ]

    async def _role_read(self, v: Values, _user: str) -> dict[str, int]:
        if not self.directory.role_exists(v["roleid"]):
            raise PveError(500, f"role '{v['roleid']}' does not exist")
        return dict.fromkeys(sorted(self.directory.role(v["roleid"]) or ()), 1)

    async def _role_add(self, v: Values, _user: str) -> None:
        if self.directory.role_exists(v["roleid"]):
            raise PveError(500, f"create role failed: role '{v['roleid']}' already exists")
        self.directory.roles[v["roleid"]] = [p for p in re.split(r"[\s,;]+", v.get("privs") or "") if p]
        self.directory.changed()

    async def _acl_read(self, _v: Values, user: str) -> list[Values]:
        def seen(path: str) -> bool:
            return any(self.allowed(user, path, priv) for priv in ("Sys.Audit", "Permissions.Modify"))

        return [
            {"path": e.path, "type": e.kind, "ugid": e.ugid, "roleid": e.roleid, "propagate": e.propagate}
            for e in self.directory.acl
            if seen("/access") or seen(e.path)
        ]

    async def _acl_write(self, v: Values, _user: str) -> None:
        """Add or, with ``delete``, remove each role for each user, group and token."""
        named = [(kind, n) for kind in ("user", "group", "token") for n in _split(v.get(kind + "s"))]
        if not named:
            text = "either 'users', 'groups' or 'tokens' is required."
            raise PveError(400, "Parameter verification failed.", dict.fromkeys(("users", "groups", "tokens"), text))
        for roleid in _split(v["roles"]):
            if not self.directory.role_exists(roleid):
                raise PveError(500, f"update ACL failed: role '{roleid}' does not exist")
            for kind, ugid in named:
                self._set_entry(v, kind, ugid, roleid)
        self.directory.changed()

    def _set_entry(self, v: Values, kind: str, ugid: str, roleid: str) -> None:
        if kind == "user" and not v.get("delete"):
            self._known_user(ugid)
        path = "/" + "/".join(part for part in v["path"].split("/") if part)
        kept = [e for e in self.directory.acl if (e.path, e.kind, e.ugid, e.roleid) != (path, kind, ugid, roleid)]
        if not v.get("delete"):
            kept.append(AclEntry(path, kind, ugid, roleid, v.get("propagate", 1)))
        self.directory.acl = kept

    async def _tfa_list(self, v: Values, _user: str) -> list[Values]:
        user = self._known_user(v["userid"])
        listed: list[Values] = [
            {"id": name, "type": "totp", "description": entry.description, "created": entry.created}
            for name, entry in user.totp.items()
        ]
        if user.recovery:
            listed.append({"id": "recovery", "type": "recovery", "description": "", "created": 0})
        return listed


def _token_view(token: Token) -> Values:
    return {"expire": token.expire, "privsep": token.privsep, **({"comment": token.comment} if token.comment else {})}


def _split(text: str | None) -> list[str]:
    return [item for item in re.split(r"[\s,;]+", text or "") if item]
