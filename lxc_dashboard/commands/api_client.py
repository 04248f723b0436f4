"""A dashboard's HTTP API as commands call it with the caller's own PVE API token, and how they follow a job."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
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
# A user's name may hold "!", "@" and "=" too.
_TOKEN: Final = re.compile(r".+@[^@!=]+![^!=]+=.*")
STDIN: Final = "-"
AWAY: Final = frozenset({502, 503, 504})


class Ending(IntEnum):
    """The command's status. 2 is what typer gives for a command line that it does not understand."""

    DONE = 0
    REFUSED = 1
    FAILED = 3
    CANCELLED = 4
    OUT_OF_SIGHT = 5
    LEFT_RUNNING = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """The options that all these commands share. ``token_file``: a path, ``-`` for stdin, or nothing."""

    url: str
    endpoint: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    follow: bool = True
    as_json: bool = False
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What a command has POSTed to ``path``. ``job_path``: where the API shows the job of an id.

    ``name``: the key of the container's name in a job; ``done``: the sentence for a job that is done.
    """

    path: str
    body: Mapping[str, Any] | None
    job_path: Callable[[str], str]
    name: str
    done: Callable[[Mapping[str, Any]], str]

    def guest_of(self, job: Mapping[str, Any]) -> str:
        return f"CT {job['vmid']} {job[self.name]}"


def carry_out(options: ApiOptions, order: Order) -> int:
    """The status that the command ends with. Raises ``InvalidInputError`` for what is wrong before anything is asked."""
    url = url_of(options)
    with _client(options, url) as client:
        answer = _ask(client, order)
        if not answer.is_success:
            return _refused(answer, url)
        job = _made(answer, order)
        page = f"{url}{routes.job(job['id'])}"
        err.print(f"{order.guest_of(job)} on {job['node']}: {page}", markup=False)
        if not options.follow:
            return _told(job, order, as_json=options.as_json)
        try:
            return _followed(client, job, order, as_json=options.as_json)
        except KeyboardInterrupt:
            err.print(f"The job goes on: {page}", markup=False)
            return Ending.LEFT_RUNNING


def read(options: ApiOptions, path: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a GET of ``path`` answers; None where PVE refused it: the refusal is shown.

    Raises ``InvalidInputError`` for what is wrong before anything is asked, ``ServiceUnavailableError``.
    """
    url = url_of(options)
    with _client(options, url) as client:
        try:
            answer = client.get(path, params=query)
        except httpx.TransportError as error:
            raise ServiceUnavailableError(f"{url} does not answer", detail=str(error)) from error
    if answer.is_success:
        return _object(answer)
    _refused(answer, url)
    return None


def _client(options: ApiOptions, url: str) -> httpx.Client:
    """With the caller's token. The CAs that ``SSL_CERT_FILE`` names are read at once."""
    headers = {"Authorization": f"{SCHEME}{token_of(options)}"}
    params = {"endpoint": options.endpoint} if options.endpoint else {}
    try:
        return httpx.Client(base_url=url, headers=headers, params=params, timeout=ASK_TIMEOUT_S)
    except OSError as error:
        raise InvalidInputError({"SSL_CERT_FILE": f"cannot be read: {error}"}) from error


def token_of(options: ApiOptions) -> str:
    """``user@realm!name=uuid``, from the file where one is named, else from the environment. Never shown."""
    given = read_secret(options.token_file, "--token-file") if options.token_file else options.token
    token = given.strip().removeprefix(SCHEME)
    if not token:
        raise InvalidInputError({"PVE_API_TOKEN": "set it to user@realm!name=uuid, or name a file with --token-file"})
    if not _TOKEN.fullmatch(token) or not token.isascii() or not token.isprintable():
        raise InvalidInputError({"PVE_API_TOKEN": "is not of the form user@realm!name=uuid"})
    return token


def url_of(options: ApiOptions) -> str:
    """Without a slash at the end. Plain http shows the token, so it goes to this machine only unless ``plain_http`` is set."""
    try:
        parts = urlsplit(options.url)
        scheme, host = parts.scheme, parts.hostname or ""
        httpx.URL(options.url)
    except (ValueError, httpx.InvalidURL):
        scheme = host = ""
    if scheme not in {"http", "https"} or not host:
        raise InvalidInputError({"--url": "is not an address such as https://dashboard.example"})
    if scheme == "http" and host not in LOCAL and not options.plain_http:
        raise InvalidInputError({"--url": "plain http would show the token to the network: use https, or --plain-http"})
    return options.url.rstrip("/")


