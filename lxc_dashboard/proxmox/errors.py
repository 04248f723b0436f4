"""The one place where PVE's answers and the wire's failures become the product's errors."""

from __future__ import annotations

import re
import ssl
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx
import msgspec

from lxc_dashboard.errors import (
    ApiError,
    DashboardError,
    PrivilegeError,
    SessionExpiredError,
    TlsError,
    UnreachableError,
)

MESSAGE_CHARACTERS = 500
SAID_CHARACTERS = 4_000
UNAUTHORIZED = 401
FORBIDDEN = 403
# 595, 596 and 599 are pveproxy's own for a peer or daemon that is down; the others come from a proxy before PVE, or one in a cloud.
UNREACHABLE_STATUSES = frozenset({408, 429, *range(502, 505), *range(520, 525), *range(595, 600)})
SERVER_ERROR = 500
# How PVE refuses every call while pmxcfs restarts: before it looks at what was asked, in the reason phrase alone.
WITHOUT_FILESYSTEM = "RPCEnvironment init request failed"
BUSY = "PVE is too busy to answer"
FILESYSTEM_DOWN = "The cluster filesystem of PVE does not answer"

_PRIVILEGE = re.compile(
    r"\((?P<path>/[^,\s]*), *(?P<privileges>[A-Z][A-Za-z]*\.[A-Za-z.]+(?:[|, ]+[A-Z][A-Za-z]*\.[A-Za-z.]+)*)"
    r"(?: (?P<purpose>[^)]*))?\)"
)
# What PVE says where it says nothing of what is missing.
_BARE_REFUSAL = "Permission check failed"
_NODE_IN_PATH = re.compile(r"^/nodes/([^/?]+)")
# How PVE ends a call that waited for a lock, a storage or a daemon. Whoever only asked may ask again.
_TIMEOUT = re.compile(r"\b(?:got (?:lock request )?timeout|timed out)\b", re.IGNORECASE)
# What its daemons say while the node is short of something, or pmxcfs comes back: all of it passes.
_PASSING = re.compile(
    r"\b(?:Transport endpoint is not connected|Resource temporarily unavailable|Cannot allocate memory"
    r"|Interrupted system call|Connection reset by peer|Broken pipe|ipcc_send_rec)\b",
    re.IGNORECASE,
)
# Refused before anything was done: whoever wanted it may want it again, and a cluster that restarts a node has its quorum soon.
_NO_QUORUM = "cluster not ready - no quorum"
_OBJECT = msgspec.json.Decoder(dict[str, Any])


def from_response(
    *, status: int, reason: str, body: bytes, node: str, path: str, reading: bool = False
) -> DashboardError:
    """The error of an answer that is no success. ``node`` is ``host:port``, ``path`` the API path; ``reading``: of a GET."""
    if status == UNAUTHORIZED:
        # An API call's 401 has an empty body: the cause stands in the reason phrase alone.
        return SessionExpiredError(detail=reason)
    if status in UNREACHABLE_STATUSES:
        return _unreachable_behind(status, reason, node=node, path=path)
    if status == SERVER_ERROR and reason.startswith(WITHOUT_FILESYSTEM):
        return UnreachableError(FILESYSTEM_DOWN, node=node, path=path, detail=f"{node} {path}: {status} {reason}")
    answer = _json_object(body)
    message = _message(answer, reason, body)
    if status == FORBIDDEN:
        return _privilege_error(message)
    passing = _passing(message, reading=reading) if status == SERVER_ERROR else ""
    if passing:
        return UnreachableError(passing, node=node, path=path, detail=f"{node} {path}: {status} {message}")
    return ApiError(status, message, fields=_fields(answer), node=node, path=path)


def _passing(message: str, *, reading: bool) -> str:
    """What to say of a 500 that is worth another try, empty for one that is not."""
    if reading and _TIMEOUT.search(message):
        return BUSY
    if message.startswith(_NO_QUORUM) or (reading and _PASSING.search(message)):
        return f"PVE: {' '.join(message.split())}"
    return ""


def from_transport(error: BaseException, node: str, path: str = "") -> UnreachableError | TlsError:
    """A connection that failed, broke or was too slow; or TLS that did not come about."""
    tls = _tls_cause(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return TlsError(node=node, path=path, detail=tls.verify_message)
    if tls is not None:
        return TlsError("No TLS connection to PVE comes about", node=node, path=path, detail=str(tls))
    cause = str(error) or type(error).__name__
    if isinstance(error, TimeoutError | httpx.TimeoutException | httpcore.TimeoutException):
        return UnreachableError("PVE does not answer in time", node=node, path=path, detail=f"{node} {path}: {cause}")
    return UnreachableError(node=node, path=path, detail=f"{node} {path}: {cause}")


def not_understood(problem: Exception, *, status: int, node: str, path: str) -> ApiError:
    """A success whose body is not what the call asks for."""
    return ApiError(status, f"The answer is not one of PVE: {problem}", node=node, path=path)


def _unreachable_behind(status: int, reason: str, *, node: str, path: str) -> UnreachableError:
    peer = _NODE_IN_PATH.match(path)
    detail = f"{node} {path}: {status} {reason}"
    if peer is None:
        return UnreachableError(node=node, path=path, detail=detail)
    return UnreachableError(f"Node {unquote(peer[1])} does not answer", node=node, path=path, detail=detail)


def _privilege_error(message: str) -> PrivilegeError:
    found = _PRIVILEGE.search(message)
    if found is None:
        said = " ".join(message.split())
        return PrivilegeError("", "", message, said="" if said == _BARE_REFUSAL else said)
    privileges = re.split(r"[|, ]+", found["privileges"])
    return PrivilegeError(" or ".join(privileges), found["path"], message, purpose=found["purpose"] or "")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _message(answer: dict[str, Any], reason: str, body: bytes) -> str:
    said = answer.get("message")
    if isinstance(said, str) and said.strip():
        return said.strip()[:SAID_CHARACTERS]
    # A reverse proxy's error page says less than the reason phrase of its status line.
    said_nothing = bool(answer) or body.lstrip().startswith(b"{")
    return reason.strip() or ("" if said_nothing else body.decode(errors="replace").strip()[:MESSAGE_CHARACTERS])


def _fields(answer: dict[str, Any]) -> dict[str, str]:
    named = answer.get("errors")
    return {str(k): str(v).strip()[:SAID_CHARACTERS] for k, v in named.items()} if isinstance(named, dict) else {}


def _tls_cause(error: BaseException) -> ssl.SSLError | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
