"""``lxc-dashboard create``, ``act`` and ``jobs``: jobs of a dashboard, through its HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lxc_dashboard import routes
from lxc_dashboard.commands.api_client import ApiOptions, ApiRequest, Status, get, read_secret, submit
from lxc_dashboard.commands.terminal import columns, out
from lxc_dashboard.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOptions(ApiOptions):
    """``fields`` are ``NAME=VALUE``. ``password_file``: a path, ``-`` for stdin, or empty."""

    fields: Sequence[str] = ()
    template: str = ""
    node: str = ""
    password_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActOptions(ApiOptions):
    act: str
    vmid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions(ApiOptions):
    """Filters; an empty value, or 0 for ``vmid``, matches all."""

    kind: str = ""
    vmid: int = 0
    user: str = ""
    state: str = ""
    limit: int = 100


def create(options: CreateOptions) -> int:
    """Create a container. Returns the exit status. Raises ``InvalidInputError`` before it sends a request."""
    request = ApiRequest(routes.API_CREATIONS, body_of(options), routes.api_creation, "hostname", _ready_message)
    return submit(options, request)


def act(options: ActOptions) -> int:
    """Start, shut down, stop or restart a container. Returns the exit status. Raises as ``create``."""
    path = routes.api_act(options.vmid, options.act)
    return submit(options, ApiRequest(path, None, routes.api_job, "name", _done_message))


def list_jobs(options: ListOptions) -> int:
    """Print the jobs. Returns the exit status. Raises as ``create``."""
    filters = {"kind": options.kind, "vmid": options.vmid, "user": options.user, "state": options.state}
    query = {name: value for name, value in filters.items() if value} | {"limit": options.limit}
    answer = get(options, routes.API_JOBS, query)
    if answer is None:
        return Status.REFUSED
    if options.as_json:
        out.print_json(json.dumps(answer["jobs"]))
    else:
        columns([("id", "kind", "ct", "name", "node", "user", "state", "created"), *map(_row, answer["jobs"])])
    return Status.DONE


def body_of(options: CreateOptions) -> dict[str, Any]:
    """The request's body. A value that starts with ``[`` or ``{`` is JSON; every other value is text."""
    names = {"template": options.template, "node": options.node}
    body: dict[str, Any] = {name: value for name, value in names.items() if value}
    for field in options.fields:
        name, equals, value = field.partition("=")
        if not (name and equals):
            raise InvalidInputError({"--set": f"{field!r} is not NAME=VALUE"})
        if name == "password":
            raise InvalidInputError({"--set": "use --password-file for the password: others can read a command line"})
        body[name] = _value_of(name, value)
    if options.password_file:
        body["password"] = read_secret(options.password_file, "--password-file")
    return body


def _value_of(name: str, value: str) -> Any:
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InvalidInputError({"--set": f"{name} is not valid JSON: {error}"}) from error


def _ready_message(creation: Mapping[str, Any]) -> str:
    address = (creation["result"] or {}).get("address")
    return f"CT {creation['vmid']} {creation['hostname']} is ready{f' at {address}' if address else ''}"


def _done_message(job: Mapping[str, Any]) -> str:
    """The job's result; a short text if the job could not be read at its end."""
    return job["message"] or f"CT {job['vmid']} {job['name']}: done"


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    guest = (job["id"], job["kind"], str(job["vmid"]), job["name"], job["node"], job["userid"])
    return (*guest, job["state"], job["created_at"][:19])
