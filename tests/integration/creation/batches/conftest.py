"""Containers that exist in PVE alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lxc_dashboard.sandbox.node import SandboxNode
from lxc_dashboard.sandbox.seed import Seed


@pytest.fixture
async def guests() -> None:
    """None: these containers exist in PVE alone."""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    seed = Seed(containers=2)
    async with SandboxNode(tmp_path / "node", seed=seed, time_scale=0.01, stats_interval_s=1, auth_delay_s=0) as node:
        yield node
