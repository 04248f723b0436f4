"""Containers that exist only in PVE, without guests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.node import SandboxNode
from tests.integration.creation.conftest import pve_alone


@pytest.fixture
async def guests() -> None:
    """No guests: these containers exist only in PVE."""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=2) as node:
        yield node
