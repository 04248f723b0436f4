"""Stores the result of a pass over a source. Idempotent, and safe with concurrent passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from lxc_dashboard.db.database import DatabaseService, Transaction
from lxc_dashboard.db.models import SourceKind, Template, TemplateRevision, TemplateSource, now
from lxc_dashboard.db.repositories.templates import RevisionRows
from lxc_dashboard.errors import ConflictError, NotFoundError, SourceError, SourceGoneError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import checks
from lxc_dashboard.services.templates.library.revisions import revision_rows, warnings_json
from lxc_dashboard.services.templates.model import DiscoveryReport, Refusal, TemplateContent
from lxc_dashboard.services.templates.sources.codes import SourceCode
from lxc_dashboard.services.templates.sources.folder import Discovery, Fingerprint, discover

ATTEMPTS = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a source. ``note``: for new revisions; ``fingerprints``: for the next pass."""

    discovery: Discovery
    location: str
    note: str
    fingerprints: Mapping[str, Any]


# Writes more in the transaction that stores a pass, such as an audit entry.
Beside = Callable[[Transaction, DiscoveryReport], Awaitable[None]]


async def nothing_beside(_tx: Transaction, _report: DiscoveryReport) -> None:
    return None


async def sync_folders(
    db: DatabaseService, folders: Iterable[tuple[str, Path]], beside: Beside = nothing_beside
) -> tuple[DiscoveryReport, ...]:
    """``sync_folder`` for each (name, root) of ``Settings.template_folders``.

    A missing folder is in its report's ``refused``, and its templates are marked missing. It does not stop the others.
    """
    reports = []
    for name, root in folders:
        try:
            reports.append(await sync_folder(db, name, root, beside))
        except TemplateError as error:
            refusal = Refusal(error.file, error.line, error.why)
            source, _ = await _known(db, name, root)
            report = await store_vanished(db, source.id, gone_error(error), beside)
            reports.append(replace(report, refused=(refusal,)))
    return tuple(reports)


def gone_error(error: TemplateError) -> SourceGoneError:
    """The error of a source whose folder does not exist."""
    return SourceGoneError(Message.of(SourceCode.FOLDER_UNREAD, folder=error.file, why=error.why))


async def sync_folder(db: DatabaseService, name: str, root: Path, beside: Beside = nothing_beside) -> DiscoveryReport:
    """Read the changes below ``root`` since the last pass of the source ``name``, and store them.

    A changed template gets a new revision; a removed one is marked missing. Raises ``TemplateError`` if there is no such folder,
    ``ConflictError`` if other passes stored their results first at each attempt.
    """
    for _ in range(ATTEMPTS):
        source, existing = await _known(db, name, root)
        known = {
            location: mark
            for location, mark in ((key, Fingerprint.from_json(mark)) for key, mark in source.fingerprints.items())
            if mark.refusal or mark.name in existing
        }
        discovery = await asyncio.to_thread(discover, root, known)
        fingerprints = {place: mark.to_json() for place, mark in discovery.fingerprints.items()}
        reading = Reading(discovery, str(root), f"Read from {root}", fingerprints)
        report = await store_reading(db, source, reading, beside)
        if report is not None:
            return report
    raise ConflictError(Message.of(SourceCode.ALWAYS_OVERTAKEN), detail=name)


async def _known(db: DatabaseService, name: str, root: Path) -> tuple[TemplateSource, set[str]]:
    async with db.transaction() as tx:
        source = await tx.templates.source(name, SourceKind.FOLDER, str(root))
        return source, await tx.templates.names(source.id)


async def store_reading(
    db: DatabaseService, before: TemplateSource, reading: Reading, beside: Beside = nothing_beside
) -> DiscoveryReport | None:
    """Store ``reading``; None if another pass stored its result since ``before`` was loaded, or the source was changed.

    Raises ``NotFoundError`` if the source was deleted or removed.
    """
    checked = await checks.checked_each(reading.discovery.found)
    reading = _looked_at_again(replace(reading, discovery=replace(reading.discovery, found=checked)))
    async with db.transaction() as tx:
        source = await tx.templates.lock_source(before.id)
        _refuse_removed(source)
        if source.synced_at != before.synced_at or _place(source) != _place(before):
            return None
        report = await _store(tx, source, reading)
        await beside(tx, report)
    _log_report(report)
    return report


def _looked_at_again(reading: Reading) -> Reading:
    """Drop the fingerprints of templates that could not be checked, so that the next pass reads them again."""
    names = {content.name for content in reading.discovery.found if checks.is_unchecked(content)}
    if not names:
        return reading
    marks = {
        place: mark
        for place, mark in reading.fingerprints.items()
        if not isinstance(mark, dict) or mark.get("name") not in names
    }
    # A git source has one mark for all templates. An additional entry makes it differ.
    return replace(
        reading, fingerprints=marks if len(marks) < len(reading.fingerprints) else {**marks, checks.UNCHECKED: True}
    )


def _place(source: TemplateSource) -> tuple[str, ...]:
    """The place of a git source, which a user may change during a pass. The place of a folder is a setting."""
    is_git = source.kind == SourceKind.GIT.value
    return (source.location, source.ref, source.subfolder) if is_git else ()


