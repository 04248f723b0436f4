"""Reads templates, their revisions, files and scripts, and the containers that were built from a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.db.models import SourceKind, TemplateRevision, TemplateSource
from lxc_dashboard.db.models.base import storable_text
from lxc_dashboard.db.repositories.templates import TemplateRows
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.identity import ITS_OWN, forget_lost, standings
from lxc_dashboard.services.templates.library.codes import LibraryCode
from lxc_dashboard.services.templates.library.revisions import (
    read_buckets,
    read_config,
    read_file,
    read_file_list,
    read_files,
    read_scripts,
    read_warnings,
)
from lxc_dashboard.services.templates.model import (
    DiscoveryReport,
    FileEntry,
    Refusal,
    RevisionContent,
    RevisionSummary,
    Script,
    SourceSummary,
    TemplateContent,
    TemplateDetail,
    TemplateSummary,
)
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

    ``GET /cluster/resources``. Leaves out a vmid that another guest has now. Marks containers as deleted if they no longer
    exist in PVE. Raises ``NotFoundError``, ``SessionExpiredError``, ``UnreachableError``.
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


MAX_QUERY_CHARS: Final = 200
MAX_QUERY_WORDS: Final = 8


async def list_templates(session: Session, db: DatabaseService) -> list[TemplateSummary]:
    """All templates by name, including missing ones. Raises ``SessionExpiredError``."""
    require_session(session)
    async with db.transaction() as tx:
        return await load_templates(tx)


async def load_templates(tx: Transaction) -> list[TemplateSummary]:
    """``list_templates`` without a session, for commands on the server itself."""
    found = await tx.templates.list()
    sources = {rows.source.id: rows.source for rows in found}
    refused = {source.id: _refused(source) for source in sources.values()}
    return [_summary(rows, refused[rows.source.id]) for rows in found]


def named(found: Sequence[TemplateSummary], name: str, field: str) -> TemplateSummary:
    """Find a template by its name, by ``source/name``, or by its id.

    Raises ``InvalidInputError`` for ``field`` if there is none, or more than one.
    """
    fitting = [one for one in found if name in {one.name, f"{one.source_name}/{one.name}", str(one.id)}]
    if not fitting:
        raise InvalidInputError({field: Message.of(LibraryCode.NO_TEMPLATE, name=name)})
    if len(fitting) > 1:
        choices = [f"{one.source_name}/{one.name}" for one in fitting]
        raise InvalidInputError({field: Message.of(LibraryCode.SEVERAL_TEMPLATES, name=name, choices=choices)})
    return fitting[0]


async def search(session: Session, db: DatabaseService, query: str) -> set[UUID]:
    """The ids of templates that contain every word of ``query``, ignoring case. An empty query finds all.

    Searches name, application, description, tags, packages, and names and texts of scripts. Raises ``InvalidInputError``
    (``query``) above ``MAX_QUERY_CHARS``, ``SessionExpiredError``.
    """
    require_session(session)
    if len(query) > MAX_QUERY_CHARS:
        raise InvalidInputError({"query": Message.of(LibraryCode.TOO_LONG, most=MAX_QUERY_CHARS)})
    async with db.transaction() as tx:
        return await tx.template_uses.search(storable_text(query).split()[:MAX_QUERY_WORDS])


async def list_sources(session: Session, db: DatabaseService) -> list[SourceSummary]:
    """All sources by name, with the result of their last pass. Raises ``SessionExpiredError``."""
    require_session(session)
    async with db.transaction() as tx:
        return [
            SourceSummary(
                id=source.id,
                name=source.name,
                kind=SourceKind(source.kind),
                location=source.location,
                synced_at=source.synced_at,
                report=_report(source),
            )
            for source in await tx.templates.sources()
        ]


async def get_template(
    session: Session, db: DatabaseService, template_id: UUID, number: int | None = None
) -> TemplateDetail:
    """One template with its current revision, or with revision ``number``, which its summary then describes.

    Raises ``NotFoundError``, ``SessionExpiredError``.
    """
    require_session(session)
    async with db.transaction() as tx:
        rows = await tx.templates.get(template_id)
        revisions = await tx.templates.revisions(template_id)
        if number is not None:
            rows = replace(rows, revision=_numbered(revisions, number))
        revision_id = rows.revision.id
        return TemplateDetail(
            summary=_summary(rows, _refused(rows.source)),
            scripts=read_scripts(await tx.templates.scripts(revision_id)),
            files=read_file_list(await tx.templates.file_list(revision_id)),
            buckets=read_buckets(await tx.templates.buckets(revision_id)),
            warnings=read_warnings(rows.revision),
            revisions=tuple(RevisionSummary(r.id, r.number, r.author, r.note, r.created_at) for r in revisions),
        )


async def get_file(session: Session, db: DatabaseService, revision_id: UUID, name: str) -> FileEntry:
    """One file of a revision with its content. Raises ``NotFoundError``, ``SessionExpiredError``."""
    require_session(session)
    async with db.transaction() as tx:
        return read_file(await tx.templates.file(revision_id, name))


async def get_script(session: Session, db: DatabaseService, revision_id: UUID, name: str) -> Script:
    """One script of a revision. Raises ``NotFoundError``, ``SessionExpiredError``."""
    require_session(session)
    async with db.transaction() as tx:
        scripts = read_scripts(await tx.templates.scripts(revision_id))
    found = next((script for script in scripts if script.name == name), None)
    if found is None:
        raise NotFoundError(Message.of(LibraryCode.NO_SCRIPT))
    return found


async def get_revision(session: Session, db: DatabaseService, revision_id: UUID) -> RevisionContent:
    """One revision with its content. Raises ``NotFoundError``, ``SessionExpiredError``."""
    require_session(session)
    async with db.transaction() as tx:
        return await load_revision(tx, revision_id)


async def load_revision(tx: Transaction, revision_id: UUID) -> RevisionContent:
    """``get_revision`` without a session, for a worker. Raises ``NotFoundError``."""
    template, revision = await tx.templates.revision(revision_id)
    return RevisionContent(
        id=revision.id,
        template_id=template.id,
        number=revision.number,
        author=revision.author,
        note=revision.note,
        created_at=revision.created_at,
        content=TemplateContent(
            name=template.name,
            config=read_config(revision),
            scripts=read_scripts(await tx.templates.scripts(revision_id)),
            files=read_files(await tx.templates.files(revision_id)),
            buckets=read_buckets(await tx.templates.buckets(revision_id)),
            warnings=read_warnings(revision),
        ),
    )


def _numbered(revisions: Sequence[TemplateRevision], number: int) -> TemplateRevision:
    found = next((revision for revision in revisions if revision.number == number), None)
    if found is None:
        raise NotFoundError(Message.of(LibraryCode.NO_REVISION))
    return found


def _summary(rows: TemplateRows, refused: Mapping[str, Refusal]) -> TemplateSummary:
    template, revision = rows.template, rows.revision
    return TemplateSummary(
        id=template.id,
        name=template.name,
        description=template.description,
        config=read_config(revision),
        source_name=rows.source.name,
        source_kind=SourceKind(rows.source.kind),
        revision_id=revision.id,
        revision_number=revision.number,
        warnings=len(revision.warnings),
        missing_since=template.missing_since,
        updated_at=template.updated_at,
        refusal=refused.get(template.name),
        **rows.parts,
    )


def _report(source: TemplateSource) -> DiscoveryReport:
    return DiscoveryReport.from_json(source.name, source.report)


def _refused(source: TemplateSource) -> dict[str, Refusal]:
    """The refusals of the last pass, by template name."""
    return {refusal.name: refusal for refusal in reversed(_report(source).refused)}


@dataclass(frozen=True, slots=True)
class Named:
    """``source`` is the source's name."""

    id: UUID
    name: str
    source: str


async def find_named(session: Session, db: DatabaseService, query: str, limit: int) -> list[Named]:
    """At most ``limit`` templates whose name, description or tags contain every word of ``query``, by name.

    Raises ``SessionExpiredError``.
    """
    require_session(session)
    words = storable_text(query).split()[:MAX_QUERY_WORDS]
    async with db.transaction() as tx:
        return [Named(*found) for found in await tx.template_uses.named(words, limit)]
