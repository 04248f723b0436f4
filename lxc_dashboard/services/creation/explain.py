"""Why a step or a task failed, and what to do about it, as far as its last lines tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lxc_dashboard.guest.supervisor import Outcome, StepEnd
from lxc_dashboard.services.creation.steps import unknown_packages as unknown

_KILLED: Final = 137
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126


@dataclass(frozen=True, slots=True)
class Cause:
    """``of_disk``: the guest could not write to its disk."""

    message: str
    remedy: str = ""
    of_disk: bool = False


# In the order of what lies deeper: without names or a network nothing else a package manager says is to be believed.
_CAUSES: Final[tuple[tuple[re.Pattern[str], Cause], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), Cause(*cause))
    for pattern, *cause in (
        (
            (
                r"temporary failure (?:in name )?resol|could not resolve|name or service not known|bad address|"
                r"\bENOTFOUND\b|\bEAI_AGAIN\b|DNS lookup error|"
                r"\bDNS: (?:transient error|no address|name does not|address family|non-recoverable)"
            ),
            "names cannot be resolved in the guest",
            "Check the nameserver and the gateway of the container, then retry",
        ),
        (
            (
                r"no space left on device|disk quota exceeded|not enough free (?:disk )?space|\bENOSPC\b|"
                r"needs \S+ (?:more space )?on the \S+ filesystem"
            ),
            "the disk of the container is full",
            "Give it a larger disk, then retry",
            True,
        ),
        (
            r"read-only file system|\bEROFS\b",
            "a file system of the container is read-only",
            "Make it writable (a mount point may be set to ro), or write elsewhere, then retry",
            True,
        ),
        (
            (
                r"network is unreachable|no route to host|connection timed out|connection refused|"
                r"failed to connect(?! to (?:system scope |user scope )?bus)|"
                r"\bE(?:TIMEDOUT|CONNREFUSED|HOSTUNREACH|NETUNREACH)\b|network error|could ?n[o']t connect to server|"
                # apk 2 has these words for names, too
                r"temporary error \(try again later\)"
            ),
            "a server cannot be reached from the guest",
            "Check the container's network, gateway and firewall, then retry",
        ),
        (
            (
                r"could not get lock|unable to (?:acquire|lock).*(?:dpkg|apt|database)|is another process using it|"
                r"is still locked by another process"
            ),
            "another package manager runs in the guest",
            "Retry when it has ended",
        ),
        (
            r"dpkg was interrupted",
            "an installation in the guest was interrupted and is not finished",
            "Run dpkg --configure -a in its console, then retry. Packages of a template do so by themselves",
        ),
        (
            (
                r"certificate (?:verify failed|is not yet valid|has expired)|release file .* is not valid yet|"
                r"TLS: server (?:certificate not trusted|hostname mismatch)|"
                r"\b(?:UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|CERT_NOT_YET_VALID)\b"
            ),
            "a certificate is refused in the guest",
            "Check the node's clock and the guest's CA certificates, then retry",
        ),
        (
            r"out of memory|cannot allocate memory",
            "the memory of the container is used up",
            "Give it more memory, then retry",
        ),
        (
            r"uninstall-no-record-file|externally-managed-environment",
            "the system's own manager keeps a package that another version would replace",
            "Take its pin out, or let a script install it into a virtual environment",
        ),
        (
            "|".join(unknown.VERSIONS),
            "this version is not offered: {what}",
            "Correct the pin in the template, or remove the package in the wizard",
        ),
        (
            "|".join(unknown.NAMES),
            "a package does not exist for this OS: {what}",
            "Correct its name in the template, or remove it in the wizard",
        ),
        (
            r"not been booted with systemd|failed to connect to (?:system scope |user scope )?bus",
            "systemd does not run in the guest",
            "Choose an OS template that starts with systemd, or have the script do without it",
        ),
        (
            (
                r"(?:^|: )(log_(?:info|warn|error)|(?:is|ensure)_installed|run_as_user|wait_for_apt_lock|generate_password|"
                r"save_credential): (?:command )?not found"
            ),
            "a program that the script started knows no helper {what}",
            "Call the helpers in the script itself: what it starts does not have them",
        ),
        (
            r"This script needs (\S+), which this guest does not have",
            "a command is missing in the guest: {what}",
            "Add its package to the template, before the script that needs it",
        ),
        (
            r"(?:^|: )([\w./+-]+): (?:command )?not found",
            "a command is missing in the guest: {what}",
            "Add its package to the template, before the script that needs it",
        ),
        (
            r"operation not permitted|permission denied|\bEACCES\b",
            "the container does not permit this",
            "An unprivileged container may need nesting, keyctl or fuse for it",
        ),
    )
)


_ENDS: Final[Mapping[Outcome, tuple[str, str]]] = {
    Outcome.TIMEOUT: (
        "{title} took longer than it may, and was ended",
        "Raise its timeout in the template, or fix what it waits for",
    ),
    Outcome.STOPPED: (
        "{guest} was stopped while {title} ran: a script powered it off, or somebody stopped it",
        "Take out what powers it off, if it is that. A retry starts it again, and runs this step anew",
    ),
    Outcome.RESTARTED: (
        "{guest} was restarted while {title} ran: a script rebooted it, or somebody restarted it",
        "Take out what reboots it, if it is that. Look what the step has done already, then retry it",
    ),
    Outcome.LOST: (
        "{title} was lost: its supervisor in the guest was killed, or the container is being shut down",
        "Look what it has done already, then retry it",
    ),
    Outcome.CANCELLED: ("{title} was stopped", ""),
}


def explain(
    title: str, end: StepEnd, tail: Sequence[str], *, guest: str = "The container", installs: bool = False
) -> Cause:
    """The likely cause of a step's end that is no success. ``installs``: a package manager printed the lines."""
    if end.outcome in _ENDS:
        message, remedy = _ENDS[end.outcome]
        return Cause(message.format(title=title, guest=guest), remedy)
    likely = (deepest_cause(tail) if installs else likely_cause(tail)) or _by_status(end.exit_status)
    if likely is None:
        return Cause(f"{title} ended with status {end.exit_status}", "Its last lines stand in the log")
    return replace(likely, message=f"{title} ended with status {end.exit_status}: {likely.message}")


def likely_cause(tail: Sequence[str]) -> Cause | None:
    """What the last lines of a script speak of, the newest first; None where they say nothing known."""
    for line in reversed(tail):
        for pattern, cause in _CAUSES:
            if found := pattern.search(line[: unknown.READ_CHARS]):
                return _told(found, cause)
    return None


def deepest_cause(tail: Sequence[str]) -> Cause | None:
    """What explains the rest: a manager that reached no server goes on to say that it knows no package."""
    for pattern, cause in _CAUSES:
        for line in reversed(tail):
            if found := pattern.search(line[: unknown.READ_CHARS]):
                return _told(found, cause)
    return None


def _told(found: re.Match[str], cause: Cause) -> Cause:
    what = next((value for value in found.groups() if value), "")
    return replace(cause, message=cause.message.format(what=what) if "{" in cause.message else cause.message)


def _by_status(status: int) -> Cause | None:
    return {
        _KILLED: Cause("it was killed, perhaps for want of memory", "Give the container more memory, then retry"),
        _NOT_FOUND: Cause("a command is missing in the guest", "Add its package to the template"),
        _NOT_EXECUTABLE: Cause("a command cannot be executed", "Look at its mode and architecture"),
    }.get(status)
