"""A client of a dashboard's HTTP API with the caller's PVE API token. Submits requests and follows their jobs."""

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

REQUEST_TIMEOUT_S: Final = 60.0
# The API sends at least a blank line every 10 s.
READ_TIMEOUT_S: Final = 45.0
GIVE_UP_AFTER_S: Final = 120.0
RETRY_AFTER_S: Final = (0.5, 1.0, 2.0, 5.0)
ATTEMPTS: Final = 3
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SCHEME: Final = "PVEAPIToken="
# A user name may contain "!", "@" and "=" too.
_TOKEN: Final = re.compile(r".+@[^@!=]+![^!=]+=.*")
STDIN: Final = "-"
UNAVAILABLE: Final = frozenset({502, 503, 504})


class Status(IntEnum):
    """The command's exit status. Typer uses 2 for an invalid command line."""

    DONE = 0
    REFUSED = 1
    FAILED = 3
    CANCELLED = 4
    UNKNOWN = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """Options of all commands that use the API. ``token_file``: a path, ``-`` for stdin, or empty."""

    url: str
    endpoint: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    follow: bool = True
    as_json: bool = False
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A POST to ``path`` that starts a job. ``job_path``: the API's path of a job id.

    ``name``: the key of the container's name in a job. ``done``: makes the message of a finished job.
    """

    path: str
    body: Mapping[str, Any] | None
    job_path: Callable[[str], str]
    name: str
    done: Callable[[Mapping[str, Any]], str]

    def guest_of(self, job: Mapping[str, Any]) -> str:
        return f"CT {job['vmid']} {job[self.name]}"


def submit(options: ApiOptions, request: ApiRequest) -> int:
    """Send the request and follow its job. Returns the exit status. Raises ``InvalidInputError`` before it sends."""
    url = url_of(options)
    with _client(options, url) as client:
        answer = _post(client, request)
        if not answer.is_success:
            return _print_refusal(answer, url)
        job = _job_of(answer, request)
        page = f"{url}{routes.job(job['id'])}"
        err.print(f"{request.guest_of(job)} on {job['node']}: {page}", markup=False)
        if not options.follow:
            return _print_end(job, request, as_json=options.as_json)
        try:
            return _follow(client, job, request, as_json=options.as_json)
        except KeyboardInterrupt:
            err.print(f"The job continues: {page}", markup=False)
            return Status.INTERRUPTED


def get(options: ApiOptions, path: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer to a GET of ``path``. Prints a refusal and returns None.

    Raises ``InvalidInputError`` before it sends anything, ``ServiceUnavailableError``.
    """
    url = url_of(options)
    with _client(options, url) as client:
        try:
            answer = client.get(path, params=query)
        except httpx.TransportError as error:
            raise ServiceUnavailableError(f"{url} does not answer", detail=str(error)) from error
    if answer.is_success:
        return _json_of(answer)
    _print_refusal(answer, url)
    return None


def _client(options: ApiOptions, url: str) -> httpx.Client:
    """A client with the caller's token. Reads the CAs of ``SSL_CERT_FILE`` at once."""
    headers = {"Authorization": f"{SCHEME}{token_of(options)}"}
    params = {"endpoint": options.endpoint} if options.endpoint else {}
    try:
        return httpx.Client(base_url=url, headers=headers, params=params, timeout=REQUEST_TIMEOUT_S)
    except OSError as error:
        raise InvalidInputError({"SSL_CERT_FILE": f"cannot be read: {error}"}) from error


def token_of(options: ApiOptions) -> str:
    """``user@realm!name=uuid`` from the token file, else from the environment."""
    value = read_secret(options.token_file, "--token-file") if options.token_file else options.token
    token = value.strip().removeprefix(SCHEME)
    if not token:
        raise InvalidInputError({"PVE_API_TOKEN": "set it to user@realm!name=uuid, or use --token-file"})
    if not _TOKEN.fullmatch(token) or not token.isascii() or not token.isprintable():
        raise InvalidInputError({"PVE_API_TOKEN": "must have the form user@realm!name=uuid"})
    return token


def url_of(options: ApiOptions) -> str:
    """The dashboard's URL without a trailing slash. Plain http is for this machine only, unless ``plain_http`` is set."""
    try:
        parts = urlsplit(options.url)
        scheme, host = parts.scheme, parts.hostname or ""
        httpx.URL(options.url)
    except (ValueError, httpx.InvalidURL):
        scheme = host = ""
    if scheme not in {"http", "https"} or not host:
        raise InvalidInputError({"--url": "must be a URL such as https://dashboard.example"})
    if scheme == "http" and host not in LOCAL_HOSTS and not options.plain_http:
        raise InvalidInputError({"--url": "plain http sends the token unencrypted: use https, or --plain-http"})
    return options.url.rstrip("/")


def read_secret(source: str, option: str) -> str:
    """The content of a file, or of stdin for ``-``. Raises ``InvalidInputError`` that names ``option``."""
    try:
        text = sys.stdin.read() if source == STDIN else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError({option: f"cannot be read: {error}"}) from error
    return text.rstrip("\r\n")


