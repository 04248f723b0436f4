"""``lxc-dashboard create``: asks a dashboard's HTTP API for a container with the caller's own PVE API token, and follows it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from lxc_dashboard import routes
from lxc_dashboard.commands.terminal import err, out
from lxc_dashboard.errors import DashboardError, InvalidInputError, ServiceUnavailableError

ASK_TIMEOUT_S: Final = 60.0
# The API says at least every 10 s that it is there.
SILENT_AT_MOST_S: Final = 45.0
AWAY_AT_MOST_S: Final = 120.0
AGAIN_AFTER_S: Final = (0.5, 1.0, 2.0, 5.0)
ASKED_AT_MOST: Final = 3
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SCHEME: Final = "PVEAPIToken="
# A user's own name may hold "!", "@" and "=" too.
_TOKEN: Final = re.compile(r".+@[^@!=]+![^!=]+=.*")
STDIN: Final = "-"
AWAY: Final = frozenset({502, 503, 504})
SHOWN: Final = frozenset({"id", "vmid", "hostname", "node", "state"})


class Ending(IntEnum):
    """The command's status. 2 is what typer gives for a command line that it does not understand."""

    READY = 0
    REFUSED = 1
    FAILED = 3
    CANCELLED = 4
    OUT_OF_SIGHT = 5
    LEFT_RUNNING = 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """``fields`` are ``NAME=VALUE``. ``token_file`` and ``password_file``: a path, ``-`` for stdin, or nothing."""

    url: str
    fields: Sequence[str] = ()
    template: str = ""
    node: str = ""
    endpoint: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    password_file: str = ""
    follow: bool = True
    as_json: bool = False
    plain_http: bool = False


def run(wanted: Wanted) -> int:
    """The status that the command ends with. Raises ``InvalidInputError`` for what is wrong before anything is asked."""
    body = body_of(wanted)
    headers = {"Authorization": f"{SCHEME}{token_of(wanted)}"}
    params = {"endpoint": wanted.endpoint} if wanted.endpoint else {}
    url = url_of(wanted)
    with _client(base_url=url, headers=headers, params=params) as client:
        answer = _ask(client, body)
        if not answer.is_success:
            return _refused(answer)
        made = _made(answer)
        page = f"{url}{routes.job(made['id'])}"
        err.print(f"CT {made['vmid']} {made['hostname']} on {made['node']}: {page}", markup=False)
        if not wanted.follow:
            return _told(made, as_json=wanted.as_json)
        try:
            return _followed(client, made, as_json=wanted.as_json)
        except KeyboardInterrupt:
            err.print(f"The job goes on: {page}", markup=False)
            return Ending.LEFT_RUNNING


def _client(**options: Any) -> httpx.Client:
    """The CAs that ``SSL_CERT_FILE`` names are read as soon as it is made."""
    try:
        return httpx.Client(timeout=ASK_TIMEOUT_S, **options)
    except OSError as error:
        raise InvalidInputError({"SSL_CERT_FILE": f"cannot be read: {error}"}) from error


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
        body["password"] = _read(wanted.password_file, "--password-file")
    return body


def _value(name: str, value: str) -> Any:
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InvalidInputError({"--set": f"{name} begins as JSON and is none: {error}"}) from error


def token_of(wanted: Wanted) -> str:
    """``user@realm!name=uuid``, from the file where one is named, else from the environment. Never shown."""
    given = _read(wanted.token_file, "--token-file") if wanted.token_file else wanted.token
    token = given.strip().removeprefix(SCHEME)
    if not token:
        raise InvalidInputError({"PVE_API_TOKEN": "set it to user@realm!name=uuid, or name a file with --token-file"})
    if not _TOKEN.fullmatch(token) or not token.isascii() or not token.isprintable():
        raise InvalidInputError({"PVE_API_TOKEN": "is not of the form user@realm!name=uuid"})
    return token


def url_of(wanted: Wanted) -> str:
    """Without a slash at the end. Plain http goes to this very machine only, unless it is asked for: it shows the token."""
    try:
        parts = urlsplit(wanted.url)
        scheme, host = parts.scheme, parts.hostname or ""
        httpx.URL(wanted.url)
    except (ValueError, httpx.InvalidURL):
        scheme = host = ""
    if scheme not in {"http", "https"} or not host:
        raise InvalidInputError({"--url": "is not an address such as https://dashboard.example"})
    if scheme == "http" and host not in LOCAL and not wanted.plain_http:
        raise InvalidInputError({"--url": "plain http would show the token to the network: use https, or --plain-http"})
    return wanted.url.rstrip("/")


def _read(source: str, option: str) -> str:
    try:
        text = sys.stdin.read() if source == STDIN else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError({option: f"cannot be read: {error}"}) from error
    return text.rstrip("\r\n")


