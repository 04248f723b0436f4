"""A cancel ends within 15 s, counting the timeouts of all its parts."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.db import journal
from lxc_dashboard.services.creation import cancel as cancelling
from lxc_dashboard.services.jobs.engine import recorder

DONE_WITHIN_S: Final = 15.0
A_TASK_OR_SCRIPT_ENDS_WITHIN_S: Final = 5.0  # by itself; then PVE or the supervisor kills it


def test_what_a_cancel_may_take_comes_to_fifteen_seconds_whether_or_not_what_ran_could_be_stopped() -> None:
    around = journal.EVERY_S + cancelling.STOP_WITHIN_S + recorder.LAST_WORDS_WITHIN_S
    assert around + cancelling.CLEAR_WITHIN_S + cancelling.LOOK_WITHIN_S <= DONE_WITHIN_S
    assert around + cancelling.LOOK_AGAIN_WITHIN_S <= DONE_WITHIN_S


def test_what_is_given_its_time_to_end_is_not_given_up_before() -> None:
    assert cancelling.STOP_WITHIN_S > A_TASK_OR_SCRIPT_ENDS_WITHIN_S
