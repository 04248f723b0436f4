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
# 595, 596 and 599 are pveproxy's own for a peer or daemon that is down; 502 to 504 come from a proxy before PVE.
UNREACHABLE_STATUSES = frozenset({502, 503, 504, 595, 596, 597, 598, 599})
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
_TIMEOUT = re.compile(r"\b(?:got timeout|timed out)\b", re.IGNORECASE)
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
    if reading and status == SERVER_ERROR and _TIMEOUT.search(message):
        return UnreachableError(BUSY, node=node, path=path, detail=f"{node} {path}: {status} {message}")
    return ApiError(status, message, fields=_fields(answer), node=node, path=path)


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