def _ask(client: httpx.Client, body: Mapping[str, Any]) -> httpx.Response:
    """Asked again where the answer was lost: the key makes it one container."""
    headers = {"Idempotency-Key": str(uuid4())}
    for wait_s in AGAIN_AFTER_S[: ASKED_AT_MOST - 1]:
        try:
            return client.post(routes.API_CREATIONS, json=body, headers=headers)
        except httpx.ConnectError as error:
            raise ServiceUnavailableError(f"{client.base_url} cannot be reached", detail=str(error)) from error
        except httpx.TransportError:
            time.sleep(wait_s)
    try:
        return client.post(routes.API_CREATIONS, json=body, headers=headers)
    except httpx.TransportError as error:
        raise ServiceUnavailableError(f"{client.base_url} does not answer", detail=str(error)) from error


def _refused(answer: httpx.Response) -> int:
    """Says what is wrong, field by field and finding by finding."""
    problem = _object(answer).get("error", {})
    if not isinstance(problem, dict):
        problem = {}
    err.print(
        f"error: {problem.get('message') or f'the dashboard answered {answer.status_code}'}",
        markup=False,
        style="bold red",
    )
    for name, fault in problem.get("fields", {}).items():
        err.print(f"  {name}: {fault}", markup=False)
    for found in problem.get("findings", ()):
        place = f"{found['field']}: " if found["field"] else ""
        remedy = f". {found['remedy']}" if found["remedy"] else ""
        err.print(f"  {place}{found['cause']}{remedy}", markup=False)
    if problem.get("reference"):
        err.print(f"  reference {problem['reference']}", markup=False, style="dim")
    return Ending.REFUSED


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise _stranger(answer) from error
    return found if isinstance(found, dict) else {}


def _made(answer: httpx.Response) -> dict[str, Any]:
    made = _object(answer)
    if not made.keys() >= SHOWN:
        raise _stranger(answer)
    return made


def _stranger(answer: httpx.Response) -> DashboardError:
    return DashboardError("No dashboard answers there", detail=f"{answer.status_code} from {answer.url.host}")


def _followed(client: httpx.Client, made: Mapping[str, Any], *, as_json: bool) -> int:
    """Prints the log until the run ends, and says how."""
    end = _log_to_end(client, made["id"], show=not as_json)
    if not end["state"]:
        err.print(f"error: {end['message']}", markup=False, style="bold red")
        return Ending.OUT_OF_SIGHT
    return _told(_ended(client, made, end["state"]), as_json=as_json)


def _ended(client: httpx.Client, made: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    """The run as it ended. Where that cannot be read any more, what is known of it: how it ended was told already."""
    for wait_s in AGAIN_AFTER_S[:2]:
        try:
            answer = client.get(routes.api_creation(made["id"]))
            if answer.is_success:
                return _object(answer)
        except httpx.TransportError as error:
            err.print(f"The run cannot be read ({type(error).__name__})", markup=False, style="dim")
        time.sleep(wait_s)
    return {**made, "state": state, "result": None, "error": None}


def _log_to_end(client: httpx.Client, job_id: str, *, show: bool) -> dict[str, Any]:
    """The stream's last object. A stream that breaks off is taken up after the last line that came."""
    after, tries, seen_at = 0, 0, time.monotonic()
    while True:
        try:
            for entry in _entries(client, job_id, after):
                tries, seen_at = 0, time.monotonic()
                if entry["type"] == "end":
                    return entry
                after = entry["seq"]
                if show:
                    out.print(entry["text"], markup=False)
        except httpx.TransportError as error:
            err.print(f"The log broke off ({type(error).__name__}): it is taken up again", markup=False, style="dim")
        if time.monotonic() - seen_at > AWAY_AT_MOST_S:
            return {"state": "", "message": f"{client.base_url} is away. The job goes on"}
        time.sleep(AGAIN_AFTER_S[min(tries, len(AGAIN_AFTER_S) - 1)])
        tries += 1


def _entries(client: httpx.Client, job_id: str, after: int) -> Iterator[dict[str, Any]]:
    path = f"{routes.api_creation(job_id)}/log"
    timeout = httpx.Timeout(ASK_TIMEOUT_S, read=SILENT_AT_MOST_S)
    with client.stream("GET", path, params={"after": after}, timeout=timeout) as answer:
        if answer.status_code in AWAY:
            return
        if not answer.is_success:
            answer.read()
            yield {"type": "end", "state": "", "message": str(_object(answer).get("error", {}).get("message", ""))}
            return
        for line in answer.iter_lines():
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except ValueError:  # broken off in the middle of a line, by a proxy that does not say so
                return
            yield entry


def _told(creation: Mapping[str, Any], *, as_json: bool) -> int:
    """Says how the run stands, and the status for it. One that was only asked for is as good as it can be."""
    if as_json:
        out.print_json(json.dumps(creation))
    ending = {"done": Ending.READY, "failed": Ending.FAILED, "cancelled": Ending.CANCELLED}.get(creation["state"])
    name = f"CT {creation['vmid']} {creation['hostname']}"
    if ending is Ending.READY:
        address = (creation["result"] or {}).get("address")
        err.print(f"{name} is ready{f' at {address}' if address else ''}", markup=False, style="bold green")
    elif ending is not None:
        error = creation["error"] or {"message": "", "remedy": ""}
        remedy = f". {error['remedy']}" if error["remedy"] else ""
        err.print(f"{name}: {creation['state']}: {error['message']}{remedy}", markup=False, style="bold red")
    return Ending.READY if ending is None else ending
