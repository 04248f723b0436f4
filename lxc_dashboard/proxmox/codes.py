"""Codes for faults of an endpoint, its answers or our requests, where PVE gives no reason."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class ProxmoxCode(MessageCode):
    BUSY = "pve.busy"
    FILESYSTEM_DOWN = "pve.filesystem_down"
    FOR_NOW = "pve.for_now"
    TIMEOUT = "pve.timeout"
    NOT_YET = "pve.not_yet"
    NODE_SILENT = "pve.node_silent"
    UNEXPECTED_ANSWER = "pve.unexpected_answer"
    TLS_HANDSHAKE = "pve.tls_handshake"
    OTHER_FINGERPRINT = "pve.other_fingerprint"
    BAD_FINGERPRINT = "pve.bad_fingerprint"
    BAD_CA = "pve.bad_ca"
    BAD_UPID = "pve.bad_upid"
    CONSOLE_CLOSED = "pve.console_closed"
    CONSOLE_REFUSED = "pve.console_refused"
    CONSOLE_BY_TOKEN = "pve.console_by_token"  # noqa: S105 a code
