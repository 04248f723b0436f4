"""For each test file: a sandbox with real guests in this process, a database, and worker processes."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
import pytest_asyncio

from lxc_dashboard.commands.demo.prepare import register_sandbox
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.sources.sync import sync_folder
from lxc_dashboard.settings import Settings, Timing
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.guests import pick_host
from pve_sandbox.node import SandboxNode
from tests.e2e.stack import PASSED_ON, QUICK, Stack
from tests.integration.conftest import LOGICAL_DATABASES, Services
from tests.integration.faults import templates
from tests.integration.faults.gates import GatedHost
from tests.integration.faults.lab import Lab

if TYPE_CHECKING:
    from pve_sandbox.guests.host import GuestHost


@asynccontextmanager
async def open_lab(folder: Path, database_url: str, redis_url: str, timing: Timing) -> AsyncIterator[Lab]:
    """Open a lab that uses these servers. It has no worker until a test starts one."""
    host = await pick_host(folder / "guests")
    if host.kind == "simulated":
        await host.close()
        pytest.skip("this machine allows no real guests")
    (folder / "templates").mkdir()
    templates.write(folder / "templates")
    gates = GatedHost(host)
    environ = environ_of(database_url, redis_url, folder / "templates")
    stack = Stack(folder, environ | {"TIMING": timing.model_dump_json()})
    settings = Settings.load(stack.environ)
    node = SandboxNode(
        folder / "node",
        guests=cast("GuestHost", gates),
        demo=DemoCluster(containers=0),
        time_scale=0.02,
        stats_interval_s=2.0,
        auth_delay_s=0.0,
    )
    async with gates.listen(), node, Runtime.open(settings) as rt:
        await register_sandbox(settings, node.describe())
        lab = Lab(rt, None, node, gates, stack, await revisions(rt, settings))  # type: ignore[arg-type]  # sign_in below sets the session
        try:
            await lab.sign_in()
            yield lab
        finally:
            gates.open_all()
            for worker in lab.workers:
                worker.kill()


def environ_of(database_url: str, redis_url: str, templates_dir: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    return own | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ENCRYPTION_KEY": secrets.token_hex(32),
        "TEMPLATES_DIR": str(templates_dir),
        "PYTHONUNBUFFERED": "1",
    }


async def revisions(rt: Runtime, settings: Settings) -> dict[str, UUID]:
    """The current revisions of the templates below ``TEMPLATES_DIR``, by the template's name."""
    name, root = settings.template_folders()[-1]
    report = await sync_folder(rt.db, name, root)
    assert report.refused == ()
    async with rt.db.transaction() as tx:
        return {rows.template.name: rows.revision.id for rows in await tx.templates.list()}


@pytest.fixture(scope="module")
def timing() -> Timing:
    return QUICK


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(
    services: Services, migrated_template: str, tmp_path_factory: pytest.TempPathFactory, timing: Timing
) -> AsyncIterator[Lab]:
    database_url = services.create_database(migrated_template)
    redis_url = f"{services.embedded.redis_url.rpartition('/')[0]}/{next(services.numbers) % LOGICAL_DATABASES}"
    async with open_lab(tmp_path_factory.mktemp("faults"), database_url, redis_url, timing) as opened:
        yield opened
    services.drop_database(database_url)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def healed(lab: Lab) -> AsyncIterator[None]:
    """Repair after each test what it broke."""
    yield
    lab.sandbox.heal()
    lab.gates.open_all()
