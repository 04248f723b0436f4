"""Texts about jobs: the list, the page of one job, its log."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import COPIED, COPY, LOADING, NOT_COPIED

JOB: Final = "Job"
WAITS_FOR: Final = ("Waits for 1 other on {node}", "Waits for {count} others on {node}")
NO_WORKER: Final = "No worker has taken this job yet. Start one: lxc-dashboard worker"
JOB_STATE: Final = "State"
JOB_NAME: Final = "Name"
CT: Final = "CT"
STARTED: Final = "Started"
TOOK: Final = "Took"
ALL_JOBS: Final = "All jobs"
JOBS_OF_STATE: Final = "Show"
JOB_FILTERS: Final = {
    "open": "Running or waiting",
    "paused": "Paused",
    "done": "Ready or done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
NO_JOBS: Final = "No jobs yet"
NO_JOBS_NEXT: Final = (
    "A job creates, starts, stops or changes one container. It shows its steps, its output and its result."
)
NO_JOB_MATCHES: Final = "No job matches"
# The verb of each kind
JOB_KINDS: Final = {
    "container.create": "Create",
    "container.destroy": "Destroy",
    "container.start": "Start",
    "container.shutdown": "Shut down",
    "container.stop": "Stop",
    "container.reboot": "Restart",
    "ostemplate.download": "Download",
    "container.clone": "Clone",
    "container.migrate": "Migrate",
    "container.delete": "Delete",
    "disk.resize": "Resize",
    "backup.create": "Back up",
    "snapshot.create": "Snapshot",
    "snapshot.rollback": "Roll back",
    "snapshot.delete": "Delete snapshot",
}
# On the page of a job that a newer version stored, after a downgrade
UNKNOWN_KIND: Final = (
    "This version of the dashboard does not know jobs of the kind {kind}, so its page shows no details. "
    "Upgrade the dashboard and its workers to the version that ran the job."
)
UNKNOWN_KIND_WAITS: Final = (
    "This version of the dashboard does not know jobs of the kind {kind}, so no worker of this version runs it. "
    "Upgrade the dashboard and its workers to the version that stored the job: they then go on with it."
)
SEARCH_JOBS: Final = "Search by name, vmid, template or user"
BY_NODE: Final = "Node"
ANY_NODE: Final = "Any node"
BY_TEMPLATE: Final = "Template"
ANY_TEMPLATE: Final = "Any template"
JOB_KIND: Final = "Kind"
ANY_KIND: Final = "Any kind"
BY_GUEST: Final = "Guest: vmid or name"
ANY_USER: Final = "Any user"
JOB_PAGES: Final = "Pages of jobs"
NEWER_JOBS: Final = "Newer"
OLDER_JOBS: Final = "Older"
JOBS_WINDOW: Final = "{first} to {last} of {total}"
JOB_STATES: Final = {
    "queued": "Queued",
    "running": "Running",
    "waiting": "Waits for sign-in",
    "paused": "Paused",
    "cancelling": "Cancelling",
    "done": "Ready",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
# For jobs that create no container
ACT_STATES: Final = {**JOB_STATES, "running": "Running", "done": "Done"}
JOB_RUNNING: Final = "{phase} {percent} %"
JOB_FAILED_IN: Final = "Failed in {phase}"
ON_NODE: Final = "on"
FROM_TEMPLATE: Final = "from"
WITHOUT_TEMPLATE: Final = "without a template"
BY_USER: Final = "by"
PROGRESS: Final = "Progress"
ELAPSED: Final = "Time taken"
STEPS: Final = "Steps"
STEP_MARKS: Final = {
    "todo": "To come",
    "active": "Running",
    "waiting": "Waiting",
    "done": "Done",
    "warned": "Done, with a warning",
    "failed": "Failed",
    "stopped": "Stopped",
}
STEP_NUMBERED: Final = "{title}, {number} of {all}"
STEP_COUNTS: Final = {
    "files": "{done} of {counted}",
    "packages": "packages {done}/{all}",
    "scripts": "scripts {done}/{all}",
}
# Nouns for the counts
STEP_NOUNS: Final = {"files": "file", "packages": "package step", "scripts": "script"}
SHOW_IN_LOG: Final = "Show in the log"
CANCEL_JOB: Final = "Cancel"
CANCEL_JOB_TITLE: Final = "Cancel the creation of CT {vmid} {name}?"
CANCEL_JOB_CONSEQUENCE: Final = (
    "The running step stops within 15 s. The container stays as it is then. You can destroy it afterwards."
)
CANCEL_JOB_VERB: Final = "Cancel the creation"
CANCEL_ACT_TITLE: Final = "Cancel this job on CT {vmid} {name}?"
CANCEL_ACT_CONSEQUENCE: Final = "Stops its task in PVE. What the task has already done stays."
CANCEL_ACT_VERB: Final = "Cancel the job"
OPEN_JOB: Final = "Open the job"
CANCEL_ASKED: Final = "Cancelling the job of {guest}"
RETRY_FROM: Final = "Retry from {step}"
RETRIED: Final = "Queued the job of CT {vmid} {name} again"
KEEP: Final = "Keep as it is"
KEPT: Final = "CT {vmid} {name} is kept as it is."
OTHER_CHOICES: Final = "Other choices"
DESTROY: Final = "Destroy"
DESTROY_TITLE: Final = "Destroy CT {vmid} {name}?"
DESTROY_CONSEQUENCE: Final = "The container on {node} and its disk are deleted. Backups stay."
DESTROY_ASK: Final = "Type {vmid} to confirm"
DESTROYING: Final = "Destroying CT {vmid} {name}"
EDIT_AND_RETRY: Final = "Edit and retry"
CREATE_AGAIN: Final = "Create again"
JOB_FAILED_TITLE: Final = "Failed at {step}"
JOB_CANCELLED_TITLE: Final = "Cancelled"
JOB_READY_TITLE: Final = "CT {vmid} {name} is ready"
BARRED_RETRY: Final = "Only {userid} can retry this job."
BARRED_DESTROY: Final = "You need VM.Allocate at /vms/{vmid} to destroy its container."
BARRED_CONSOLE: Final = "You need VM.Console at /vms/{vmid} to open its console."
JOB_GONE: Final = "The container is gone"
LAST_LINES: Final = "Last lines"
SHOW_LAST_LINES: Final = "Show them in the log"
REMEDY: Final = "What to do"
ADDRESS: Final = "Address"
NO_ADDRESS: Final = "None found"
LISTENS_ON: Final = "Listens on"
LINKS: Final = "Possible links"
CREDENTIALS: Final = "Credentials"
OPEN_IN_LIST: Final = "Open in the list"
CREATE_ANOTHER: Final = "Create another"
WAITING_OWN: Final = (
    "The session of this job has ended, so PVE would refuse its requests. "
    "Sign in again as {userid}: the job then goes on where it stopped. What ran in the guest stays."
)
WAITING_OTHER: Final = (
    "The session of this job has ended, so PVE would refuse its requests. It goes on when {userid} signs in again."
)
SIGN_IN_AGAIN: Final = "Sign in again"
PAUSED_OWN: Final = (
    "CT {vmid} is created on {node} and not started yet. You can change it in PVE now, for example add mounts. "
    "Go on when it is ready for its first start."
)
PAUSED_OTHER: Final = "CT {vmid} is created on {node} and not started yet. Only {userid} can let the job go on."
GO_ON: Final = "Go on"
WENT_ON: Final = "The job of CT {vmid} {name} goes on"
IN_LINE_AT: Final = "{number} in line"
NEXT_ON: Final = "Next on {node}"
IN_LINE: Final = "A node creates only a few containers at once, to keep its storage responsive."
QUEUED_NOTE: Final = "It waits for a free worker."
OWN_JOBS_ONLY: Final = "PVE does not answer: only your own jobs are shown"
NO_SUCH_JOB: Final = "This job does not exist or was removed"
MISSING_JOB: Final = "Job not found"
MISSING_JOB_DETAIL: Final = "The address is wrong, the job was removed, or you may not see it. You see other users' jobs only if PVE lets you see the container."
CREDENTIAL_WORDS: Final = {
    "reveal": "Reveal",
    "hide": "Hide",
    "copy": COPY,
    "copied": COPIED,
    "copy_failed": NOT_COPIED,
    "failed": "It cannot be shown now",
}
LOG_WORDS: Final = {
    "log": "Log",
    "output": "Output",
    "follow": "Follow",
    "follow_hint": "Keep to the newest line",
    "fresh": "new",
    "phase": "Phase",
    "all_phases": "All phases",
    "search": "Search the log",
    "of": "of",
    "nothing": "Nothing found",
    "previous": "Previous match",
    "next": "Next match",
    "wrap": "Wrap",
    "wrap_hint": "Break long lines",
    "copy": COPY,
    "copied": COPIED,
    "copy_failed": NOT_COPIED,
    "copy_hint": "Copy the selection, or the visible lines",
    "download": "Download",
    "empty": "Nothing printed yet.",
    "loading": LOADING,
    "signed_out": "The session has ended. Sign in again to continue",
    "gone": "This log does not exist, or you may not see it",
    "unreadable": "The log cannot be read now. Trying again",
}
