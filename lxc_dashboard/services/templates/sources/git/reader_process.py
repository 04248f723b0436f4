"""Starts the process that reads a repository, and kills it after its timeout."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import structlog

from lxc_dashboard.errors import SourceError, SourceGoneError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.sources.git.codes import GitCode

log = structlog.get_logger(__name__)

# The folder below ``GitRequest.into`` that gets the repository's folder with its files.
FILES: Final = "files"


class Outcome(StrEnum):
    UNCHANGED = "unchanged"
    READ = "read"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class GitRequest:
    """``location`` is ``GitAddress.text``. Nothing is fetched if the ref is at ``known_commit``, or if ``into`` is empty.

    ``from_above``: a file that is also read from each folder above ``subfolder``; empty: none. ``file_root``: the folder
    below which ``file://`` is allowed; empty: none. ``ca_file``: CAs for servers; empty: the system's.
    """

    location: str
    ref: str = ""
    subfolder: str = ""
    from_above: str = ""
    known_commit: str = ""
    into: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    host_key: str = ""
    allow_local: bool = False
    file_root: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Omission:
    """A path of the repository that was not read, and why."""

    path: str
    why: Message


@dataclass(frozen=True, slots=True)
class GitAnswer:
    """``commit``: the ref's current target (the id of an annotated tag); ``why``: the reason for ``FAILED`` and ``GONE``.

    After ``READ``, the files are below ``into``; ``subject`` and ``author`` are the commit's.
    """

    outcome: Outcome
    commit: str = ""
    why: Message = field(default_factory=Message)
    subject: str = ""
    author: str = ""
    omitted: tuple[Omission, ...] = ()


CHILD: Final = "lxc_dashboard.services.templates.sources.git.reader"
DEADLINE_S: Final = 60.0
MAX_COMPLAINT_CHARS: Final = 2000


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
