"""What became of a template: its revisions against each other, and the containers that were built from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.db.models import FilePolicy, TemplateRevision
from lxc_dashboard.db.repositories.templates import FileRow
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.identity import ITS_OWN, forget_lost, standings
from lxc_dashboard.services.templates.diff import MAX_TEXT_BYTES, Difference, FileSide, Side, compare_sides
from lxc_dashboard.services.templates.draft import DraftFile
from lxc_dashboard.services.templates.rights import require_session
from lxc_dashboard.services.templates.rows import read_buckets, read_config, read_scripts


@dataclass(frozen=True, slots=True)
class BuiltContainer:
    """A container that was built from revision ``revision_number``; ``older``: the template has a newer one. ``status`` as PVE says.

    ``built_as``: what it was called then, where it was renamed since.
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


async def difference(
    session: Session, db: DatabaseService, template_id: UUID, old_number: int, new_number: int
) -> Difference:
    """What leads from one revision to the other: for containers built from an older one, what is new in the current.

    Raises ``NotFoundError``, ``SessionExpiredError``.
    """
    require_session(session)
    async with db.transaction() as tx:
        sides = await load_sides(tx, template_id, old_number, new_number)
    return await asyncio.to_thread(compare_sides, *sides)


async def containers(rt: Runtime, session: Session, template_id: UUID) -> list[BuiltContainer]:
    """Those of the session's endpoint that PVE lists for this user (``GET /cluster/resources``), by vmid.

    What carries its vmid by now and is another guest is not among them; what PVE has no more is marked deleted.

    Raises ``NotFoundError``, ``SessionExpiredError``, ``UnreachableError``.
    """
    require_session(session)
    async with rt.db.transaction() as tx:
        current = (await tx.templates.get(template_id)).template.revision_number
        built = await tx.template_uses.containers(template_id, session.endpoint_id)
        known = await tx.monitor.known(session.endpoint_id, [row.container.id for row in built])
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
    """How many containers of the session's endpoint were built from each template; one without any has no entry."""
    require_session(session)
    async with db.transaction() as tx:
        return await tx.template_uses.counts(session.endpoint_id)


async def load_sides(tx: Transaction, template_id: UUID, old_number: int, new_number: int) -> tuple[Side, Side]:
    """Two revisions to be compared; of their files only those that differ are read. Raises ``NotFoundError``."""
    old = await tx.templates.numbered(template_id, old_number)
    new = await tx.templates.numbered(template_id, new_number)
    sides = await load_side(tx, old), await load_side(tx, new)
    hashes: list[Mapping[str, str]] = [{side.file.name: side.file.sha256 for side in of.files} for of in sides]
    same = {name for name, sha256 in hashes[0].items() if hashes[1].get(name) == sha256}
    return await _with_contents(tx, old.id, sides[0], same), await _with_contents(tx, new.id, sides[1], same)


async def load_side(tx: Transaction, revision: TemplateRevision) -> Side:
    """A revision without its files' contents."""
    return Side(
        config=read_config(revision),
        scripts=read_scripts(await tx.templates.scripts(revision.id)),
        buckets=read_buckets(await tx.templates.buckets(revision.id)),
        files=[FileSide(_file(row)) for row in sorted(await tx.templates.file_list(revision.id), key=lambda r: r.name)],
    )


async def _with_contents(tx: Transaction, revision_id: UUID, side: Side, same: set[str]) -> Side:
    wanted = [of.file.name for of in side.files if of.file.name not in same and of.file.size <= MAX_TEXT_BYTES]
    contents = await tx.templates.file_contents(revision_id, wanted)
    return replace(side, files=[replace(of, content=contents.get(of.file.name)) for of in side.files])


def _file(row: FileRow) -> DraftFile:
    return DraftFile(row.name, row.target_dir, FilePolicy(row.policy), row.mode, row.owner, row.sha256, row.size)
