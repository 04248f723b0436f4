"""What the process that reads a repository is asked, and what it answers: JSON on its standard input and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# Below ``GitRequest.into``: a folder of the repository's name with its files.
FILES: Final = "files"


class Outcome(StrEnum):
    UNCHANGED = "unchanged"
    READ = "read"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class GitRequest:
    """``location`` as ``GitAddress.text``. ``known_commit``: nothing is fetched where the ref is still that; with ``into`` empty, never.

    ``from_above`` (empty: none) names a file that is also read from each folder above ``subfolder``.
    ``file_root`` (empty: none) is the folder below which ``file://`` may be; ``ca_file`` (empty: the system's) vouches for servers.
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
    """Something of the repository that is not read, by path."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class GitAnswer:
    """``commit`` is what the ref is now (a tag's own id where it has one); ``why`` belongs to ``FAILED`` and ``GONE``.

    Once read, the files are below ``into``, and ``subject`` and ``author`` are those of the commit.
    """

    outcome: Outcome
    commit: str = ""
    why: str = ""
    subject: str = ""
    author: str = ""
    omitted: tuple[Omission, ...] = ()
