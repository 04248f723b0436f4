"""A database, a folder of templates, and a signed-in user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.engine import create_engine
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings
from pve_sandbox.node import SandboxNode
from tests import trees
from tests.integration import endpoints
from tests.integration.templates.authors import ANN, BEN, VIEWER, SignIn


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[DatabaseService]:
    service = DatabaseService(create_engine(database_url), Keyring.from_hex("a1" * 32))
    yield service
    await service.close()


@pytest.fixture
def session() -> Session:
    return Session(
        id=uuid4(), endpoint_id=uuid4(), endpoint_name="lab", userid="root@pam", signed_in_at=datetime.now(UTC)
    )


@pytest.fixture
def write_tree(tmp_path: Path) -> trees.WriteTree:
    return trees.writer(tmp_path / "templates")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with SandboxNode(tmp_path / "sandbox", time_scale=0.01, stats_interval_s=0) as node:
        yield node


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode) -> AsyncIterator[Runtime]:
    async with endpoints.runtime_over(settings, sandbox) as runtime:
        yield runtime


@pytest.fixture
def sign_in(rt: Runtime, sandbox: SandboxNode) -> SignIn:
    """Sign in a user with a ticket from the sandbox, at the given endpoint or the first one."""

    async def signed_in(userid: str, endpoint_id: UUID | None = None) -> Session:
        return await endpoints.sign_in(rt, sandbox, userid, endpoint_id)

    return signed_in


@pytest.fixture
async def ann(sign_in: SignIn) -> Session:
    return await sign_in(ANN)


@pytest.fixture
async def ben(sign_in: SignIn) -> Session:
    return await sign_in(BEN)


@pytest.fixture
async def viewer(sign_in: SignIn) -> Session:
    """A user who may read but lacks VM.Allocate."""
    return await sign_in(VIEWER)
