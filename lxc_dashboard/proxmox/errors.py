"""Translate PVE's refusals and connection failures into the product's errors. Nothing above translates again."""

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
    ErrorCode,
    PrivilegeError,
    SessionExpiredError,
    TlsError,
    UnreachableError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.codes import ProxmoxCode

BODY_EXCERPT_CHARS = 500
MESSAGE_CHARS = 4_000
UNAUTHORIZED = 401
FORBIDDEN = 403
# pveproxy sends 595, 596 and 599 for a node or daemon that is down. Proxies in front of PVE send the others.
UNREACHABLE_STATUSES = frozenset({408, 429, *range(502, 505), *range(520, 525), *range(595, 600)})
SERVER_ERROR = 500
# PVE refuses every call with this reason phrase while pmxcfs restarts.
_WITHOUT_FILESYSTEM = re.compile(r"RPCEnvironment init request failed")

_PRIVILEGE = re.compile(
    r"\((?P<path>/[^,\s]*), *(?P<privileges>[A-Z][A-Za-z]*\.[A-Za-z.]+(?:[|, ]+[A-Z][A-Za-z]*\.[A-Za-z.]+)*)"
    r"(?: (?P<purpose>[^)]*))?\)"
)
# PVE's message where it names no privilege.
_BARE_REFUSAL = re.compile(r"Permission check failed")
_NODE_IN_PATH = re.compile(r"^/nodes/([^/?]+)")
# How PVE ends a call that waited too long for a lock, a storage or a daemon. A GET may be retried.
_TIMEOUT = re.compile(r"\b(?:got (?:lock request )?timeout|timed out)\b", re.IGNORECASE)
# What PVE's daemons report while the node lacks resources or pmxcfs restarts. All of it is temporary.
_PASSING = re.compile(
    r"\b(?:Transport endpoint is not connected|Resource temporarily unavailable|Cannot allocate memory"
    r"|Interrupted system call|Connection reset by peer|Broken pipe|ipcc_send_rec)\b",
    re.IGNORECASE,
)
# PVE refuses this before it does anything, so a write may be retried: quorum returns after a restart.
_NO_QUORUM = re.compile(r"cluster not ready - no quorum")
_OBJECT = msgspec.json.Decoder(dict[str, Any])


def from_response(
    *, status: int, reason: str, body: bytes, node: str, path: str, reading: bool = False
) -> DashboardError:
    """Return the error for an answer with a status other than 2xx.

    ``node`` is ``host:port``, ``path`` the API path. ``reading``: the request was a GET.
    """
    if status == UNAUTHORIZED:
        # The body of a 401 is empty. Only the reason phrase has the cause.
        return SessionExpiredError(detail=reason)
    if status in UNREACHABLE_STATUSES:
        return _unreachable_behind(status, reason, node=node, path=path)
    if status == SERVER_ERROR and _WITHOUT_FILESYSTEM.match(reason):
        down = Message.of(ProxmoxCode.FILESYSTEM_DOWN)
        return UnreachableError(down, node=node, path=path, detail=f"{node} {path}: {status} {reason}")
    answer = _json_object(body)
    message = _message(answer, reason, body)
    if status == FORBIDDEN:
        return _privilege_error(message)
    passing = _passing(message, reading=reading) if status == SERVER_ERROR else None
    if passing is not None:
        return UnreachableError(passing, node=node, path=path, detail=f"{node} {path}: {status} {message}")
    return ApiError(status, message, fields=_fields(answer), node=node, path=path)


def _passing(message: str, *, reading: bool) -> Message | None:
    """Return the reason of a 500 that may be retried, None for any other."""
    if reading and _TIMEOUT.search(message):
        return Message.of(ProxmoxCode.BUSY)
    if _NO_QUORUM.match(message) or (reading and _PASSING.search(message)):
        return Message.of(ProxmoxCode.FOR_NOW, said=" ".join(message.split()))
    return None


def from_transport(error: BaseException, node: str, path: str = "") -> UnreachableError | TlsError:
    """Return the error for a failed, broken or slow connection, or for a failed TLS handshake."""
    tls = _tls_cause(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return TlsError(node=node, path=path, detail=tls.verify_message)
    if tls is not None:
        return TlsError(Message.of(ProxmoxCode.TLS_HANDSHAKE), node=node, path=path, detail=str(tls))
    cause = str(error) or type(error).__name__
    slow = isinstance(error, TimeoutError | httpx.TimeoutException | httpcore.TimeoutException)
    reason = Message.of(ProxmoxCode.TIMEOUT if slow else ErrorCode.UNREACHABLE)
    return UnreachableError(reason, node=node, path=path, detail=f"{node} {path}: {cause}")


def unexpected_answer(problem: Exception, *, status: int, node: str, path: str) -> ApiError:
    """Return the error for a successful answer with a body that the call does not expect."""
    reason = Message.of(ProxmoxCode.UNEXPECTED_ANSWER, problem=str(problem))
    return ApiError(status, reason, node=node, path=path)


def _unreachable_behind(status: int, reason: str, *, node: str, path: str) -> UnreachableError:
    peer = _NODE_IN_PATH.match(path)
    detail = f"{node} {path}: {status} {reason}"
    if peer is None:
        return UnreachableError(node=node, path=path, detail=detail)
    silent = Message.of(ProxmoxCode.NODE_SILENT, node=unquote(peer[1]))
    return UnreachableError(silent, node=node, path=path, detail=detail)


def _privilege_error(message: str) -> PrivilegeError:
    match = _PRIVILEGE.search(message)
    if match is None:
        sentence = " ".join(message.split())
        return PrivilegeError("", "", message, pve_message="" if _BARE_REFUSAL.fullmatch(sentence) else sentence)
    privileges = re.split(r"[|, ]+", match["privileges"])
    return PrivilegeError(" or ".join(privileges), match["path"], message, purpose=match["purpose"] or "")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _message(answer: dict[str, Any], reason: str, body: bytes) -> str:
    message = answer.get("message")
    if isinstance(message, str) and message.strip():
        return message.strip()[:MESSAGE_CHARS]
    # The error page of a reverse proxy says less than the reason phrase.
    is_json = bool(answer) or body.lstrip().startswith(b"{")
    return reason.strip() or ("" if is_json else body.decode(errors="replace").strip()[:BODY_EXCERPT_CHARS])


def _fields(answer: dict[str, Any]) -> dict[str, str]:
    errors = answer.get("errors")
    return {str(k): str(v).strip()[:MESSAGE_CHARS] for k, v in errors.items()} if isinstance(errors, dict) else {}


def _tls_cause(error: BaseException) -> ssl.SSLError | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
