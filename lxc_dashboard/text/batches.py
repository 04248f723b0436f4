"""Many containers made at once."""

from __future__ import annotations

from typing import Final

SEVERAL: Final = "Several at once"
SEVERAL_LEAD: Final = (
    "A container for each name, all alike but for their addresses: by DHCP, or static from a range, lowest first. "
    "Each gets the next free CT ID."
)
SEVERAL_TITLE: Final = "{containers}: {spans}"
SEVERAL_COUNTED: Final = "{pattern}, {count} containers"
SEVERAL_PLANNED: Final = "Containers that will be made"
IP_WORDS: Final = {"dhcp": "DHCP", "auto": "SLAAC", "none": "None", "static": ""}
BATCH: Final = "Batch"
BATCH_OF_JOB: Final = "All of its batch"
BATCH_OF: Final = "of"
BATCH_TOTALS: Final = "Totals"
BATCH_READY: Final = "ready"
BATCH_RUNNING: Final = "running or waiting"
BATCH_FAILED: Final = "failed"
BATCH_ENDED: Final = "cancelled or destroyed"
BATCH_CONTAINERS: Final = "Containers of the batch"
BATCH_CAUSE: Final = "Cause"
BATCH_LOST: Final = "Failed, destroyed"
BATCH_ALL_READY: Final = "All of them are ready."
BATCH_FAILED_NEXT: Final = (
    "Retry all that failed from the step where each stopped, or open one to see its output and more choices."
)
BATCH_HIDDEN: Final = "more of this batch may not be seen with your rights"
BATCH_RETRY: Final = "Retry all failed"
BATCH_RETRYING: Final = "Queueing those that failed"
BATCH_RETRIED: Final = "Queued {jobs} again"
BATCH_CANCEL: Final = "Cancel all"
BATCH_CANCEL_TITLE: Final = "Cancel the creation of {containers} of {pattern}?"
BATCH_CANCEL_CONSEQUENCE: Final = (
    "Those that run stop within 15 s, those that wait do not begin. Containers that are ready stay; "
    "what was made of the others stays too, and can be destroyed from each job."
)
BATCH_CANCEL_VERB: Final = "Cancel all of them"
BATCH_CANCELLING: Final = "Asking all to stop"
BATCH_CANCELLED: Final = "Asked {jobs} to stop"
BATCH_REFUSED: Final = "{count} refused, {name} first: {why}"
BATCH_NOTHING_TO_DO: Final = "There was nothing left to do"
NO_SUCH_BATCH: Final = "This batch is not there, or not any more"
MISSING_BATCH: Final = "There is no such batch"
MISSING_BATCH_DETAIL: Final = (
    "The address is wrong, the batch is gone, or you may not see any of its jobs: those of other users show to those whom PVE lets see "
    "the containers."
)
PERCENT: Final = "Done"