def _post(client: httpx.Client, request: ApiRequest) -> httpx.Response:
    """POST, and repeat it if the answer is lost. The Idempotency-Key prevents a second job."""
    headers = {"Idempotency-Key": str(uuid4())}
    for wait_s in RETRY_AFTER_S[: ATTEMPTS - 1]:
        try:
            return client.post(request.path, json=request.body, headers=headers)
        except httpx.ConnectError as error:
            raise ServiceUnavailableError(f"{client.base_url} cannot be reached", detail=str(error)) from error
        except httpx.TransportError:
            time.sleep(wait_s)
    try:
        return client.post(request.path, json=request.body, headers=headers)
    except httpx.TransportError as error:
        raise ServiceUnavailableError(f"{client.base_url} does not answer", detail=str(error)) from error


def _print_refusal(answer: httpx.Response, url: str) -> int:
    """Print the error with its fields and findings."""
    problem = _json_of(answer).get("error", {})
    if not isinstance(problem, dict):
        problem = {}
    err.print(
        f"error: {problem.get('message') or f'the dashboard answered {answer.status_code}'}",
        markup=False,
        style="bold red",
    )
    for name, fault in problem.get("fields", {}).items():
        err.print(f"  {name}: {fault}", markup=False)
    for finding in problem.get("findings", ()):
        place = f"{finding['field']}: " if finding["field"] else ""
        remedy = f". {finding['remedy']}" if finding["remedy"] else ""
        err.print(f"  {place}{finding['cause']}{remedy}", markup=False)
    if problem.get("job"):
        err.print(f"  job: {url}{routes.job(problem['job']['id'])}", markup=False)
    if problem.get("reference"):
        err.print(f"  reference {problem['reference']}", markup=False, style="dim")
    return Status.REFUSED


def _json_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError as error:
        raise _unexpected(answer) from error
    return content if isinstance(content, dict) else {}


def _job_of(answer: httpx.Response, request: ApiRequest) -> dict[str, Any]:
    job = _json_of(answer)
    if not job.keys() >= {"id", "vmid", "node", "state", request.name}:
        raise _unexpected(answer)
    return job


def _unexpected(answer: httpx.Response) -> DashboardError:
    return DashboardError("The answer is not from a dashboard", detail=f"{answer.status_code} from {answer.url.host}")


def _follow(client: httpx.Client, job: Mapping[str, Any], request: ApiRequest, *, as_json: bool) -> int:
    """Print the log until the job ends, then its result."""
    path = request.job_path(job["id"])
    end = _log_to_end(client, path, show=not as_json)
    if not end["state"]:
        err.print(f"error: {end['message']}", markup=False, style="bold red")
        return Status.UNKNOWN
    return _print_end(_final_job(client, path, {**job, "state": end["state"]}), request, as_json=as_json)


def _final_job(client: httpx.Client, path: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The finished job; ``known`` if it cannot be read."""
    for wait_s in RETRY_AFTER_S[:2]:
        try:
            answer = client.get(path)
            if answer.is_success:
                return _json_of(answer)
        except httpx.TransportError as error:
            err.print(f"The job cannot be read ({type(error).__name__})", markup=False, style="dim")
        time.sleep(wait_s)
    return {**known, "result": None, "error": None}


def _log_to_end(client: httpx.Client, path: str, *, show: bool) -> dict[str, Any]:
    """Read the log to its last object. Reconnects after the last received line."""
    after, retries, received_at = 0, 0, time.monotonic()
    while True:
        try:
            for entry in _entries(client, path, after):
                retries, received_at = 0, time.monotonic()
                if entry["type"] == "end":
                    return entry
                after = entry["seq"]
                if show:
                    out.print(entry["text"], markup=False)
        except httpx.TransportError as error:
            err.print(f"Connection to the log lost ({type(error).__name__}), reconnecting", markup=False, style="dim")
        if time.monotonic() - received_at > GIVE_UP_AFTER_S:
            return {"state": "", "message": f"{client.base_url} does not answer. The job continues"}
        time.sleep(RETRY_AFTER_S[min(retries, len(RETRY_AFTER_S) - 1)])
        retries += 1


def _entries(client: httpx.Client, path: str, after: int) -> Iterator[dict[str, Any]]:
    timeout = httpx.Timeout(REQUEST_TIMEOUT_S, read=READ_TIMEOUT_S)
    with client.stream("GET", f"{path}/log", params={"after": after}, timeout=timeout) as answer:
        if answer.status_code in UNAVAILABLE:
            return
        if not answer.is_success:
            answer.read()
            yield {"type": "end", "state": "", "message": str(_json_of(answer).get("error", {}).get("message", ""))}
            return
        for line in answer.iter_lines():
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except ValueError:  # a proxy cut the stream in the middle of a line
                return
            yield entry


def _print_end(job: Mapping[str, Any], request: ApiRequest, *, as_json: bool) -> int:
    """Print the job's result. Returns the exit status. An unfinished job counts as done."""
    if as_json:
        out.print_json(json.dumps(job))
    status = {"done": Status.DONE, "failed": Status.FAILED, "cancelled": Status.CANCELLED}.get(job["state"])
    if status is Status.DONE:
        err.print(request.done(job), markup=False, style="bold green")
    elif status is not None:
        error = job["error"] or {"message": "", "remedy": ""}
        remedy = f". {error['remedy']}" if error["remedy"] else ""
        err.print(
            f"{request.guest_of(job)}: {job['state']}: {error['message']}{remedy}", markup=False, style="bold red"
        )
    return Status.DONE if status is None else status