def read_secret(source: str, option: str) -> str:
    """The content of a file, or of stdin for ``-``. Raises ``InvalidInputError`` that names ``option``."""
    try:
        text = sys.stdin.read() if source == STDIN else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError({option: f"cannot be read: {error}"}) from error
    return text.rstrip("\r\n")


def _ask(client: httpx.Client, order: Order) -> httpx.Response:
    """Asks again where the answer was lost: the key makes it one job."""
    headers = {"Idempotency-Key": str(uuid4())}
    for wait_s in AGAIN_AFTER_S[: ASKED_AT_MOST - 1]:
        try:
            return client.post(order.path, json=order.body, headers=headers)
        except httpx.ConnectError as error:
            raise ServiceUnavailableError(f"{client.base_url} cannot be reached", detail=str(error)) from error
        except httpx.TransportError:
            time.sleep(wait_s)
    try:
        return client.post(order.path, json=order.body, headers=headers)
    except httpx.TransportError as error:
        raise ServiceUnavailableError(f"{client.base_url} does not answer", detail=str(error)) from error


def _refused(answer: httpx.Response, url: str) -> int:
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
    if problem.get("job"):
        err.print(f"  job: {url}{routes.job(problem['job']['id'])}", markup=False)
    if problem.get("reference"):
        err.print(f"  reference {problem['reference']}", markup=False, style="dim")
    return Ending.REFUSED


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise _stranger(answer) from error
    return found if isinstance(found, dict) else {}


def _made(answer: httpx.Response, order: Order) -> dict[str, Any]:
    made = _object(answer)
    if not made.keys() >= {"id", "vmid", "node", "state", order.name}:
        raise _stranger(answer)
    return made


def _stranger(answer: httpx.Response) -> DashboardError:
    return DashboardError("No dashboard answers there", detail=f"{answer.status_code} from {answer.url.host}")


def _followed(client: httpx.Client, job: Mapping[str, Any], order: Order, *, as_json: bool) -> int:
    """Prints the log until the job ends, and says how."""
    path = order.job_path(job["id"])
    end = _log_to_end(client, path, show=not as_json)
    if not end["state"]:
        err.print(f"error: {end['message']}", markup=False, style="bold red")
        return Ending.OUT_OF_SIGHT
    return _told(_ended(client, path, {**job, "state": end["state"]}), order, as_json=as_json)


def _ended(client: httpx.Client, path: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job as it ended; ``known`` where it cannot be read."""
    for wait_s in AGAIN_AFTER_S[:2]:
        try:
            answer = client.get(path)
            if answer.is_success:
                return _object(answer)
        except httpx.TransportError as error:
            err.print(f"The job cannot be read ({type(error).__name__})", markup=False, style="dim")
        time.sleep(wait_s)
    return {**known, "result": None, "error": None}


def _log_to_end(client: httpx.Client, path: str, *, show: bool) -> dict[str, Any]:
    """The stream's last object. A stream that breaks off is taken up after the last line that came."""
    after, tries, seen_at = 0, 0, time.monotonic()
    while True:
        try:
            for entry in _entries(client, path, after):
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


def _entries(client: httpx.Client, path: str, after: int) -> Iterator[dict[str, Any]]:
    timeout = httpx.Timeout(ASK_TIMEOUT_S, read=SILENT_AT_MOST_S)
    with client.stream("GET", f"{path}/log", params={"after": after}, timeout=timeout) as answer:
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


def _told(job: Mapping[str, Any], order: Order, *, as_json: bool) -> int:
    """Says how the job stands. Returns the status; a job that has not ended is as good as it can be."""
    if as_json:
        out.print_json(json.dumps(job))
    ending = {"done": Ending.DONE, "failed": Ending.FAILED, "cancelled": Ending.CANCELLED}.get(job["state"])
    if ending is Ending.DONE:
        err.print(order.done(job), markup=False, style="bold green")
    elif ending is not None:
        error = job["error"] or {"message": "", "remedy": ""}
        remedy = f". {error['remedy']}" if error["remedy"] else ""
        err.print(f"{order.guest_of(job)}: {job['state']}: {error['message']}{remedy}", markup=False, style="bold red")
    return Ending.DONE if ending is None else ending
