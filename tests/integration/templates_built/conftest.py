"""One sandbox whose guests have systemd, with jobs for all shipped templates at the same time."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from lxc_dashboard.commands.demo.prepare import register_sandbox
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import GuestError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.creation.form.spec import ExtraPackage
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.services.templates.sources.sync import sync_folder
from lxc_dashboard.settings import Settings
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.guests import pick_host
from pve_sandbox.guests.host import GuestHost, GuestSpec, run_in
from pve_sandbox.node import SandboxNode
from tests.e2e.stack import PASSED_ON, Stack
from tests.integration.conftest import LOGICAL_DATABASES, Services
from tests.integration.templates_built.lab import Lab, connect, sign_in

TRIAL_VMID = 7000
FIRST_VMID = 7001
TRIAL_S = 90
WIREGUARD_SCRIPTS = ("01-kernel.sh", "70-start.sh", "90-verify.sh")
PACKAGES, UNKNOWN_PACKAGE = "packages of three managers", "a package that nobody knows"
SETTINGS_OF_WIREGUARD = "wireguard, but for what needs the kernel's part"


async def open_host(folder: Path) -> GuestHost:
    """A host for guests with systemd. Skips the test with the reason if this machine cannot have them."""
    try:
        return await pick_host(folder, "systemd")
    except GuestError as error:
        pytest.skip(f"no guest with systemd on this machine: {error.detail or error.user_message}")


async def look_outside(host: GuestHost) -> bool:
    """Skip the test if guests cannot reach a package mirror. Return whether the kernel has WireGuard."""
    await host.create(GuestSpec(TRIAL_VMID, "trial"))
    await host.start(TRIAL_VMID)
    update = ["apt-get", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=10", "--error-on=any", "update"]
    try:
        status, output = await run_in(host, TRIAL_VMID, update, timeout_s=TRIAL_S)
    except TimeoutError:
        status, output = 1, b"apt-get update did not end"
    if status:
        pytest.skip(f"packages cannot be reached from a guest here: {output.decode(errors='replace')[-300:]}")
    status, _ = await run_in(host, TRIAL_VMID, ["ip", "link", "add", "name", "trial0", "type", "wireguard"])
    await host.destroy(TRIAL_VMID)
    return status == 0


def environ_of(services: Services, database_url: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    redis_url = f"{services.embedded.redis_url.rpartition('/')[0]}/{next(services.numbers) % LOGICAL_DATABASES}"
    return own | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ENCRYPTION_KEY": secrets.token_hex(32),
        "PYTHONUNBUFFERED": "1",
    }


@asynccontextmanager
async def open_lab(folder: Path, host: GuestHost, environ: dict[str, str]) -> AsyncIterator[Lab]:
    """A lab with a running worker and no jobs yet."""
    settings = Settings.load(environ)
    name, root = settings.template_folders()[0]
    node = SandboxNode(
        folder / "node",
        guests=host,
        demo=DemoCluster(containers=0),
        time_scale=0.02,
        stats_interval_s=30.0,
        auth_delay_s=0.0,
    )
    stack = Stack(folder, environ)
    async with node, Runtime.open(settings) as rt, connect(node) as ssh:
        await register_sandbox(settings, node.describe())
        assert (await sync_folder(rt.db, name, root)).refused == ()
        async with rt.db.transaction() as tx:
            revisions = {rows.template.name: rows.revision.id for rows in await tx.templates.list()}
        contents = {content.name: content for content in discover(root).found}
        lab = Lab(rt, await sign_in(rt, node), node, stack, ssh, contents, revisions)
        worker = lab.start_worker()
        try:
            yield lab
        finally:
            worker.kill()


async def request_all(lab: Lab) -> None:
    names = sorted(lab.contents)
    for vmid, name in enumerate(names, FIRST_VMID):
        lab.jobs[name] = await lab.request(name, vmid)
    vmid = FIRST_VMID + len(names)
    lab.jobs[SETTINGS_OF_WIREGUARD] = await lab.request("wireguard", vmid, without=WIREGUARD_SCRIPTS)
    apt = [ExtraPackage(PackageManager.APT, tool) for tool in ("python3-pip", "jq", "npm")]
    pinned = (ExtraPackage(PackageManager.NPM, "is-number@7.0.0"), ExtraPackage(PackageManager.PIP, "iniconfig==2.0.0"))
    await lab.request_packages(PACKAGES, vmid + 1, *apt, *pinned)
    await lab.request_packages(UNKNOWN_PACKAGE, vmid + 2, ExtraPackage(PackageManager.APT, "postgres-common"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(
    services: Services, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lab]:
    folder = tmp_path_factory.mktemp("built")
    host = await open_host(folder / "guests")
    try:
        has_wireguard = await look_outside(host)
        database_url = services.create_database(migrated_template)
        async with open_lab(folder, host, environ_of(services, database_url)) as opened:
            opened.has_wireguard = has_wireguard
            await request_all(opened)
            yield opened
        services.drop_database(database_url)
    finally:
        await host.close()
