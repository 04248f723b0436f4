"""The rows of the page of sources."""

from __future__ import annotations

from dataclasses import dataclass, field

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import SourceKind
from lxc_dashboard.services.templates.sources.registry import SourceView
from lxc_dashboard.services.templates.summaries import DiscoveryReport

COMMIT_CHARS = 12
REFUSED_SHOWN = 100
OWN_KINDS = (SourceKind.CUSTOM, SourceKind.IMPORTED)


@dataclass(frozen=True)
class SourceRow:
    """``tone`` is a badge's; ``tried_at`` is empty before the first pass. ``state``: one or two words."""

    id: str
    name: str
    kind: str
    location: str
    templates: str
    missing: str
    tried_at: str
    state: str
    tone: str
    href: str
    syncs: bool


@dataclass(frozen=True)
class Brought:
    """One line of a report: ``Added``, and the names."""

    word: str
    names: str


@dataclass(frozen=True)
class RefusedLine:
    place: str
    why: str


@dataclass(frozen=True)
class OpenedSource:
    """The open source without its secrets. ``every_s`` as in the form's select."""

    id: str = ""
    name: str = ""
    is_git: bool = False
    removed: bool = False
    location: str = ""
    ref: str = ""
    subfolder: str = ""
    every_s: str = "0"
    schedule: str = ""
    commit: str = ""
    opened_with: str = ""
    access: str = ""
    host_key: str = ""
    webhook: str = ""
    error: str = ""
    synced_at: str = ""
    brought: list[Brought] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    refused_more: str = ""


def row_of(view: SourceView) -> SourceRow:
    state, tone = _state(view)
    missing = text.SOURCE_MISSING.format(count=view.missing, total=view.templates) if view.missing else ""
    return SourceRow(
        id=str(view.id),
        name=view.name,
        kind=text.SOURCE_KINDS[view.kind.value],
        location=_from(view),
        templates=str(view.templates),
        missing=missing,
        tried_at=_when(view),
        state=state,
        tone=tone,
        href=routes.source(view.id),
        syncs=view.kind not in OWN_KINDS and not view.removed,
    )


def opened_of(view: SourceView) -> OpenedSource:
    every = str(view.every_s)
    more = len(view.report.refused) - REFUSED_SHOWN
    return OpenedSource(
        id=str(view.id),
        name=view.name,
        is_git=view.kind is SourceKind.GIT,
        removed=view.removed,
        location=view.location,
        ref=view.ref,
        subfolder=view.subfolder,
        every_s=every,
        schedule=text.SOURCE_SCHEDULES.get(every, text.SOURCE_EVERY.format(count=every)),
        commit=view.commit[:COMMIT_CHARS],
        opened_with=view.opened_with,
        access=text.SOURCE_OPENED_WITH[view.opened_with],
        host_key=view.host_key,
        webhook=routes.webhook(view.id) if view.takes_webhooks else "",
        error=view.error,
        synced_at=view.synced_at.isoformat() if view.synced_at else "",
        brought=_brought(view.report),
        refused=_refused(view.report),
        refused_more=text.REFUSED_MORE.format(count=more) if more > 0 else "",
    )


def _brought(report: DiscoveryReport) -> list[Brought]:
    lists = {name: getattr(report, name) for name in ("added", "changed", "removed")}
    return [Brought(text.SOURCE_REPORT_WORDS[name], ", ".join(names)) for name, names in lists.items() if names]


def _refused(report: DiscoveryReport) -> list[RefusedLine]:
    return [
        RefusedLine(f"{refusal.file}:{refusal.line}" if refusal.line else refusal.file, text.with_remedy(refusal.why))
        for refusal in report.refused[:REFUSED_SHOWN]
    ]


def _from(view: SourceView) -> str:
    parts = [view.location, f"/{view.subfolder}" if view.subfolder else "", f" @ {view.ref}" if view.ref else ""]
    return "".join(parts)


def _when(view: SourceView) -> str:
    looked = view.tried_at or view.synced_at
    return looked.isoformat() if looked else ""


def _state(view: SourceView) -> tuple[str, str]:
    words = text.SOURCE_STATES
    if view.kind in OWN_KINDS:
        return words["own"], "plain"
    if view.removed:
        return text.SOURCE_STATE_REMOVED, "warm"
    if view.error:
        return words["error"], "bad"
    if view.synced_at is None:
        return words["new"], "plain"
    if view.report.refused:
        return words["refused"].format(count=len(view.report.refused)), "warm"
    return words["ok"], "good"
