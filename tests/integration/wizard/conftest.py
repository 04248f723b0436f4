"""A database, Valkey, two endpoints, and people who are signed in at them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.settings import Settings
from tests.integration.wizard.people import People


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        async with runtime.db.transaction() as tx:
            for name in ("lab", "other"):
                await tx.nodes.add(ProxmoxNode(name=name, host=f"{name}.example", port=8006, verify_tls=True))
        yield runtime


@pytest.fixture
async def people(rt: Runtime) -> People:
    async with rt.db.transaction() as tx:
        endpoints = {node.name: node.id for node in await tx.nodes.list()}

    def sign_in(userid: str, endpoint: str = "lab") -> Session:
        return Session(
            id=uuid4(),
            endpoint_id=endpoints[endpoint],
            endpoint_name=endpoint,
            userid=userid,
            signed_in_at=datetime.now(UTC),
            address="192.0.2.1",
        )

    return sign_in


@pytest.fixture
def ann(people: People) -> Session:
    return people("ann@pve")


@pytest.fixture
def ben(people: People) -> Session:
    return people("ben@pve")
