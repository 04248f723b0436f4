"""Packages that a manager says it does not know: which ones, and what in its own lists is called like them."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import DashboardError

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door

log = structlog.get_logger(__name__)

# What apt, apk, dnf, npm and pip say; each pattern's only group is the package.
NAMES: Final = (
    r"unable to locate package (\S+)",
    r"package '?([^' ]+)'? has no installation candidate",
    r"(?<!\S)(\S+) \(no such package\)",
    r"no match for argument: (\S+)",
    r"unable to find a match: (\S+)",
    r"'(@?[^'@]+)@[^']*' is not in (?:this|the npm) registry",
    r"no matching distribution found for ([A-Za-z0-9._-]+(?:\[[^\]]*\])?)(?!\S*[=<>~!])",
)
VERSIONS: Final = (
    r"version '[^']*' for '([^']+)' was not found",
    r"breaks: world\[([^\]]+)\]",
    r"no matching version found for (\S+?)\.?$",
    r"no matching distribution found for (\S+[=<>~!]\S+)",
)
_NAME: Final = re.compile("|".join(NAMES), re.IGNORECASE)
# How a manager's whole list of names is asked for. npm is asked for what it finds itself; pip has no list.
_LISTS: Final[Mapping[PackageManager, tuple[str, ...]]] = {
    PackageManager.APT: ("apt-cache", "pkgnames"),
    PackageManager.APK: ("apk", "search", "--quiet"),
    PackageManager.DNF: ("dnf", "--quiet", "--cacheonly", "repoquery", "--queryformat", "%{name}\n"),
    PackageManager.NPM: ("npm", "search", "--parseable", "--searchlimit=20"),
}
ASKED_WITHIN_S: Final = 20.0
# What a manager says of a package is short; a hostile line of 16 KiB would keep a pattern busy for seconds.
READ_CHARS: Final = 1000
CLOSE_NAMES: Final = 3
LIKENESS: Final = 0.72
LENGTHS_APART: Final = 4


def unknown_name(tail: Sequence[str]) -> str:
    """The first package that the last lines call unknown, without its pin; empty where there is none."""
    for line in tail:
        if found := _NAME.search(line[:READ_CHARS]):
            return next(value for value in found.groups() if value)
    return ""


async def close_names(door: Door, manager: PackageManager, name: str) -> tuple[str, ...]:
    """Names in the guest's own lists that are like ``name``, the likest first. None where the guest cannot say."""
    command = _LISTS.get(manager)
    if command is None or not name:
        return ()
    argv = [*command, name] if manager is PackageManager.NPM else [*command]
    try:
        result = await door.run(argv, timeout_s=ASKED_WITHIN_S)
    except DashboardError as error:
        log.info("no names to compare", manager=manager.value, why=str(error))
        return ()
    known = {line.split("\t")[0].strip() for line in result.text.splitlines()} - {""}
    return await asyncio.to_thread(likest, name, known)


def likest(name: str, known: set[str]) -> tuple[str, ...]:
    """Of tens of thousands of names those that a slip of the keys could have meant."""
    own = _pairs(name)
    near = [
        other
        for other in known
        if other != name and abs(len(other) - len(name)) <= LENGTHS_APART and 2 * len(own & _pairs(other)) >= len(own)
    ]
    # Swapped letters share few pairs in a short name.
    near += [other for other in known if sorted(other) == sorted(name) and other != name]
    return tuple(difflib.get_close_matches(name, sorted(set(near)), CLOSE_NAMES, LIKENESS))


def _pairs(name: str) -> set[str]:
    return {name[at : at + 2] for at in range(len(name) - 1)}
