from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import stamina

from lxc_dashboard.proxmox import ProxmoxPool
from tests.unit.proxmox.replay import Identity, make_identity


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="session")
def other_identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("other"))


@pytest.fixture
async def pool() -> AsyncIterator[ProxmoxPool]:
    async with ProxmoxPool() as pool:
        yield pool


@pytest.fixture(autouse=True)
def retries_without_waiting() -> Iterator[None]:
    """Keep the number of retries, without the pauses."""
    stamina.set_testing(True, attempts=100, cap=True)
    yield
    stamina.set_testing(False)
