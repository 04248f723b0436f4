"""The request to the process that reads a repository, and its answer: JSON on its standard input and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lxc_dashboard.messages import Message

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
