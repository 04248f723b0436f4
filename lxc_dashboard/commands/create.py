"""``lxc-dashboard create``: asks a dashboard's HTTP API for a container, and follows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lxc_dashboard import routes
from lxc_dashboard.commands.api_client import ApiOptions, Order, carry_out, read_secret
from lxc_dashboard.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(ApiOptions):
    """``fields`` are ``NAME=VALUE``. ``password_file``: a path, ``-`` for stdin, or nothing."""

    fields: Sequence[str] = ()
    template: str = ""
    node: str = ""
    password_file: str = ""


def run(wanted: Wanted) -> int:
    """The status that the command ends with. Raises ``InvalidInputError`` for what is wrong before anything is asked."""
    return carry_out(wanted, Order(routes.API_CREATIONS, body_of(wanted), routes.api_creation, "hostname", _ready))


def _ready(creation: Mapping[str, Any]) -> str:
    address = (creation["result"] or {}).get("address")
    return f"CT {creation['vmid']} {creation['hostname']} is ready{f' at {address}' if address else ''}"


def body_of(wanted: Wanted) -> dict[str, Any]:
    """What is asked for. A value that begins as JSON of a list or an object is one; every other is text."""
    named = {name: value for name, value in (("template", wanted.template), ("node", wanted.node)) if value}
    body: dict[str, Any] = dict(named)
    for text in wanted.fields:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidInputError({"--set": f"{text!r} is not NAME=VALUE"})
        if name == "password":
            raise InvalidInputError({"--set": "a password does not belong on a command line: use --password-file"})
        body[name] = _value(name, value)
    if wanted.password_file:
        body["password"] = read_secret(wanted.password_file, "--password-file")
    return body


def _value(name: str, value: str) -> Any:
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InvalidInputError({"--set": f"{name} begins as JSON and is none: {error}"}) from error