def _refuse_removed(source: TemplateSource) -> None:
    if source.is_removed:
        raise NotFoundError(Message.of(SourceCode.REMOVED, name=source.name))


async def _store(tx: Transaction, source: TemplateSource, reading: Reading) -> DiscoveryReport:
    discovery = reading.discovery
    changes = _Changes(source, reading.note, {t.name: (t, r) for t, r in await tx.templates.of_source(source.id)})
    for content in discovery.found:
        changes.found(content)
    changes.here(discovery.unchanged)
    if discovery.complete:
        changes.gone(discovery)
    await tx.templates.add(changes.templates)
    await tx.templates.add_revisions(changes.revisions)
    report = changes.report(discovery.refused)
    source.location = reading.location
    source.synced_at = source.tried_at = now()
    source.error = ""
    source.report = report.to_json()
    source.fingerprints = dict(reading.fingerprints)
    return report


async def store_vanished(
    db: DatabaseService, source_id: UUID, why: SourceGoneError, beside: Beside = nothing_beside
) -> DiscoveryReport:
    """Store why the source does not exist, and mark its templates as missing. Raises ``NotFoundError``."""
    async with db.transaction() as tx:
        source = await tx.templates.lock_source(source_id)
        _refuse_removed(source)
        changes = _Changes(source, "", {t.name: (t, r) for t, r in await tx.templates.of_source(source_id)})
        changes.gone(Discovery((), ()))
        source.tried_at, source.error = now(), why.user_message
        source.fingerprints = {}  # read all templates again when the source is back
        report = changes.report(())
        if report.removed:
            source.report = report.to_json()
        await beside(tx, report)
    log.warning("template source gone", source=report.source, why=str(why), removed=report.removed)
    return report


async def store_failure(db: DatabaseService, source_id: UUID, why: SourceError) -> None:
    """Store why the source could not be read. Its templates stay as they are. Raises ``NotFoundError``."""
    async with db.transaction() as tx:
        source = await tx.templates.lock_source(source_id)
        _refuse_removed(source)
        source.tried_at, source.error = now(), why.user_message
    log.warning("template source not read", source=source.name, why=str(why))


async def store_unchanged(db: DatabaseService, source_id: UUID) -> DiscoveryReport:
    """Store the time of a pass without changes, and return the last report. Raises ``NotFoundError``."""
    async with db.transaction() as tx:
        source = await tx.templates.lock_source(source_id)
        _refuse_removed(source)
        source.tried_at, source.error = now(), ""
        return DiscoveryReport.from_json(source.name, source.report)


@dataclass(slots=True)
class _Changes:
    """The changes of a pass to the ``stored`` templates, by name."""

    source: TemplateSource
    note: str
    stored: Mapping[str, tuple[Template, TemplateRevision]]
    at: datetime = field(default_factory=now)
    templates: list[Template] = field(default_factory=list)
    revisions: list[RevisionRows] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=lambda: {"added": [], "changed": [], "removed": []})

    def found(self, content: TemplateContent) -> None:
        template, current = self.stored.get(content.name, (None, None))
        if template is None or current is None:
            template = Template(source_id=self.source.id, name=content.name, **_shown(content))
            self.templates.append(template)
            self.names["added"].append(content.name)
            self._revise(template, content)
        elif current.checksum != content.checksum():
            template.revision_number += 1
            template.updated_at = self.at
            template.sqlmodel_update(_shown(content))
            if not self._back(template):
                self.names["changed"].append(content.name)
            self._revise(template, content)
        else:
            self._back(template)
            # Findings refer to lines, which may move although the content is the same.
            if current.warnings != (warnings := warnings_json(content.warnings)):
                current.warnings = warnings

    def here(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.stored:
                self._back(self.stored[name][0])

    def gone(self, discovery: Discovery) -> None:
        there = {content.name for content in discovery.found}
        there.update(discovery.unchanged, (refusal.name for refusal in discovery.refused))
        for name, (template, _) in self.stored.items():
            if name not in there and template.missing_since is None:
                template.missing_since = self.at
                self.names["removed"].append(name)

    def report(self, refused: tuple[Refusal, ...]) -> DiscoveryReport:
        sorted_names = {kind: tuple(sorted(names)) for kind, names in self.names.items()}
        return DiscoveryReport(self.source.name, refused=refused, **sorted_names)

    def _back(self, template: Template) -> bool:
        """Mark a missing template as present. Return whether it was missing."""
        if template.missing_since is None:
            return False
        template.missing_since = None
        self.names["added"].append(template.name)
        return True

    def _revise(self, template: Template, content: TemplateContent) -> None:
        number = template.revision_number
        self.revisions.append(revision_rows(template.id, number, content, author=self.source.name, note=self.note))


def _shown(content: TemplateContent) -> dict[str, Any]:
    return {"description": content.config.description, "tags": list(content.config.tags)}


def _log_report(report: DiscoveryReport) -> None:
    if report.added or report.changed or report.removed:
        changes = {"added": report.added, "changed": report.changed, "removed": report.removed}
        log.info("templates synced", source=report.source, **changes)
    for refusal in report.refused:
        log.warning("template refused", source=report.source, file=refusal.file, line=refusal.line, why=refusal.why)
