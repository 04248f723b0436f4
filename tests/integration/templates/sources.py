"""Parts of a source that tests check, and passes that a test delays."""

from __future__ import annotations

import asyncio

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.sources import registry
from lxc_dashboard.services.templates.sources.registry import SourceView
from tests.git_servers import HttpsGit

HOOK = "planted-hook-secret-4711"


async def view(rt: Runtime, session: Session, name: str = "team") -> SourceView:
    return next(found for found in await registry.list_sources(rt, session) if found.name == name)


async def audited(rt: Runtime, action: str) -> list[tuple[str, str, str]]:
    async with rt.db.transaction() as tx:
        return [(entry.userid, entry.subject, entry.result) for entry in await tx.audit.list(action=action)]


async def asked_anew(https: HttpsGit, asked: int) -> None:
    """Wait for a request after the first ``asked``. The server holds it."""
    async with asyncio.timeout(60):
        while len(https.requests) == asked:
            await asyncio.sleep(0.01)


def go_on(https: HttpsGit) -> None:
    assert https.hold
    https.hold.set()
    https.hold = None
