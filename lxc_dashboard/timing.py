"""Timeouts and intervals of the product, as one value in ``Runtime``.

The defaults are for production. Tests set shorter times with ``TIMING``, which reaches every process of a stack.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Timing(BaseModel):
    """All times are in seconds. A worker renews its lease several times before the lease ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease_s: float = 10.0
    renew_lease_every_s: float = 3.0
    # A job whose lease has ended is enqueued again by the next reap, once in ``enqueue_again_s``.
    reap_every_s: float = 5.0
    enqueue_again_s: float = 8.0
    # How often the worker finishes what cancelled jobs left in PVE.
    settle_every_s: float = 15.0
    # How often a job checks its ticket while a long step runs.
    check_ticket_every_s: float = 60.0
    # How long to look for the task of a POST whose answer was lost. PVE may not have started it yet.
    find_task_within_s: float = 6.0
    # Shorter for a later worker: it looks again where PVE refuses a second create or start of the guest.
    find_task_again_within_s: float = 2.0
    # How often an open review asks PVE again.
    check_review_every_s: float = 15.0
    # The journal collects events of many jobs for one write.
    journal_pause_s: float = 0.02
    longest_journal_pause_s: float = 0.08
    # The outbox drops entries that Redis refuses, and sends the next ones after this time.
    publish_again_after_s: float = 5.0
