"""How a job continues after a script or an installation of packages has ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from lxc_dashboard.db.models import EventType, PackageManager, Phase
from lxc_dashboard.errors import PhaseFailedError
from lxc_dashboard.guest.base import CommandResult
from lxc_dashboard.guest.supervisor import Outcome, StepEnd
from lxc_dashboard.services.creation.steps.sync import GuestStep, run_step
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.unit.services.creation.doubles import always, tells
from tests.worded import remedy

PLACE = {"script": "20-extra.sh"}


def run() -> Any:
    told: list[tuple[EventType, str]] = []

    async def log(lines: list[str], **_: object) -> None:
        told.extend((EventType.LOG, line) for line in lines)

    return SimpleNamespace(
        checkpoint=Checkpoint(),
        recorder=SimpleNamespace(step=Phase.SYNCING, log=log),
        guest=SimpleNamespace(vmid=101),
        entrance=None,
        door=None,
        **tells(told, kinds=True),
        told=told,
    )


def guest(*output: bytes | StepEnd) -> Any:
    """A supervisor whose step has this output and end."""

    async def follow(*_: object) -> AsyncGenerator[bytes | StepEnd]:
        for item in output:
            yield item

    return SimpleNamespace(follow=follow)


def step(*, optional: bool, manager: PackageManager | None = None) -> GuestStep:
    return GuestStep("script.001", "20-extra.sh", b"exit 3\n", 60, PLACE, optional, manager)


FAILED = StepEnd(Outcome.EXIT, 3, 16)


async def test_the_last_line_is_told_without_a_newline_and_its_bytes_are_counted() -> None:
    job = run()
    await run_step(job, guest(b"first\nla", b"st", StepEnd(Outcome.EXIT, 0, 10)), step(optional=False))
    assert job.told == [(EventType.LOG, "first"), (EventType.LOG, "last")]
    assert job.checkpoint.offset == {"script.001": 10}


async def test_an_optional_script_that_fails_only_warns() -> None:
    job = run()
    await run_step(job, guest(b"it went wrong\n", FAILED), step(optional=True))
    kind, message = job.told[-1]
    assert kind is EventType.WARNING
    assert message.endswith("It is optional: the job goes on")
    assert job.checkpoint.failed == ""


@pytest.mark.parametrize(("optional", "end"), [(False, FAILED), (True, StepEnd(Outcome.STOPPED, 0, 0))])
async def test_a_script_that_is_needed_ends_the_run_and_so_does_a_guest_that_is_stopped(
    optional: bool, end: StepEnd
) -> None:
    job = run()
    with pytest.raises(PhaseFailedError) as failed:
        await run_step(job, guest(end), step(optional=optional))
    assert failed.value.step == "20-extra.sh"
    assert job.checkpoint.failed == "script.001"


@pytest.mark.parametrize(("known", "named"), [(b"nginx\nredis\n", True), (b"redis\n", False)])
async def test_a_package_that_is_not_known_is_told_with_names_that_are_like_it(known: bytes, named: bool) -> None:
    job = run()
    job.door = SimpleNamespace(run=always(CommandResult(0, known, b"")))
    output = guest(b"E: Unable to locate package ngnix\n", StepEnd(Outcome.EXIT, 100, 34))
    with pytest.raises(PhaseFailedError) as failed:
        await run_step(job, output, step(optional=False, manager=PackageManager.APT))
    assert "ngnix" in failed.value.user_message
    assert remedy(failed.value).startswith("Names like it: nginx. ") is named
