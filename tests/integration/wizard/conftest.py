"""A database, Valkey, two endpoints (one is a sandbox node) and users who are signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests.integration import endpoints
from tests.integration.wizard.people import People


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with SandboxNode(tmp_path / "sandbox", time_scale=0.01, stats_interval_s=0) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with endpoints.runtime_over(settings, sandbox) as runtime:
        async with runtime.db.transaction() as tx:
            await tx.nodes.add(ProxmoxNode(name="other", host="other.example", port=8006, verify_tls=True))
        yield runtime


@pytest.fixture
async def people(rt: Runtime) -> People:
    async with rt.db.transaction() as tx:
        known = {node.name: node.id for node in await tx.nodes.list()}

    def sign_in(userid: str, endpoint: str = "sandbox") -> Session:
        return Session(
            id=uuid4(),
            endpoint_id=known[endpoint],
            endpoint_name=endpoint,
            userid=userid,
            signed_in_at=datetime.now(UTC),
            address="192.0.2.1",
        )

    return sign_in


@pytest.fixture
async def ann(rt: Runtime, sandbox: SandboxNode) -> Session:
    """May create containers."""
    return await endpoints.sign_in(rt, sandbox, "operator@pve")


@pytest.fixture
async def ben(rt: Runtime, sandbox: SandboxNode) -> Session:
    """May also create containers."""
    return await endpoints.sign_in(rt, sandbox, "root@pam")


@pytest.fixture
async def eve(rt: Runtime, sandbox: SandboxNode) -> Session:
    """May read, but not create."""
    return await endpoints.sign_in(rt, sandbox, "viewer@pve")
