"""A guest that could never be entered, or no longer can."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import KeyRefusedError, PhaseFailedError
from lxc_dashboard.guest.keys import KeyPair
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access import NoWay
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.steps import finalize
from lxc_dashboard.services.creation.steps.deploy import door_of
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.unit.services.creation.doubles import tells
from tests.worded import remedy

KEY = KeyPair("ssh-ed25519 AAAA job", "")


class Shut:
    """A door that refuses the key."""

    async def run(self, _argv: list[str]) -> None:
        raise KeyRefusedError


def run(**facts: bool) -> Any:
    async def flush() -> None:
        pass

    told: list[str] = []
    return SimpleNamespace(
        way=NoWay(Message.of(FailureCode.NO_WAY_NO_ADDRESS, node="pve1")),
        door=None,
        unmarked_door=None,
        checkpoint=Checkpoint(facts=dict(facts)),
        recorder=SimpleNamespace(flush=flush),
        **tells(told),
        told=told,
    )


@pytest.mark.parametrize("marked", [True, False])
def test_what_bars_the_way_is_told_with_what_opens_it(marked: bool) -> None:
    with pytest.raises(PhaseFailedError, match="has no SSH door") as failed:
        door_of(run(), Phase.DEPLOYING, marked=marked)
    assert remedy(failed.value).startswith("Register an SSH door for node pve1: ")
    assert remedy(failed.value).endswith(", then retry")


async def test_a_finished_guest_that_cannot_be_entered_any_more_keeps_what_it_offers_to_itself() -> None:
    job = run()
    await finalize._discover(job)
    await finalize._clear(job)
    assert not job.checkpoint.facts
    assert not job.told


async def test_a_key_that_is_refused_before_it_was_taken_out_is_told() -> None:
    door: Any = Shut()
    with pytest.raises(KeyRefusedError):
        await finalize.lock(run(), door, KEY)


async def test_a_key_that_is_refused_after_a_try_to_take_it_out_is_out() -> None:
    door: Any = Shut()
    job = run(**{finalize.LOCKING: True})
    await finalize.lock(job, door, KEY)
    assert job.told == ["The key of this creation is out of the guest"]
