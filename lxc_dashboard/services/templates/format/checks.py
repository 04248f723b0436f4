"""Checks of a valid template when it is read or saved. Its revision stores the findings.

The parser reports unknown keys and the like. The checks here are: ShellCheck over the scripts, packages of another system's
manager, a privileged container, secrets in plain text. A script that ShellCheck did not reach in time gets a finding
``UNCHECKED``. The next pass over its source checks the template again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import shellcheck
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import CONF_NAME
from lxc_dashboard.services.templates.format.packages import unfit
from lxc_dashboard.services.templates.format.secrets import MAX_SCANNED_CHARS, find_secrets
from lxc_dashboard.services.templates.model import FileEntry, Finding, TemplateContent

MANAGER: Final = "manager"
PRIVILEGED: Final = "privileged"
SECRET: Final = "secret"  # noqa: S105 the name of a check
SHELL: Final = "shell"  # or ShellCheck's own code
UNCHECKED: Final = shellcheck.UNCHECKED
SHELL_LEVELS: Final = frozenset({"error", "warning"})
MAX_SHELL_FINDINGS: Final = 50
MAX_SCANNED_BYTES: Final = 4 << 20
LINT_TIMEOUT_S: Final = 60.0
LINT_TIMEOUT_PER_SCRIPT_S: Final = 0.05
LONGEST_LINT_S: Final = 120.0

ShellResults = Mapping[str, shellcheck.Findings]


async def checked(content: TemplateContent) -> TemplateContent:
    """The content with the findings of its parser, then those of all checks. Idempotent."""
    return (await checked_each([content]))[0]


async def checked_each(contents: Sequence[TemplateContent]) -> tuple[TemplateContent, ...]:
    """``checked`` for many contents, much faster than one by one."""
    results = await linted(script.content for content in contents for script in content.scripts)
    return await asyncio.to_thread(lambda: tuple(with_findings(content, results) for content in contents))


async def linted(scripts: Iterable[str], *, within_s: float | None = None) -> ShellResults:
    """Run ShellCheck over these scripts, for ``with_findings``. Scripts not reached in ``within_s`` are ``UNCHECKED``.

    The default is one minute, and up to two for very many scripts.
    """
    texts = list(dict.fromkeys(map(_plain, scripts)))
    if within_s is None:
        within_s = min(LONGEST_LINT_S, LINT_TIMEOUT_S + LINT_TIMEOUT_PER_SCRIPT_S * len(texts))
    return dict(zip(texts, await shellcheck.lint_each(texts, within_s=within_s), strict=True))


def with_findings(content: TemplateContent, results: ShellResults) -> TemplateContent:
    """``checked`` with the given results of ShellCheck."""
    kept = [finding for finding in content.warnings if not finding.code]
    return replace(content, warnings=tuple(dict.fromkeys([*kept, *_shell(content, results), *check(content)])))


def is_unchecked(content: TemplateContent) -> bool:
    """Whether the template must be checked again, although it did not change."""
    return any(finding.code == UNCHECKED for finding in content.warnings)


def check(content: TemplateContent) -> tuple[Finding, ...]:
    """The findings of all checks except ShellCheck's. Starts no process."""
    return (*_config(content), *_managers(content), *_secrets(content))


def rechecked(content: TemplateContent) -> TemplateContent:
    """``checked`` without ShellCheck, for a checked content whose scripts did not change."""
    kept = [finding for finding in content.warnings if not finding.code or _is_of_shell(finding)]
    return replace(content, warnings=tuple(dict.fromkeys([*kept, *check(content)])))


def _is_of_shell(finding: Finding) -> bool:
    return finding.code in {SHELL, UNCHECKED} or finding.code.startswith("SC")


def _plain(script: str) -> str:
    """The script as the parser stores it."""
    return script.removeprefix("\ufeff").replace("\r\n", "\n")


def _conf(content: TemplateContent) -> str:
    return content.origin.conf if content.origin else CONF_NAME


def _file(content: TemplateContent, part: str, name: str) -> str:
    """The path in the source; for a template without source, the path inside the template."""
    configs = content.origin.configs if content.origin else ""
    return f"{configs}/{part}/{name}" if configs else f"{part}/{name}"


def _shell(content: TemplateContent, results: ShellResults) -> Iterator[Finding]:
    for script in content.scripts:
        file = _file(content, "scripts", script.name)
        findings = results.get(_plain(script.content)) or ()
        serious = [found for found in findings if found.level in SHELL_LEVELS]
        for found in serious[:MAX_SHELL_FINDINGS]:
            message = found.message
            if found.code.startswith("SC"):
                message = Message.of(FormatCode.SHELLCHECK, said=message, check=found.code)
            yield Finding(file, found.line, message, found.code or SHELL)
        if len(serious) > MAX_SHELL_FINDINGS:
            yield Finding(file, 0, shellcheck.more(len(serious) - MAX_SHELL_FINDINGS), SHELL)


def _config(content: TemplateContent) -> Iterator[Finding]:
    if not content.config.unprivileged:
        yield Finding(_conf(content), 0, Message.of(FormatCode.PRIVILEGED), PRIVILEGED)


def _managers(content: TemplateContent) -> Iterator[Finding]:
    system = content.config.os
    foreign = unfit(system, (bucket.manager for bucket in content.buckets if bucket.packages))
    for bucket in content.buckets:
        if bucket.manager in foreign:
            message = Message.of(FormatCode.FOREIGN_MANAGER, manager=bucket.manager, system=system)
            yield Finding(_file(content, "packages", f"{bucket.name}.{bucket.manager}"), 0, message, MANAGER)


def _secrets(content: TemplateContent) -> Iterator[Finding]:
    if content.origin is None:
        # The parser may have reported it already, with its line.
        messages = {finding.message for finding in content.warnings if not finding.code}
        found = _found(_conf(content), content.config.description, lined=False)
        yield from (finding for finding in found if finding.message not in messages)
    for script in content.scripts:
        yield from _found(_file(content, "scripts", script.name), script.content)
    for bucket in content.buckets:
        text = "\n".join(f"{package.spec}\n{package.check}\n{package.install}" for package in bucket.packages)
        yield from _found(_file(content, "packages", f"{bucket.name}.{bucket.manager}"), text, lined=False)
    left = MAX_SCANNED_BYTES
    for file in content.files:
        text = _text(file)
        left -= len(text)
        if left >= 0:
            yield from _found(_file(content, "files", file.name), text)


def _found(file: str, text: str, *, lined: bool = True) -> Iterator[Finding]:
    for secret in find_secrets(text, file):
        yield Finding(file, secret.line if lined else 0, secret.message, SECRET)


def _text(file: FileEntry) -> str:
    """The beginning of a text file; empty for a binary file."""
    data = file.content[:MAX_SCANNED_CHARS]
    return "" if b"\0" in data else data.decode("utf-8", "replace")
