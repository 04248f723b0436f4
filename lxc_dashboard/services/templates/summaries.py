"""Templates, revisions and sources as services return them: frozen, mostly without contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from lxc_dashboard.db.models import FilePolicy, SourceKind
from lxc_dashboard.services.templates.model import Bucket, Finding, Refusal, Script, TemplateConfig, TemplateContent


@dataclass(frozen=True, slots=True)
class DiscoveryReport:
    """The result of one pass over ``source``: names of templates. ``added``: new or found again; ``removed``: missing now."""

    source: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON that ``from_json`` reads back."""
        return {
            "added": list(self.added),
            "changed": list(self.changed),
            "removed": list(self.removed),
            "refused": [refusal.to_json() for refusal in self.refused],
        }

    @classmethod
    def from_json(cls, source: str, stored: Mapping[str, Any]) -> DiscoveryReport:
        return cls(
            source,
            added=tuple(stored.get("added", ())),
            changed=tuple(stored.get("changed", ())),
            removed=tuple(stored.get("removed", ())),
            refused=tuple(Refusal.from_json(refusal) for refusal in stored.get("refused", ())),
        )


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A source and its last pass; ``synced_at`` is None before the first."""

    id: UUID
    name: str
    kind: SourceKind
    location: str
    synced_at: datetime | None
    report: DiscoveryReport


@dataclass(frozen=True, slots=True)
class TemplateSummary:
    """A template in a list, with its current revision. ``refusal``: why the source's newest state was not read."""

    id: UUID
    name: str
    description: str
    config: TemplateConfig
    source_name: str
    source_kind: SourceKind
    revision_id: UUID
    revision_number: int
    scripts: int
    files: int
    packages: int
    warnings: int
    missing_since: datetime | None
    updated_at: datetime
    refusal: Refusal | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        return self.config.tags


@dataclass(frozen=True, slots=True)
class RevisionSummary:
    """``unchanged``: the save changed nothing, and this is the existing revision."""

    id: UUID
    number: int
    author: str
    note: str
    created_at: datetime
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class FileSummary:
    """A file of a revision; ``size`` in bytes. ``is_text`` depends on its first kilobytes only."""

    name: str
    target: str
    policy: FilePolicy
    mode: int
    owner: str
    sha256: str
    size: int
    is_text: bool = True


@dataclass(frozen=True, slots=True)
class TemplateDetail:
    """A template with one revision, and the list of all revisions, newest first."""

    summary: TemplateSummary
    scripts: tuple[Script, ...]
    files: tuple[FileSummary, ...]
    buckets: tuple[Bucket, ...]
    warnings: tuple[Finding, ...]
    revisions: tuple[RevisionSummary, ...]


@dataclass(frozen=True, slots=True)
class RevisionContent:
    """One revision with its content, as a creation job uses it."""

    id: UUID
    template_id: UUID
    number: int
    author: str
    note: str
    created_at: datetime
    content: TemplateContent
