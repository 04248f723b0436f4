"""Containers deleted in PVE are forgotten without an open page, even with credentials of few privileges."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.services.auth import acting, sessions
from lxc_dashboard.services.monitor.forgetting import forget_due
from pve_sandbox.api.access.directory import Token
from tests.integration.monitor.test_identity import Made

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from pve_sandbox.node import SandboxNode
    from tests.integration.monitor.conftest import SignIn


@pytest.fixture
async def session(rt: Runtime, sign_in: SignIn) -> Session:
    return await sign_in(rt, "root@pam")


@pytest.fixture
async def made(rt: Runtime, session: Session) -> Made:
    return await Made(rt, session, await acting.client(rt, session)).make()


def blind(sandbox: SandboxNode, userid: str) -> None:
    sandbox.api.directory.acl[:] = [entry for entry in sandbox.api.directory.acl if entry.ugid != userid]
    sandbox.api.directory.changed()


async def test_what_is_there_stays_and_what_is_deleted_is_forgotten(rt: Runtime, made: Made) -> None:
    assert await forget_due(rt) == 0
    assert not await made.is_marked_deleted()
    await made.delete()
    assert await forget_due(rt) == 1
    assert await made.is_marked_deleted()


async def test_who_may_see_nothing_has_only_what_is_deleted_forgotten(
    rt: Runtime, session: Session, made: Made, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    await sign_in(rt, "viewer@pve")
    await sessions.end(rt, session)
    blind(sandbox, "viewer@pve")
    assert await forget_due(rt) == 0
    assert not await made.is_marked_deleted()
    await made.delete()
    assert await forget_due(rt) == 1
    assert await made.is_marked_deleted()


async def test_the_token_of_the_endpoint_serves_where_nobody_is_signed_in(
    rt: Runtime, session: Session, made: Made, sandbox: SandboxNode
) -> None:
    sandbox.api.directory.users["root@pam"].tokens["dash"] = Token(secret := str(uuid4()), privsep=True)
    async with rt.db.transaction() as tx:
        await tx.nodes.update(session.endpoint_id, tokenid="root@pam!dash", secrets=NodeSecrets(token_secret=secret))
    await made.delete()
    await sessions.end(rt, session)
    assert await forget_due(rt) == 1
    assert await made.is_marked_deleted()


async def test_a_token_that_pve_refuses_gives_way_to_a_session(rt: Runtime, session: Session, made: Made) -> None:
    wrong = NodeSecrets(token_secret=str(uuid4()))
    async with rt.db.transaction() as tx:
        await tx.nodes.update(session.endpoint_id, tokenid="root@pam!gone", secrets=wrong)
    await made.delete()
    assert await forget_due(rt) == 1


async def test_where_nobody_is_signed_in_pve_is_not_asked(
    rt: Runtime, session: Session, made: Made, sandbox: SandboxNode
) -> None:
    await made.delete()
    await sessions.end(rt, session)
    asked = len(sandbox.api.requests)
    assert await forget_due(rt) == 0
    assert len(sandbox.api.requests) == asked


async def test_a_container_that_a_job_works_on_is_not_forgotten(rt: Runtime, session: Session) -> None:
    made = await Made(rt, session, await acting.client(rt, session)).make(finished=False)
    await made.delete()
    assert await forget_due(rt) == 0
    assert not await made.is_marked_deleted()
