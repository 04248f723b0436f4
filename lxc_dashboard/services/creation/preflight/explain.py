"""Explain a failed step or task by its last lines, and say what to do.

For a package that its manager does not know, find similar names in the manager's lists.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.guest.supervisor import Outcome, StepEnd
from lxc_dashboard.messages import Message, MessageCode

if TYPE_CHECKING:
    from lxc_dashboard.guest.base import Door


log = structlog.get_logger(__name__)

# Errors of apt, apk, dnf, npm and pip. The only group of each pattern is the package.
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
# Commands that list all package names of a manager. npm can only search, and pip has no list.
_LISTS: Final[Mapping[PackageManager, tuple[str, ...]]] = {
    PackageManager.APT: ("apt-cache", "pkgnames"),
    PackageManager.APK: ("apk", "search", "--quiet"),
    PackageManager.DNF: ("dnf", "--quiet", "--cacheonly", "repoquery", "--queryformat", "%{name}\n"),
    PackageManager.NPM: ("npm", "search", "--parseable", "--searchlimit=20"),
}
ASKED_WITHIN_S: Final = 20.0
# A manager's lines are short. A hostile line of 16 KiB would keep a pattern busy for seconds.
READ_CHARS: Final = 1000
CLOSE_NAMES: Final = 3
LIKENESS: Final = 0.72
LENGTHS_APART: Final = 4


def unknown_name(tail: Sequence[str]) -> str:
    """The first package that the last lines call unknown, without its version. Empty if there is none."""
    for line in tail:
        if found := _NAME.search(line[:READ_CHARS]):
            return next(value for value in found.groups() if value)
    return ""


async def close_names(door: Door, manager: PackageManager, name: str) -> tuple[str, ...]:
    """Names in the guest's package lists similar to ``name``, most similar first. Empty if it cannot list them."""
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
    """Names in ``known`` for which ``name`` may be a typing error. Fast enough for tens of thousands of names."""
    own = _pairs(name)
    near = [
        other
        for other in known
        if other != name and abs(len(other) - len(name)) <= LENGTHS_APART and 2 * len(own & _pairs(other)) >= len(own)
    ]
    # In a short name, swapped letters leave few common pairs.
    near += [other for other in known if sorted(other) == sorted(name) and other != name]
    return tuple(difflib.get_close_matches(name, sorted(set(near)), CLOSE_NAMES, LIKENESS))


def _pairs(name: str) -> set[str]:
    return {name[at : at + 2] for at in range(len(name) - 1)}


_KILLED: Final = 137
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126


class CauseCode(MessageCode):
    """How a step ended, and the likely causes in its last lines."""

    STEP_TIMEOUT = "step.timeout_end"
    STEP_STOPPED = "step.stopped_end"
    STEP_RESTARTED = "step.restarted_end"
    STEP_LOST = "step.lost_end"
    STEP_CANCELLED = "step.cancelled_end"
    STEP_ENDED = "step.ended_end"
    STEP_FAILED = "step.failed_end"
    KILLED = "cause.killed"
    NOT_FOUND = "cause.not_found"
    NOT_EXECUTABLE = "cause.not_executable"
    NAMES_UNRESOLVED = "cause.names_unresolved"
    DISK_FULL = "cause.disk_full"
    READ_ONLY = "cause.read_only"
    SERVER_UNREACHED = "cause.server_unreached"
    MANAGER_BUSY = "cause.manager_busy"
    DPKG_INTERRUPTED = "cause.dpkg_interrupted"
    CERTIFICATE = "cause.certificate"
    MEMORY = "cause.memory"
    SYSTEM_PACKAGE = "cause.system_package"
    VERSION_UNKNOWN = "cause.version_unknown"
    PACKAGE_UNKNOWN = "cause.package_unknown"
    NO_SYSTEMD = "cause.no_systemd"
    NO_HELPER = "cause.no_helper"
    COMMAND_ASKED_FOR = "cause.command_asked_for"
    COMMAND_MISSING = "cause.command_missing"
    NOT_PERMITTED = "cause.not_permitted"


@dataclass(frozen=True, slots=True)
class Cause:
    """A likely cause. ``of_disk``: the guest could not write to its disk. ``what``: a package or command."""

    reason: Message
    of_disk: bool = False
    what: str = ""


