"""How long the product waits and how often it looks, as one value in ``Runtime``.

The defaults are the product's. Tests give shorter times in the setting ``TIMING``, which reaches every process of a stack.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Timing(BaseModel):
    """Seconds. A worker renews its lease several times before the lease ends."""

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
    # A POST whose answer was lost may still be on its way into PVE: its task shows within this time or not at all.
    find_task_within_s: float = 6.0
    # A later worker need not wait as long: PVE refuses a second create or start of one guest, and is asked again then.
    find_task_again_within_s: float = 2.0
    # How often an open review asks PVE again.
    check_review_every_s: float = 15.0
    # The journal collects events of many jobs for one write.
    journal_pause_s: float = 0.02
    longest_journal_pause_s: float = 0.08
    # The outbox drops entries that Redis refuses, and sends the next ones after this time.
    publish_again_after_s: float = 5.0
