"""``lxc-dashboard template lint``: folders and archives, without any database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lxc_dashboard.commands.terminal import err, out, run
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format import checks
from lxc_dashboard.services.templates.model import Refusal, TemplateContent
from lxc_dashboard.services.templates.sources import archive
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES


@dataclass(frozen=True, slots=True)
class Linted:
    """What stands at ``path``, as it was given on the command line."""

    path: Path
    found: tuple[TemplateContent, ...] = ()
    refused: tuple[Refusal, ...] = field(default=())


def lint(paths: Sequence[Path], *, strict: bool, as_json: bool) -> int:
    """Print what is wrong, a line each; 1 where a template is refused, or with ``strict`` where anything is found."""
    results = run(_checked([_read(path) for path in paths]))
    templates = sum(len(result.found) for result in results)
    refused = sum(len(result.refused) for result in results)
    findings = sum(len(content.warnings) for result in results for content in result.found)
    status = 1 if refused or (strict and findings) else 0
    if as_json:
        out.print_json(json.dumps({"ok": status == 0, "paths": [_told(result) for result in results]}))
        return status
    for result in results:
        for line in _lines(result):
            out.print(line, markup=False)
    err.print(f"{templates} read, {refused} refused, {findings} findings", markup=False)
    return status


async def _checked(results: Sequence[Linted]) -> list[Linted]:
    return [replace(result, found=await checks.checked_each(result.found)) for result in results]


def _read(path: Path) -> Linted:
    try:
        found, refused = _discovered(path) if path.is_dir() else _unpacked(path)
    except TemplateError as error:
        return Linted(path, refused=(Refusal(error.file, error.line, error.message),))
    if not found and not refused:
        refused = (Refusal("", 0, "holds no template: there is no template.conf in it"),)
    return Linted(path, found, refused)


def _discovered(path: Path) -> tuple[tuple[TemplateContent, ...], tuple[Refusal, ...]]:
    discovery = discover(path)
    return discovery.found, discovery.refused


def _unpacked(path: Path) -> tuple[tuple[TemplateContent, ...], tuple[Refusal, ...]]:
    try:
        # One byte beyond the bound says that there is more.
        with path.open("rb") as opened:
            data = opened.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        return (), (Refusal("", 0, f"cannot be read: {error.strerror}"),)
    result = archive.read(data, path.name)
    return result.found, result.refused


def _place(path: Path, file: str) -> str:
    """``file`` below ``path``; a message about the whole names it, or says nothing."""
    return str(path) if file in {"", str(path), path.name} else f"{path}/{file.removeprefix('./')}"


def _lines(result: Linted) -> list[str]:
    """In the way of compilers, by file and line."""
    found = [(refusal.file, refusal.line, f"error: {refusal.why}") for refusal in result.refused]
    for content in result.found:
        found += [(warning.file, warning.line, f"warning: {warning.message}") for warning in content.warnings]
    return [
        f"{_place(result.path, file)}:{line}: {message}" if line else f"{_place(result.path, file)}: {message}"
        for file, line, message in sorted(found)
    ]


def _told(result: Linted) -> dict[str, Any]:
    def placed(part: Any) -> dict[str, Any]:
        return asdict(replace(part, file=_place(result.path, part.file)))

    return {
        "path": str(result.path),
        "templates": [
            {"name": content.name, "findings": [placed(warning) for warning in content.warnings]}
            for content in result.found
        ],
        "refused": [placed(refusal) for refusal in result.refused],
    }
