"""Starts the process that reads a repository, and kills it after its timeout."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final

import msgspec
import structlog

from lxc_dashboard.errors import SourceError, SourceGoneError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.sources.git.codes import GitCode
from lxc_dashboard.services.templates.sources.git.request import GitAnswer, GitRequest, Outcome

CHILD: Final = "lxc_dashboard.services.templates.sources.git.reader"
DEADLINE_S: Final = 60.0
MAX_COMPLAINT_CHARS: Final = 2000

log = structlog.get_logger(__name__)


async def read(request: GitRequest) -> GitAnswer:
    """Read a repository; the outcome is ``UNCHANGED`` or ``READ``. Raises ``SourceGoneError``, ``SourceError``."""
    answer = await _run_reader(request)
    if answer.outcome is Outcome.GONE:
        raise SourceGoneError(answer.why)
    if answer.outcome is Outcome.FAILED:
        raise SourceError(answer.why)
    return answer


async def _run_reader(request: GitRequest) -> GitAnswer:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        CHILD,
        env=_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            output, stderr = await process.communicate(msgspec.json.encode(request))
    except TimeoutError as error:
        raise SourceError(Message.of(GitCode.TOO_SLOW, seconds=round(DEADLINE_S))) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        log.warning(
            "git reader ended",
            status=process.returncode,
            output=stderr.decode("utf-8", "replace")[-MAX_COMPLAINT_CHARS:],
        )
        raise SourceError(Message.of(GitCode.READER_ENDED))
    return msgspec.json.decode(output, type=GitAnswer)


def _environment() -> dict[str, str]:
    """An environment without secrets, proxies or git configuration."""
    package = Path(__file__).resolve().parents[5]
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(package),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "2",
    }
