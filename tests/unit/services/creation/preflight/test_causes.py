"""The cause of a failed step, taken from its last lines only."""

from __future__ import annotations

import pytest

from lxc_dashboard.db.models import FilePolicy, Phase
from lxc_dashboard.errors import CommandFailedError, PhaseFailedError, PreflightError, TaskFailedError
from lxc_dashboard.guest.supervisor import Outcome, StepEnd
from lxc_dashboard.services.creation.preflight.explain import explain, likely_cause
from lxc_dashboard.services.creation.preflight.findings import FindingCode, error
from lxc_dashboard.services.creation.steps.deploy import unwritable
from lxc_dashboard.services.jobs.engine import ending
from lxc_dashboard.services.templates.model import FileEntry
from tests.worded import cause as words
from tests.worded import remedy


def ended(outcome: Outcome = Outcome.EXIT, status: int = 1) -> StepEnd:
    return StepEnd(outcome, status, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("E: Unable to locate package nginxx", "does not exist for this OS: nginxx"),
        ("Temporary failure resolving 'mirror.example.org'", "names cannot be resolved"),
        ("curl: (6) Could not resolve host: example.org", "names cannot be resolved"),
        ("cp: error writing 'x': No space left on device", "disk of the container is full"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.", "another package manager"),
        ("/root/x.sh: line 3: frobnicate: command not found", "a command is missing in the guest: frobnicate"),
        ("sh: 2: frobnicate: not found", "a command is missing in the guest: frobnicate"),
        ("connect: Network is unreachable", "a server cannot be reached"),
        ("mount: permission denied", "does not permit"),
        ("touch: cannot touch '/etc/x': Read-only file system", "file system of the container is read-only"),
        ("Failed to connect to system scope bus via local transport: Host is down", "systemd does not run"),
        ("Failed to connect to bus: No such file or directory", "systemd does not run"),
        ("curl: (7) Failed to connect to example.org port 80", "a server cannot be reached"),
        ("bash: line 1: log_info: command not found", "a program that the script started knows no helper log_info"),
        ("This script needs zsh, which this guest does not have. Add it", "a command is missing in the guest: zsh"),
    ],
)
def test_the_last_lines_tell_the_cause(line: str, message: str) -> None:
    cause = explain("20-x.sh", ended(), ["Reading package lists", line, "exiting"])
    assert message in words(cause.reason)
    assert words(cause.reason).startswith("20-x.sh ended with status 1")
    assert remedy(cause.reason)


@pytest.mark.parametrize(
    ("line", "of_disk"),
    [
        ("cp: error writing 'x': No space left on device", True),
        ("touch: cannot touch '/etc/x': Read-only file system", True),
        ("mount: permission denied", False),
    ],
)
def test_only_what_cannot_be_written_to_the_disk_may_come_from_a_full_storage(line: str, of_disk: bool) -> None:
    cause = likely_cause([line])
    assert cause is not None
    assert cause.of_disk is of_disk
    assert explain("20-x.sh", ended(), [line]).of_disk is of_disk
    entry = FileEntry("app.conf", "/etc", FilePolicy.REPLACE, b"x")
    assert unwritable(Phase.DEPLOYING, entry, CommandFailedError("Writing", 1, line)).of_disk is of_disk


def test_what_nobody_knows_is_not_guessed() -> None:
    assert likely_cause(["hello", ""]) is None
    assert words(explain("x", ended(status=5), []).reason) == "x ended with status 5"
    assert "memory" in words(explain("x", ended(status=137), []).reason)
    for outcome in (Outcome.TIMEOUT, Outcome.LOST, Outcome.CANCELLED):
        assert words(explain("x", ended(outcome), ["No space left on device"]).reason).startswith("x ")


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.RESTARTED])
def test_a_guest_that_went_under_a_step_is_named_with_it(outcome: Outcome) -> None:
    cause = explain("20-x.sh", ended(outcome), ["No space left on device"], guest="CT 101")
    assert words(cause.reason).startswith(f"CT 101 was {outcome} while 20-x.sh ran: a script ")
    assert "retry" in remedy(cause.reason)


def test_what_a_guest_says_of_a_file_is_cut_and_cleaned() -> None:
    entry = FileEntry("app.conf", "/etc/app", FilePolicy.REPLACE, b"")
    said = "\x1b[31mmv: cannot move\x07\n\n" + "y" * 5000 + "\nmore\n" * 50
    error = unwritable(Phase.DEPLOYING, entry, CommandFailedError("Writing", 1, said))
    assert error.user_message.startswith(
        "app.conf cannot be written to /etc/app/app.conf in the guest: mv: cannot move; yyy"
    )
    assert len(error.user_message) < 400
    assert "status 7" in unwritable(Phase.DEPLOYING, entry, CommandFailedError("Writing", 7, "")).user_message


def test_errors_are_told_without_what_only_the_log_may_know() -> None:
    told = ending.describe(RuntimeError("secret path /x"), Phase.SYNCING, "script.001.a.sh")
    assert "secret" not in str(told)
    failure = PhaseFailedError("syncing", "It failed", step="a.sh")
    assert ending.describe(failure, Phase.SYNCING, "key") == {
        "message": "It failed", "phase": "syncing", "step": "a.sh", "tail": [],
    }  # fmt: skip
    finding = error("vmid", FindingCode.VMID_TAKEN, vmid=101)
    told = ending.describe(PreflightError([finding]), Phase.CREATING, "x")
    assert (told["code"], told["params"]) == ("preflight.vmid.taken", {"vmid": 101})
    assert ending.describe(TaskFailedError("U", "broke", ["a", "b"]), Phase.CREATING, "x")["tail"] == ["a", "b"]
