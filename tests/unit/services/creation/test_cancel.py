"""Messages about a cancelled job that cannot sign in to PVE."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from lxc_dashboard.errors import SessionExpiredError
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.cancel import stop_without_pve
from lxc_dashboard.services.creation.steps.create import CREATE
from lxc_dashboard.services.jobs.engine.recorder import Recorder
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.kinds import Left
from tests.unit.services.creation.doubles import tells


def stopped(checkpoint: Checkpoint) -> tuple[Left, list[str]]:
    told: list[str] = []
    recorder = cast("Recorder", SimpleNamespace(checkpoint=checkpoint, **tells(told)))
    return stop_without_pve(recorder, SessionExpiredError()), told


def test_before_pve_was_asked_for_the_container_none_remains_and_a_download_is_named() -> None:
    assert stopped(Checkpoint()) == (Left(remains=False, owes=False), [])
    left, told = stopped(Checkpoint(active=downloads.STEP))
    assert left == Left(remains=False, owes=False)
    assert [line.startswith("Its task in PVE could not be stopped") for line in told] == [True]


@pytest.mark.parametrize(
    "asked",
    [
        Checkpoint(active=CREATE, intent={CREATE: []}),
        Checkpoint(runs={CREATE: 2}),
        Checkpoint(done=[CREATE]),
        Checkpoint(done=[CREATE], active="script.001.a.sh"),
    ],
)
def test_once_pve_was_asked_for_the_container_it_may_remain(asked: Checkpoint) -> None:
    assert stopped(asked)[0] == Left(remains=True, owes=False)
