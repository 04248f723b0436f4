"""The checks of endpoints for ``doctor`` and ``node test``, and their output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from rich.markup import escape

from lxc_dashboard.commands.terminal import out
from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.errors import (
    AuthError,
    DashboardError,
    GuestUnreachableError,
    HostKeyError,
    TlsError,
    UnreachableError,
)
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.pool import SshPool
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.proxmox.endpoint import peer_authority
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.endpoints import endpoint_of

ENDPOINT_TIMEOUT_S: Final = 8
DOOR_TIMEOUT_S: Final = 15.0
ONE_CLUSTER: Final = (
    "register a cluster once: vmids, addresses and jobs are separate for each endpoint and would collide"
)


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it ``found`` and the ``remedy``, empty if there is none."""

    area: str
    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


_COLOUR: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "bold red"}


def show_checks(checks: Sequence[Check], *, as_json: bool) -> int:
    """Print the checks; 1 if any is wrong."""
    wrong = sum(check.verdict is Verdict.WRONG for check in checks)
    if as_json:
        out.print_json(json.dumps({"ok": not wrong, "checks": [asdict(check) for check in checks]}))
        return int(wrong > 0)
    area = ""
    for check in checks:
        if check.area != area:
            area = check.area
            out.print(f"\n[bold]{escape(area)}[/]")
        colour = _COLOUR[check.verdict]
        out.print(f"  [{colour}]{check.verdict:<7}[/] {escape(check.name)}: {escape(check.found)}")
        if check.remedy:
            out.print(f"          -> {escape(check.remedy)}")
    out.print(f"\n{wrong} wrong" if wrong else "\nNothing is wrong")
    return int(wrong > 0)


async def check_endpoint(runtime: Runtime, node: ProxmoxNode, secrets: NodeSecrets) -> list[Check]:
    """Check an endpoint's API without a sign-in, its token, and each of its doors."""
    checks = [await _api(runtime, node)]
    if checks[0].verdict is not Verdict.WRONG and node.tokenid and secrets.token_secret:
        checks.append(await _token(runtime, node, node.tokenid, secrets.token_secret))
    if not node.doors:
        remedy = "without a door, only containers with an SSH server can be entered: lxc-dashboard node add ... --door --ssh-key-file"
        checks.append(Check(_area(node), "SSH door", Verdict.WARNING, "none", remedy))
    for name, door in node.doors.items():
        checks.append(await check_door(runtime.ssh, node, name, door, secrets.ssh_key or ""))
    return checks


async def check_clusters(nodes: Sequence[ProxmoxNode]) -> list[Check]:
    """Warn about each PVE that is registered more than once, judging by its CA."""
    by_authority: dict[str, list[str]] = {}
    for node, authority in zip(nodes, await asyncio.gather(*map(_authority, nodes)), strict=True):
        if authority:
            by_authority.setdefault(authority, []).append(node.name)
    duplicates = [sorted(names) for names in by_authority.values() if len(names) > 1]
    return [
        Check(
            "endpoints", "clusters", Verdict.WARNING, f"{' and '.join(names)} are one PVE or one cluster", ONE_CLUSTER
        )
        for names in duplicates
    ]


async def _authority(node: ProxmoxNode) -> str:
    try:
        return await peer_authority(node.host, node.port)
    except DashboardError:
        return ""


def _area(node: ProxmoxNode) -> str:
    return f"endpoint {node.name}"


async def _api(runtime: Runtime, node: ProxmoxNode) -> Check:
    where = f"API {node.host}:{node.port}"
    try:
        client = runtime.pve.client(endpoint_of(node), get_deadline_s=ENDPOINT_TIMEOUT_S)
        realms = await client.access.domains()
    except DashboardError as error:
        return Check(_area(node), where, Verdict.WRONG, cause_of(error), _remedy(error))
    if not (node.verify_tls or node.fingerprint or node.ca_pem):
        remedy = "any server can pose as PVE: register it with --fingerprint or --ca-file"
        return Check(_area(node), where, Verdict.WARNING, "answers, TLS is not verified", remedy)
    return Check(_area(node), where, Verdict.OK, f"answers, realms {', '.join(realm.realm for realm in realms)}")


async def _token(runtime: Runtime, node: ProxmoxNode, tokenid: str, secret: str) -> Check:
    client = runtime.pve.client(endpoint_of(node), TokenAuth(tokenid, secret), get_deadline_s=ENDPOINT_TIMEOUT_S)
    try:
        version = await client.version()
    except DashboardError as error:
        return Check(_area(node), f"token {tokenid}", Verdict.WRONG, cause_of(error), _remedy(error))
    return Check(_area(node), f"token {tokenid}", Verdict.OK, f"accepted, PVE {version.version}")


async def check_door(ssh: SshPool, node: ProxmoxNode, name: str, door: dict[str, Any], key: str) -> Check:
    """Check that the door accepts the key and that ``pct`` runs, as in a creation."""
    what = f"SSH door {name} {node.ssh_user}@{door.get('host')}:{door.get('port')}"
    if not key:
        remedy = "register it again with --ssh-key-file"
        return Check(_area(node), what, Verdict.WRONG, "the endpoint has no SSH key", remedy)
    address = SshAddress(str(door["host"]), int(door["port"]), node.ssh_user, str(door.get("host_key", "")), key)
    by_root = node.ssh_user == "root"
    command = "command -v pct" if by_root else "sudo -n LC_ALL=C pct list >/dev/null"
    try:
        async with asyncio.timeout(DOOR_TIMEOUT_S), ssh.channel(address, command) as channel:
            status = await channel.exit_status()
    except DashboardError as error:
        return Check(_area(node), what, Verdict.WRONG, cause_of(error), _remedy(error))
    except TimeoutError:
        remedy = "check the node: its cluster filesystem may hang"
        return Check(
            _area(node), what, Verdict.WRONG, f"signed in, but pct did not answer within {DOOR_TIMEOUT_S:g} s", remedy
        )
    if status != 0 and by_root:
        return Check(_area(node), what, Verdict.WRONG, "signed in, but pct is missing", "check that this is a PVE node")
    if status != 0:
        remedy = (
            f"on the node: echo '{node.ssh_user} ALL=(root) NOPASSWD: /usr/sbin/pct' > /etc/sudoers.d/lxc-dashboard"
        )
        return Check(_area(node), what, Verdict.WRONG, "signed in, but sudo pct fails", remedy)
    return Check(_area(node), what, Verdict.OK, "signed in, pct works")


def cause_of(error: DashboardError) -> str:
    return f"{error.user_message} ({error.detail})" if error.detail else error.user_message


def _remedy(error: DashboardError) -> str:
    remedies: tuple[tuple[type[DashboardError], str], ...] = (
        (TlsError, "if PVE's certificate was renewed, compare it on the node and run `lxc-dashboard node add` again"),
        (UnreachableError, "check host and port, the network, and pveproxy on the node"),
        (AuthError, "check the token in PVE: Datacenter, Permissions, API Tokens"),
        (HostKeyError, "if the node was reinstalled, compare its key on it and run `lxc-dashboard node add` again"),
        (GuestUnreachableError, "check host and port, sshd on the node, and the key in its authorized_keys"),
    )
    return next((remedy for kind, remedy in remedies if isinstance(error, kind)), "see the cause in brackets")
