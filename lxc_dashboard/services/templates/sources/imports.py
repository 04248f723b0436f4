"""Exports templates to an archive and imports them from one, into the source ``imported``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import AuditResult, SourceKind, Template, TemplateRevision, TemplateSource, now
from lxc_dashboard.db.repositories.templates import RevisionRows
from lxc_dashboard.errors import InvalidInputError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format import checks
from lxc_dashboard.services.templates.library.catalog import load_revision
from lxc_dashboard.services.templates.library.revisions import revision_rows, warnings_json
from lxc_dashboard.services.templates.model import DiscoveryReport, Refusal, TemplateContent
from lxc_dashboard.services.templates.sources.archive import ArchiveKind, export, read
from lxc_dashboard.services.templates.sources.codes import ArchiveCode
from lxc_dashboard.services.templates.sources.passes import Requester
from lxc_dashboard.services.templates.sources.unpacking import MAX_UNPACKED_BYTES, shown

ACTION: Final = "template.import"
MAX_EXPORTED: Final = 1_000
MAX_REFUSED_IN_AUDIT: Final = 20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Exported:
    filename: str
    data: bytes


async def export_templates(rt: Runtime, session: Session, ids: Sequence[UUID], kind: ArchiveKind) -> Exported:
    """Pack the current revisions of these templates into one archive.

    Raises ``InvalidInputError`` (``id``) for no, too many or too large templates and for two of one name, ``NotFoundError``,
    ``SessionExpiredError``.
    """
    rights.require_session(session)
    template_ids = list(dict.fromkeys(ids))
    if not 0 < len(template_ids) <= MAX_EXPORTED:
        raise InvalidInputError({"id": Message.of(ArchiveCode.EXPORT_COUNT, most=f"{MAX_EXPORTED:,}")})
    async with rt.db.transaction() as tx:
        revision_ids = [(await tx.templates.get(template_id)).revision.id for template_id in template_ids]
        if await tx.templates.bytes_of(revision_ids) > MAX_UNPACKED_BYTES:
            raise _unfit(Message.of(ArchiveCode.EXPORT_TOO_MUCH, mib=MAX_UNPACKED_BYTES >> 20))
    contents: list[TemplateContent] = []
    for revision_id in revision_ids:  # a revision never changes, so one transaction each is enough
        async with rt.db.transaction() as tx:
            contents.append((await load_revision(tx, revision_id)).content)
    try:
        data = await asyncio.to_thread(export, contents, kind)
    except TemplateError as error:
        raise _unfit(error.reason) from error
    return Exported(f"{contents[0].name if len(contents) == 1 else 'templates'}.{kind}", data)


def _unfit(why: Message) -> InvalidInputError:
    return InvalidInputError({"id": why}, why)


async def import_templates(rt: Runtime, session: Session, data: bytes, filename: str) -> DiscoveryReport:
    """Store the templates of a zip or tar.gz. An existing template gets a revision if its content differs.

    An archive that is refused as a whole is in the report's ``refused``. Raises ``PrivilegeError``, ``SessionExpiredError``.
    """
    try:
        async with rights.authored(rt, session, ACTION, _name(filename)):
            return await import_as(rt, Requester.of(session), data, filename)
    except TemplateError as error:
        return DiscoveryReport(SourceKind.IMPORTED.value, refused=(Refusal(error.file, error.line, error.why),))


async def import_as(rt: Runtime, requester: Requester, data: bytes, filename: str) -> DiscoveryReport:
    """``import_templates`` without a privilege check, for commands on the server itself.

    Raises ``TemplateError`` for an archive that is refused as a whole.
    """
    result = await asyncio.to_thread(read, data, filename)
    found = await checks.checked_each(result.found)
    async with rt.db.transaction() as tx:
        source = await tx.templates.lock_source((await tx.templates.own_source(SourceKind.IMPORTED)).id)
        known = {template.name: (template, current) for template, current in await tx.templates.of_source(source.id)}
        changes = _Changes(source, known, requester.userid, f"Imported from {_name(filename)}")
        for content in found:
            changes.found(content)
        await tx.templates.add(changes.templates)
        await tx.templates.add_revisions(changes.revisions)
        report = changes.report()
        # Stored without ``refused``: errors of one archive do not describe the source.
        source.report, source.synced_at = report.to_json(), changes.at
        report = replace(report, refused=result.refused)
        await _audit(tx, requester, _name(filename), report)
    log.info("templates imported", added=report.added, changed=report.changed, refused=len(report.refused))
    return report


def _name(filename: str) -> str:
    return PurePosixPath(shown(filename).replace("\\", "/")).name or "archive"


async def _audit(tx: Transaction, requester: Requester, filename: str, report: DiscoveryReport) -> None:
    refused = [
        {"file": refusal.file, "why": refusal.why.to_json()} for refusal in report.refused[:MAX_REFUSED_IN_AUDIT]
    ]
    await tx.audit.append(
        userid=requester.userid,
        endpoint_name=requester.endpoint_name,
        address=requester.address,
        action=ACTION,
        subject=filename,
        result=AuditResult.OK,
        detail={"added": list(report.added), "changed": list(report.changed), "refused": refused},
    )


@dataclass(slots=True)
class _Changes:
    """The changes of an import to the ``stored`` templates, by name. Templates that are not in the archive stay."""

    source: TemplateSource
    stored: Mapping[str, tuple[Template, TemplateRevision]]
    userid: str
    note: str
    at: datetime = field(default_factory=now)
    templates: list[Template] = field(default_factory=list)
    revisions: list[RevisionRows] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def found(self, content: TemplateContent) -> None:
        about: dict[str, Any] = {"description": content.config.description, "tags": list(content.config.tags)}
        template, current = self.stored.get(content.name, (None, None))
        if template is None or current is None:
            template = Template(source_id=self.source.id, name=content.name, created_by=self.userid, **about)
            self.templates.append(template)
            self.added.append(content.name)
            self._revise(template, content)
            return
        is_other = current.checksum != content.checksum()
        if template.missing_since is not None:
            template.missing_since = None
            self.added.append(content.name)
        elif is_other:
            self.changed.append(content.name)
        if is_other:
            template.revision_number += 1
            template.sqlmodel_update({"updated_at": self.at, **about})
            self._revise(template, content)
        elif current.warnings != (warnings := warnings_json(content.warnings)):
            current.warnings = warnings

    def report(self) -> DiscoveryReport:
        return DiscoveryReport(self.source.name, added=tuple(sorted(self.added)), changed=tuple(sorted(self.changed)))

    def _revise(self, template: Template, content: TemplateContent) -> None:
        number = template.revision_number
        self.revisions.append(revision_rows(template.id, number, content, author=self.userid, note=self.note))
