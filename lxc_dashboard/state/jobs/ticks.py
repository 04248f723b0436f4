"""The push that tells every page of jobs that something changed."""

from __future__ import annotations

from reflex.state import StateUpdate
from reflex_base.constants.state import FIELD_MARKER

from lxc_dashboard.state.batch import BatchState
from lxc_dashboard.state.jobs.dashboard import DashboardJobsState
from lxc_dashboard.state.jobs.job_list import JobsState


def update_of(tick: int) -> StateUpdate:
    """A push as Reflex's frontend takes it: who shows none of these pages does nothing with it."""
    return StateUpdate(
        delta={
            state.get_full_name(): {f"tick{FIELD_MARKER}": tick}
            for state in (JobsState, BatchState, DashboardJobsState)
        }
    )
