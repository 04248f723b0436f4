"""``lxc-dashboard template``: what the pages do with templates, for who acts on the server itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lxc_dashboard.commands.terminal import columns, err, out, run
from lxc_dashboard.db.models import AuditResult, SourceKind, TemplateSource
from lxc_dashboard.errors import ConflictError, DashboardError, InvalidInputError, NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.sources import archive, imports, passes
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES
from lxc_dashboard.services.templates.summaries import DiscoveryReport, TemplateSummary
from lxc_dashboard.settings import Settings

# In the audit, in place of a PVE user: whoever may run this command on the server.
USERID: Final = "cli"
STDOUT: Final = "-"

OPERATOR: Final = passes.Requester(USERID)


@dataclass(frozen=True, slots=True)
class Failure:
    """What nothing was read from, and why."""

    subject: str
    error: DashboardError


Outcome = DiscoveryReport | Failure


def show(source: str, *, as_json: bool) -> None:
    """Print all templates, or those of one source."""
    found = [summary for summary in run(_templates()) if not source or summary.source_name == source]
    if as_json:
        out.print_json(json.dumps([_told(summary) for summary in found]))
        return
    rows = [("name", "source", "revision", "system", "scripts", "files", "packages", "state")]
    for summary in found:
        system = f"{summary.config.os} {summary.config.version}".strip() or "any"
        counts = (str(summary.scripts), str(summary.files), str(summary.packages))
        rows.append(
            (summary.name, summary.source_name, f"r{summary.revision_number}", system, *counts, _state(summary))
        )
    columns(rows)


def export(names: Sequence[str], target: Path, kind: archive.ArchiveKind, *, every: bool, force: bool) -> None:
    """Write the current revisions into one archive. ``InvalidInputError`` names what was given wrongly."""
    if every == bool(names):
        raise InvalidInputError({"NAME": "name the templates, or give --all"})
    if str(target) != STDOUT and target.exists() and not force:
        raise ConflictError(f"{target} is there already: --force overwrites it")
    chosen, data = run(_exported(names, kind))
    if str(target) == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    try:
        target.write_bytes(data)
    except OSError as error:
        raise InvalidInputError({"--output": f"{target} cannot be written: {error.strerror}"}) from error
    count = "1 template" if len(chosen) == 1 else f"{len(chosen):,} templates"
    err.print(f"{count} in {target}, {len(data):,} bytes", markup=False)


def take_in(files: Sequence[Path], *, as_json: bool) -> int:
    """Store what archives hold, in the source ``imported``; 1 where one cannot be read, or a template is refused."""
    return _tell(run(_imported([(file, _read(file)) for file in files])), as_json=as_json)


def sync(names: Sequence[str], *, as_json: bool) -> int:
    """Read sources again, all by default; 1 where one cannot be read, or a template is refused."""
    return _tell(run(_synced(names)), as_json=as_json)


async def _templates() -> list[TemplateSummary]:
    async with Runtime.open(Settings.load()) as rt, rt.db.transaction() as tx:
        return await catalog.load_templates(tx)


def _state(summary: TemplateSummary) -> str:
    if summary.refusal:
        return "refused"
    if summary.missing_since:
        return "missing"
    return f"{summary.warnings} findings" if summary.warnings else "ok"


def _told(summary: TemplateSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "id": str(summary.id),
        "source": summary.source_name,
        "kind": summary.source_kind.value,
        "revision": summary.revision_number,
        "config": summary.config.to_json(),
        "scripts": summary.scripts,
        "files": summary.files,
        "packages": summary.packages,
        "findings": summary.warnings,
        "missing_since": summary.missing_since.isoformat() if summary.missing_since else None,
        "refusal": asdict(summary.refusal) if summary.refusal else None,
        "updated_at": summary.updated_at.isoformat(),
    }


async def _exported(names: Sequence[str], kind: archive.ArchiveKind) -> tuple[list[TemplateSummary], bytes]:
    async with Runtime.open(Settings.load()) as rt, rt.db.transaction() as tx:
        found = await catalog.load_templates(tx)
        chosen = [catalog.named(found, name, "NAME") for name in names] if names else found
        contents = [(await catalog.load_revision(tx, summary.revision_id)).content for summary in chosen]
    if not contents:
        raise NotFoundError("There are no templates")
    return chosen, archive.export(contents, kind)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            # One byte beyond the bound says that there is more.
            return opened.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        raise InvalidInputError({"FILE": f"{file} cannot be read: {error.strerror}"}) from error


async def _imported(archives: Sequence[tuple[Path, bytes]]) -> list[Outcome]:
    async with Runtime.open(Settings.load()) as rt:
        return [
            await _outcome(rt, imports.ACTION, file.name, imports.import_as(rt, OPERATOR, data, file.name))
            for file, data in archives
        ]


async def _synced(names: Sequence[str]) -> list[Outcome]:
    async with Runtime.open(Settings.load()) as rt:
        return [
            await _outcome(rt, "source.sync", source.name, passes.run(rt, source, OPERATOR))
            for source in await _chosen_sources(rt, names)
        ]


async def _outcome(rt: Runtime, action: str, subject: str, work: Awaitable[DiscoveryReport]) -> Outcome:
    """The report, or what was in its way: that is audited, and stops no other."""
    try:
        return await work
    except DashboardError as error:
        async with rt.db.transaction() as tx:
            detail = {"cause": str(error)[:500]}
            await tx.audit.append(
                userid=USERID, action=action, subject=subject, result=AuditResult.FAILED, detail=detail
            )
        return Failure(subject, error)


async def _chosen_sources(rt: Runtime, names: Sequence[str]) -> list[TemplateSource]:
    folders = dict(rt.settings.template_folders())
    async with rt.db.transaction() as tx:
        for name, root in folders.items():
            await tx.templates.source(name, SourceKind.FOLDER, str(root))
        known = {source.name: source for source in await tx.templates.sources()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NotFoundError(f"No source is called {unknown[0]}: there are {', '.join(known)}")
    git = {name for name, source in known.items() if source.kind == SourceKind.GIT.value and not source.is_removed}
    readable = [name for name in known if name in git or name in folders]
    return [known[name] for name in (names or readable)]


def _tell(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    reports = [outcome for outcome in outcomes if isinstance(outcome, DiscoveryReport)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if as_json:
        told: list[dict[str, Any]] = [{"source": report.source, **report.to_json()} for report in reports]
        told += [{"subject": failure.subject, "error": failure.error.user_message} for failure in failures]
        out.print_json(json.dumps(told))
    else:
        for line in [line for report in reports for line in _lines(report)]:
            out.print(line, markup=False)
        for failure in failures:
            err.print(f"{failure.subject}: error: {failure.error.user_message}", markup=False)
    return 1 if failures or any(report.refused for report in reports) else 0


def _lines(report: DiscoveryReport) -> list[str]:
    changes = {"added": report.added, "changed": report.changed, "removed": report.removed}
    lines = [f"{report.source}: {name} {what}" for what, names in changes.items() for name in names]
    for refusal in report.refused:
        at = f"{refusal.file}:{refusal.line}" if refusal.line else refusal.file
        lines.append(f"{report.source}: {at}: error: {refusal.why}")
    return lines or [f"{report.source}: nothing has changed"]
