"""Checks of a request before it takes effect, in PVE's order and with PVE's messages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from fakepve import schema as pve_schema
from fakepve.model import PveError
from fakepve.server import API, USER, FakePve, params

from pve_sandbox.api.access.directory import ROOT
from pve_sandbox.api.wire import DAEMON_DOWN, json_answer
from pve_sandbox.faults import Faults

FORM_TYPES = ("application/x-www-form-urlencoded", "application/octet-stream", "multipart/form-data")
LARGEST_FORM_BYTES = 512 * 1024
WHERE_PVE_READS_JSON = "at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934."
Values = dict[str, Any]
Call = Callable[[Any, Values], Awaitable[Any]]


class Checks(FakePve):
    """The schema checks of ``fakepve``, in PVE's order: method, token, privileges, node, parameters."""

    faults: Faults

    async def checked(self, request: web.Request, call: Callable[[Values, str], Awaitable[Any]]) -> web.Response:
        """Check ``request``, then answer with the result of ``call(values, user)``."""
        user = request[USER]

        async def then(_match: Any, values: Values) -> Any:
            return await call(values, user)

        return json_answer(await self.answer(request, self.resolve(request, API), await params(request), user, then))

    async def answer(
        self, request: web.Request, match: Any, given: Values, user: str | None, call: Call | None = None
    ) -> Any:
        info = match.methods.get(request.method) if match else None
        if info is None:
            raise PveError(501, f"Method '{request.method} {_relative(request)}' not implemented")
        if user and "!" in user and not info.get("allowtoken", 1):
            uri = _relative(request)
            reason = f"URI '{uri}' not available with API token, need proper ticket.\n"
            raise PveError(403, f"Permission check failed ({reason})")
        declared = (info.get("parameters") or {}).get("properties", {})
        values = {**given, **match.params}
        self._check_acl_path(user, info.get("permissions"), values)
        self.check_permissions(user, info.get("permissions"), values, declared)
        self._require_node(match.params.get("node"))
        values = self._valid(info, declared, given, match.params)
        if call is not None:
            return await call(match, values)
        return await self.synthesise(match, request.method, info, user, values)

    def _require_node(self, node: str | None) -> None:
        if node is not None and node not in self.nodes:
            reason = "Name or service not known"
            raise PveError(500, f"hostname lookup '{node}' failed - failed to get address info for: {node}: {reason}")

    def _valid(self, info: Values, declared: Values, given: Values, of_path: Mapping[str, str]) -> Values:
        values = {**given, **{k: v for k, v in of_path.items() if k in declared}}
        checked, errors = pve_schema.validate(info.get("parameters"), values)
        for name, value in given.items():
            kind = (declared.get(name) or {}).get("type")
            if kind == "boolean" and isinstance(value, str) and value not in {"0", "1"}:
                errors[name] = f"type check ('boolean') failed - got '{value}'"
        if errors:
            raise PveError(400, "Parameter verification failed.", errors)
        return {**checked, **{k: v for k, v in of_path.items() if k not in declared}}

    def check_permissions(self, user: str | None, perms: Any, values: Values, declared: Any = None) -> None:
        """Check the schema's rule. Only a ticket of root@pam passes every rule, a token of root does not."""
        rule = perms or {}
        if user == ROOT or rule.get("user") == "world" or (user and rule.get("user") == "all"):
            return
        allowed, why = False, "user != root@pam"
        if user and "check" in rule:
            allowed, why = self._check(user, rule["check"], values, declared)
        if not allowed:
            raise PveError(403, f"Permission check failed ({why})" if why else "Permission check failed")

    def _check(self, user: str, check: Any, values: Values, declared: Any = None) -> tuple[bool, str]:
        """Check one alternative. Where all fail, PVE reports the one about the realm, if there is one."""
        allowed, why = super()._check(user, check, values, declared)
        if not allowed and not why and check[0] == "or":
            for rule in check[1:]:
                if rule[0] == "and" and rule[1][0] == "userid-param":
                    allowed, why = super()._check(user, rule[1], values, declared)
        return allowed, why

    async def _answer(self, request: web.Request, handler: Any, generic: Any, path_node: str | None) -> Any:
        refusal = await _unreadable(request)
        if refusal is not None:
            return refusal
        if self._needs_daemon(request) and (path_node or min(self.nodes)) in self.faults.daemons_down:
            return web.Response(status=595, reason=DAEMON_DOWN)
        return await super()._answer(request, handler, generic, path_node)

    def _needs_daemon(self, request: web.Request) -> bool:
        """Whether pveproxy passes this call to pvedaemon: ``protected`` in PVE's schema."""
        match = self.resolve(request, API)
        return bool(match and match.methods.get(request.method, {}).get("protected"))


def _relative(request: web.Request) -> str:
    """The path without ``/api2/<format>``."""
    return "/" + "/".join(request.path.split("/")[3:])


async def _unreadable(request: web.Request) -> web.Response | None:
    """Return PVE's plain-text answer to an unreadable body, else ``None``."""
    body = await request.read()
    if not body:
        return None
    if request.content_type == "application/json":
        try:
            json.loads(body)
        except ValueError:
            where = body.decode(errors="replace").lstrip("{")
            text = f'\'"\' expected, at character offset 1 (before "{where[:20]}") {WHERE_PVE_READS_JSON}'
            return web.Response(status=500, reason=text.splitlines()[0], text=text + "\n")
        return None
    if request.content_type not in FORM_TYPES:
        text = f"upload 'Content-Type '{request.content_type}' not implemented"
        return web.Response(status=506, reason=text, text=text)
    if len(body) > LARGEST_FORM_BYTES and request.content_type != "multipart/form-data":
        text = "for data too large"
        return web.Response(status=501, reason=text, text=text)
    return None