# Root causes first: without DNS or a network, the other errors of a package manager mean nothing.
_CAUSES: Final[tuple[tuple[re.Pattern[str], Cause], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (
            (
                r"temporary failure (?:in name )?resol|could not resolve|name or service not known|bad address|"
                r"\bENOTFOUND\b|\bEAI_AGAIN\b|DNS lookup error|"
                r"\bDNS: (?:transient error|no address|name does not|address family|non-recoverable)"
            ),
            Cause(Message.of(CauseCode.NAMES_UNRESOLVED)),
        ),
        (
            (
                r"no space left on device|disk quota exceeded|not enough free (?:disk )?space|\bENOSPC\b|"
                r"needs \S+ (?:more space )?on the \S+ filesystem"
            ),
            Cause(Message.of(CauseCode.DISK_FULL), of_disk=True),
        ),
        (r"read-only file system|\bEROFS\b", Cause(Message.of(CauseCode.READ_ONLY), of_disk=True)),
        (
            (
                r"network is unreachable|no route to host|connection timed out|connection refused|"
                r"failed to connect(?! to (?:system scope |user scope )?bus)|"
                r"\bE(?:TIMEDOUT|CONNREFUSED|HOSTUNREACH|NETUNREACH)\b|network error|could ?n[o']t connect to server|"
                # apk 2 also prints this for failed name resolution
                r"temporary error \(try again later\)"
            ),
            Cause(Message.of(CauseCode.SERVER_UNREACHED)),
        ),
        (
            (
                r"could not get lock|unable to (?:acquire|lock).*(?:dpkg|apt|database)|is another process using it|"
                r"is still locked by another process"
            ),
            Cause(Message.of(CauseCode.MANAGER_BUSY)),
        ),
        (r"dpkg was interrupted", Cause(Message.of(CauseCode.DPKG_INTERRUPTED))),
        (
            (
                r"certificate (?:verify failed|is not yet valid|has expired)|release file .* is not valid yet|"
                r"TLS: server (?:certificate not trusted|hostname mismatch)|"
                r"\b(?:UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|CERT_NOT_YET_VALID)\b"
            ),
            Cause(Message.of(CauseCode.CERTIFICATE)),
        ),
        (r"out of memory|cannot allocate memory", Cause(Message.of(CauseCode.MEMORY))),
        (r"uninstall-no-record-file|externally-managed-environment", Cause(Message.of(CauseCode.SYSTEM_PACKAGE))),
        ("|".join(VERSIONS), Cause(Message.of(CauseCode.VERSION_UNKNOWN, what=""))),
        ("|".join(NAMES), Cause(Message.of(CauseCode.PACKAGE_UNKNOWN, what=""))),
        (
            r"not been booted with systemd|failed to connect to (?:system scope |user scope )?bus",
            Cause(Message.of(CauseCode.NO_SYSTEMD)),
        ),
        (
            (
                r"(?:^|: )(log_(?:info|warn|error)|(?:is|ensure)_installed|run_as_user|wait_for_apt_lock|generate_password|"
                r"save_credential): (?:command )?not found"
            ),
            Cause(Message.of(CauseCode.NO_HELPER, what="")),
        ),
        (
            r"This script needs (\S+), which this guest does not have",
            Cause(Message.of(CauseCode.COMMAND_ASKED_FOR, what="")),
        ),
        (r"(?:^|: )([\w./+-]+): (?:command )?not found", Cause(Message.of(CauseCode.COMMAND_MISSING, what=""))),
        (r"operation not permitted|permission denied|\bEACCES\b", Cause(Message.of(CauseCode.NOT_PERMITTED))),
    )
)


def explain(
    title: str, end: StepEnd, tail: Sequence[str], *, guest: str = "The container", installs: bool = False
) -> Cause:
    """The likely cause of a step's failure. ``installs``: a package manager printed the lines."""
    ends = {
        Outcome.TIMEOUT: Message.of(CauseCode.STEP_TIMEOUT, title=title),
        Outcome.STOPPED: Message.of(CauseCode.STEP_STOPPED, title=title, guest=guest),
        Outcome.RESTARTED: Message.of(CauseCode.STEP_RESTARTED, title=title, guest=guest),
        Outcome.LOST: Message.of(CauseCode.STEP_LOST, title=title),
        Outcome.CANCELLED: Message.of(CauseCode.STEP_CANCELLED, title=title),
    }
    if end.outcome in ends:
        return Cause(ends[end.outcome])
    status = end.exit_status
    likely = (deepest_cause(tail) if installs else likely_cause(tail)) or _by_status(status)
    if likely is None:
        return Cause(Message.of(CauseCode.STEP_ENDED, title=title, status=status))
    return replace(likely, reason=Message.of(CauseCode.STEP_FAILED, title=title, status=status, cause=likely.reason))


def likely_cause(tail: Sequence[str]) -> Cause | None:
    """The cause in the newest line that matches a pattern, for scripts. None if no line does."""
    for line in reversed(tail):
        for pattern, cause in _CAUSES:
            if found := pattern.search(line[:READ_CHARS]):
                return _told(found, cause)
    return None


def deepest_cause(tail: Sequence[str]) -> Cause | None:
    """The root cause, for package managers. One that reached no server later calls every package unknown."""
    for pattern, cause in _CAUSES:
        for line in reversed(tail):
            if found := pattern.search(line[:READ_CHARS]):
                return _told(found, cause)
    return None


def _told(found: re.Match[str], cause: Cause) -> Cause:
    what = next((value for value in found.groups() if value), "")
    if "what" not in cause.reason.params:
        return cause
    return replace(cause, reason=replace(cause.reason, params={"what": what}), what=what)


def _by_status(status: int) -> Cause | None:
    return {
        _KILLED: Cause(Message.of(CauseCode.KILLED)),
        _NOT_FOUND: Cause(Message.of(CauseCode.NOT_FOUND)),
        _NOT_EXECUTABLE: Cause(Message.of(CauseCode.NOT_EXECUTABLE)),
    }.get(status)
