"""The containers that were built from a template, and their number for each template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.identity import ITS_OWN, forget_lost, standings
from lxc_dashboard.services.templates.rights import require_session


@dataclass(frozen=True, slots=True)
class BuiltContainer:
    """A container built from revision ``revision_number``; ``older``: the template has a newer one. ``status`` is PVE's.

    ``built_as``: its former name, if it was renamed.
    """

    id: UUID
    vmid: int
    hostname: str
    node: str
    status: str
    revision_number: int
    older: bool
    created_at: datetime
    built_as: str = ""


async def containers(rt: Runtime, session: Session, template_id: UUID) -> list[BuiltContainer]:
    """The template's containers on the session's endpoint that PVE lists for this user, by vmid.

    ``GET /cluster/resources``. Leaves out other guests that have taken over a vmid, and marks containers that PVE does not have
    any longer as deleted. Raises ``NotFoundError``, ``SessionExpiredError``, ``UnreachableError``.
    """
    require_session(session)
    async with rt.db.transaction() as tx:
        current = (await tx.templates.get(template_id)).template.revision_number
        built = await tx.template_uses.containers(template_id, session.endpoint_id)
        known = await tx.containers.known(session.endpoint_id, [row.container.id for row in built])
    if not built:
        return []
    client = await acting.client(rt, session)
    resources = await client.cluster.resources()
    found = await standings(client, known, resources)
    await forget_lost(rt.db, known, found)
    listed = {guest.vmid: guest for guest in resources if guest.type == "lxc"}
    return [
        BuiltContainer(
            id=row.container.id,
            vmid=row.container.vmid,
            hostname=guest.name or row.container.hostname,
            node=guest.node,
            status=guest.status,
            revision_number=row.revision_number,
            older=row.revision_number < current,
            created_at=row.container.created_at,
            built_as="" if guest.name in {"", row.container.hostname} else row.container.hostname,
        )
        for row in built
        if (guest := listed.get(row.container.vmid)) and found.get(row.container.id) in ITS_OWN
    ]


async def counts(session: Session, db: DatabaseService) -> dict[UUID, int]:
    """The number of containers on the session's endpoint for each template that has any."""
    require_session(session)
    async with db.transaction() as tx:
        return await tx.template_uses.counts(session.endpoint_id)
