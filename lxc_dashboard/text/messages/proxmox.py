"""Texts of errors of an endpoint, its answers or requests to it, by ``ProxmoxCode``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

OF_PROXMOX: Final[Mapping[str, str | WithRemedy]] = {
    "pve.busy": "PVE is too busy to answer",
    "pve.filesystem_down": "The cluster filesystem of PVE does not answer",
    "pve.for_now": "PVE: {said}",
    "pve.timeout": "PVE does not answer in time",
    "pve.not_yet": "PVE has not answered yet",
    "pve.node_silent": "Node {node} does not answer",
    "pve.unexpected_answer": "Unexpected answer from PVE: {problem}",
    "pve.tls_handshake": "The TLS handshake with PVE failed",
    "pve.other_fingerprint": "PVE's TLS certificate does not have the pinned fingerprint",
    "pve.bad_fingerprint": "a SHA-256 fingerprint is 64 hexadecimal digits",
    "pve.bad_ca": "PVE's CA certificate is invalid",
    "pve.bad_upid": "{text} is not a UPID",
    "pve.console_closed": WithRemedy("PVE closed the console before it opened", "Connect again in a moment"),
    "pve.console_refused": "PVE refused this user's sign-in to the console",
    "pve.console_by_token": "PVE opens a console only for a signed-in user, not for an API token",
}
