"""The codes of job events. ``lxc_dashboard.text`` turns a code and its parameters into words where they are shown."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.db.repositories import tickets
from lxc_dashboard.messages import Message, MessageCode, Param

__all__ = ["STANDSTILLS", "EventCode", "JobCode", "Message", "Param"]


class EventCode(MessageCode):
    """Base of the codes of events. Texts: ``text/messages/events.py``. A feature declares its codes beside its jobs."""


class JobCode(EventCode):
    """The engine's codes for jobs of all kinds."""

    SIGN_IN_ENDED = tickets.SIGN_IN_ENDED
    PAUSED = "job.paused"
    SLOT_AWAITED = "job.slot_awaited"
    FAILED = "job.failed"
    BROKE = "job.broke"
    STEP_RETRIED = "step.retried"
    TASK_AWAITED = "task.awaited"
    NO_GUEST = "job.no_guest"
    ANOTHER_GUEST = "job.another_guest"
    GUEST_UNKNOWN = "job.guest_unknown"
    DELETED_IN_PVE = "job.deleted_in_pve"
    REPLACED_IN_PVE = "job.replaced_in_pve"
    NEVER_MADE = "job.never_made"
    NOT_RUN_AGAIN = "job.not_run_again"
    KIND_NOT_RUN_AGAIN = "job.kind_not_run_again"
    TOKEN_TOO_OLD = "job.token_too_old"  # noqa: S105 a code
    TOKEN_REFUSED = "job.token_refused"  # noqa: S105 a code


# After these events the job waits for its user or its turn: that time does not count as work.
STANDSTILLS: Final = frozenset({JobCode.PAUSED, JobCode.SIGN_IN_ENDED, JobCode.SLOT_AWAITED})
