"""Many containers made at once."""

from __future__ import annotations

from typing import Final

SEVERAL: Final = "Several at once"
SEVERAL_LEAD: Final = (
    "One container for each name. They differ only in their addresses: DHCP, or static from a range, lowest first. "
    "Each gets the next free CT ID."
)
SEVERAL_TITLE: Final = "{containers}: {spans}"
SEVERAL_COUNTED: Final = "{pattern}, {count} containers"
SEVERAL_PLANNED: Final = "Containers to create"
IP_WORDS: Final = {"dhcp": "DHCP", "auto": "SLAAC", "none": "None", "static": ""}
BATCH: Final = "Batch"
BATCH_OF_JOB: Final = "Show its batch"
BATCH_OF: Final = "of"
BATCH_TOTALS: Final = "Totals"
BATCH_READY: Final = "ready"
BATCH_RUNNING: Final = "running or waiting"
BATCH_FAILED: Final = "failed"
BATCH_ENDED: Final = "cancelled or destroyed"
BATCH_CONTAINERS: Final = "Containers of the batch"
BATCH_CAUSE: Final = "Cause"
BATCH_LOST: Final = "Failed, destroyed"
BATCH_ALL_READY: Final = "All containers are ready."
BATCH_FAILED_NEXT: Final = "Retry all failed jobs from the step where each stopped, or open one to see its output."
BATCH_HIDDEN: Final = "more are hidden: you lack the rights to see them"
BATCH_RETRY: Final = "Retry all failed"
BATCH_RETRYING: Final = "Queueing the failed jobs"
BATCH_RETRIED: Final = "Queued {jobs} again"
BATCH_CANCEL: Final = "Cancel all"
BATCH_CANCEL_TITLE: Final = "Cancel the creation of {containers} of {pattern}?"
BATCH_CANCEL_CONSEQUENCE: Final = (
    "Running jobs stop within 15 s, waiting jobs do not begin. Containers that are ready stay; "
    "unfinished containers stay too. Destroy them from their jobs."
)
BATCH_CANCEL_VERB: Final = "Cancel all of them"
BATCH_CANCELLING: Final = "Cancelling all"
BATCH_CANCELLED: Final = "Cancelling {jobs}"
BATCH_REFUSED: Final = "{count} refused, first {name}: {why}"
BATCH_NOTHING_TO_DO: Final = "Nothing left to do"
NO_SUCH_BATCH: Final = "This batch does not exist or was removed"
MISSING_BATCH: Final = "Batch not found"
MISSING_BATCH_DETAIL: Final = (
    "The address is wrong, the batch is gone, or you can see none of its jobs. You see other users' jobs only if PVE lets you see "
    "the containers."
)
PERCENT: Final = "Done"
