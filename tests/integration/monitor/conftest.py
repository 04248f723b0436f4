"""A sandbox without guests, a runtime over it, and sessions of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode
from tests.integration import endpoints

SignIn = Callable[[Runtime, str], Awaitable[Session]]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with SandboxNode(tmp_path / "sandbox", demo=DemoCluster(), time_scale=0.02, stats_interval_s=10) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with endpoints.runtime_over(settings, sandbox) as runtime:
        yield runtime


@pytest.fixture
def sign_in(sandbox: SandboxNode) -> SignIn:
    async def signed_in(runtime: Runtime, userid: str = "root@pam") -> Session:
        return await endpoints.sign_in(runtime, sandbox, userid)

    return signed_in
