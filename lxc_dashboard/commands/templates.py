"""``lxc-dashboard template``: list, lint, export, import and sync, for operators on the server."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.commands.terminal import columns, err, out, run
from lxc_dashboard.db.models import AuditResult, SourceKind, TemplateSource
from lxc_dashboard.errors import ConflictError, DashboardError, InvalidInputError, NotFoundError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.format import checks
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.model import DiscoveryReport, Finding, Refusal, TemplateContent, TemplateSummary
from lxc_dashboard.services.templates.sources import archive, imports, passes
from lxc_dashboard.services.templates.sources.codes import FolderCode
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES
from lxc_dashboard.settings import Settings

# The audit's user for this command.
USERID: Final = "cli"
STDOUT: Final = "-"

OPERATOR: Final = passes.Requester(USERID)


@dataclass(frozen=True, slots=True)
class Failure:
    """A source or archive that could not be read."""

    subject: str
    error: DashboardError


Outcome = DiscoveryReport | Failure


def show(source: str, *, as_json: bool) -> None:
    """Print all templates, or those of one source."""
    found = [summary for summary in run(_templates()) if not source or summary.source_name == source]
    if as_json:
        out.print_json(json.dumps([_template_json(summary) for summary in found]))
        return
    rows = [("name", "source", "revision", "system", "scripts", "files", "packages", "state")]
    for summary in found:
        system = f"{summary.config.os} {summary.config.version}".strip() or "any"
        counts = (str(summary.scripts), str(summary.files), str(summary.packages))
        rows.append(
            (summary.name, summary.source_name, f"r{summary.revision_number}", system, *counts, _state_of(summary))
        )
    columns(rows)


def export(names: Sequence[str], target: Path, kind: archive.ArchiveKind, *, every: bool, force: bool) -> None:
    """Write the current revisions into one archive. Raises ``InvalidInputError``, ``ConflictError``, ``NotFoundError``."""
    if every == bool(names):
        raise InvalidInputError({"NAME": "name the templates, or give --all"})
    if str(target) != STDOUT and target.exists() and not force:
        raise ConflictError(f"{target} exists: --force overwrites it")
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


def import_archives(files: Sequence[Path], *, as_json: bool) -> int:
    """Import archives into the source ``imported``. Returns 1 if one cannot be read, or a template is refused."""
    return _print_reports(run(_imported([(file, _read(file)) for file in files])), as_json=as_json)


def sync(names: Sequence[str], *, as_json: bool) -> int:
    """Read sources again, all by default. Returns 1 if one cannot be read, or a template is refused."""
    return _print_reports(run(_synced(names)), as_json=as_json)


async def _templates() -> list[TemplateSummary]:
    async with Runtime.open(Settings.load()) as rt, rt.db.transaction() as tx:
        return await catalog.load_templates(tx)


def _state_of(summary: TemplateSummary) -> str:
    if summary.refusal:
        return "refused"
    if summary.missing_since:
        return "missing"
    return f"{summary.warnings} findings" if summary.warnings else "ok"


def _template_json(summary: TemplateSummary) -> dict[str, Any]:
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
        "refusal": _refusal_json(summary.refusal) if summary.refusal else None,
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
        return _read_archive(file)
    except OSError as error:
        raise InvalidInputError({"FILE": f"{file} cannot be read: {error.strerror}"}) from error


def _read_archive(file: Path) -> bytes:
    """Read at most one byte more than allowed, which shows that the file is too large."""
    with file.open("rb") as opened:
        return opened.read(MAX_ARCHIVE_BYTES + 1)


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
    """The report, or the failure, which is audited. The other sources go on."""
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
        raise NotFoundError(f"There is no source {unknown[0]}. Sources: {', '.join(known)}")
    git = {name for name, source in known.items() if source.kind == SourceKind.GIT.value and not source.is_removed}
    readable = [name for name in known if name in git or name in folders]
    return [known[name] for name in (names or readable)]


def _print_reports(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    reports = [outcome for outcome in outcomes if isinstance(outcome, DiscoveryReport)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if as_json:
        answer: list[dict[str, Any]] = [
            {"source": each.source, **each.to_json(), "refused": [_refusal_json(refusal) for refusal in each.refused]}
            for each in reports
        ]
        answer += [{"subject": failure.subject, "error": failure.error.user_message} for failure in failures]
        out.print_json(json.dumps(answer))
    else:
        for line in [line for report in reports for line in _lines(report)]:
            out.print(line, markup=False)
        for failure in failures:
            err.print(f"{failure.subject}: error: {failure.error.user_message}", markup=False)
    return 1 if failures or any(report.refused for report in reports) else 0


def _refusal_json(refusal: Refusal) -> dict[str, Any]:
    return {**refusal.to_json(), "why": text.with_remedy(refusal.why)}


def _lines(report: DiscoveryReport) -> list[str]:
    changes = {"added": report.added, "changed": report.changed, "removed": report.removed}
    lines = [f"{report.source}: {name} {what}" for what, names in changes.items() for name in names]
    for refusal in report.refused:
        at = f"{refusal.file}:{refusal.line}" if refusal.line else refusal.file
        lines.append(f"{report.source}: {at}: error: {text.with_remedy(refusal.why)}")
    return lines or [f"{report.source}: no changes"]


@dataclass(frozen=True, slots=True)
class Linted:
    """The templates of ``path`` and what was refused there."""

    path: Path
    found: tuple[TemplateContent, ...] = ()
    refused: tuple[Refusal, ...] = field(default=())


def lint(paths: Sequence[Path], *, strict: bool, as_json: bool) -> int:
    """Print all findings of folders and archives, without a database.

    Returns 1 if a template is refused, or with ``strict`` if anything is found.
    """
    results = run(_with_findings([_lint_path(path) for path in paths]))
    templates = sum(len(result.found) for result in results)
    refused = sum(len(result.refused) for result in results)
    findings = sum(len(content.warnings) for result in results for content in result.found)
    status = 1 if refused or (strict and findings) else 0
    if as_json:
        out.print_json(json.dumps({"ok": status == 0, "paths": [_lint_json(result) for result in results]}))
        return status
    for result in results:
        for line in _lint_lines(result):
            out.print(line, markup=False)
    err.print(f"{templates} read, {refused} refused, {findings} findings", markup=False)
    return status


async def _with_findings(results: Sequence[Linted]) -> list[Linted]:
    return [replace(result, found=await checks.checked_each(result.found)) for result in results]


def _lint_path(path: Path) -> Linted:
    try:
        found, refused = _discovered(path) if path.is_dir() else _unpacked(path)
    except TemplateError as error:
        return Linted(path, refused=(Refusal(error.file, error.line, error.why),))
    if not found and not refused:
        refused = (Refusal("", 0, Message(text="contains no template.conf")),)
    return Linted(path, found, refused)


def _discovered(path: Path) -> tuple[tuple[TemplateContent, ...], tuple[Refusal, ...]]:
    discovery = discover(path)
    return discovery.found, discovery.refused


def _unpacked(path: Path) -> tuple[tuple[TemplateContent, ...], tuple[Refusal, ...]]:
    try:
        data = _read_archive(path)
    except OSError as error:
        return (), (Refusal("", 0, Message.of(FolderCode.UNREADABLE, cause=error.strerror or "")),)
    result = archive.read(data, path.name)
    return result.found, result.refused


def _place(path: Path, file: str) -> str:
    """``file`` below ``path``; ``path`` itself if a message is about the whole."""
    return str(path) if file in {"", str(path), path.name} else f"{path}/{file.removeprefix('./')}"


def _lint_lines(result: Linted) -> list[str]:
    """Messages as compilers print them, by file and line."""
    found = [(refusal.file, refusal.line, f"error: {text.with_remedy(refusal.why)}") for refusal in result.refused]
    for content in result.found:
        found += [
            (warning.file, warning.line, f"warning: {text.in_words_of(warning.message)}")
            for warning in content.warnings
        ]
    return [
        f"{_place(result.path, file)}:{line}: {message}" if line else f"{_place(result.path, file)}: {message}"
        for file, line, message in sorted(found)
    ]


def _lint_json(result: Linted) -> dict[str, Any]:
    def placed(part: Any) -> dict[str, Any]:
        return asdict(replace(part, file=_place(result.path, part.file)))

    def found(warning: Finding) -> dict[str, Any]:
        return placed(warning) | {"message": text.in_words_of(warning.message)}

    return {
        "path": str(result.path),
        "templates": [
            {"name": content.name, "findings": [found(warning) for warning in content.warnings]}
            for content in result.found
        ],
        "refused": [
            _refusal_json(replace(refusal, file=_place(result.path, refusal.file))) for refusal in result.refused
        ],
    }
