"""What a failed job reports: the cause, and what to do."""

from __future__ import annotations

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import ConflictError, PhaseFailedError, PreflightError, TaskFailedError
from lxc_dashboard.services.creation.preflight.findings import FindingCode, error
from lxc_dashboard.services.creation.steps.create import _failure
from lxc_dashboard.services.jobs.engine.ending import describe
from tests.worded import remedy, said


@pytest.mark.parametrize(
    ("exitstatus", "advice"),
    [
        ("volume 'local:vztmpl/x.tar.zst' does not exist", "Choose an OS template"),
        ("Can't find file /var/lib/vz/template/cache/x", "Choose an OS template"),
        ("tar: write error: No space left on device", "The disk may be too small"),
        ("command 'tar xpf -' failed: exit code 2", "The disk may be too small"),
        ("received interrupt", "The task was stopped. Retry it"),
        ("can't lock file '/run/lock/lxc/x' - got timeout", "The task was stopped. Retry it"),
        ("something else", "The log shows what PVE did"),
    ],
)
def test_a_create_that_failed_in_pve_leads_to_what_may_help(exitstatus: str, advice: str) -> None:
    assert remedy(_failure(TaskFailedError("UPID", exitstatus))).startswith(advice)


def test_what_only_the_log_may_know_is_not_told() -> None:
    told = describe(KeyError("secret"), Phase.STARTING, "start.init")
    assert "secret" not in str(told)
    assert (told["phase"], told["step"], told["tail"]) == ("starting", "start.init", [])


def test_a_failed_task_is_told_with_the_end_of_its_log() -> None:
    log = [f"line {at}" for at in range(30)]
    told = describe(TaskFailedError("UPID", "exit code 1", log), Phase.CREATING, "create.container")
    assert told["tail"] == log[-20:]


def test_all_that_preflight_found_is_told() -> None:
    findings = [
        error("node", FindingCode.NODE_UNKNOWN, node="pve1"),
        error("pool", FindingCode.POOL_MISSING, pool="web"),
    ]
    told = describe(PreflightError(findings), Phase.CREATING, "create.check")
    assert all(said(finding) in text.in_words_of(told) for finding in findings)


def test_a_step_names_itself() -> None:
    told = describe(PhaseFailedError("syncing", "It failed", step="a.sh"), Phase.SYNCING, "script.1")
    assert (told["message"], told["step"]) == ("It failed", "a.sh")
    assert describe(ConflictError("Taken"), Phase.CREATING, "create.check")["message"] == "Taken"
