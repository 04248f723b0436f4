"""The jobs: their list, one job, its log."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.text.common import COPIED, COPY, LOADING, NOT_COPIED

JOB: Final = "Job"
NO_WORKER: Final = "No worker has begun this yet. Start one: lxc-dashboard worker"
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
# What a job of each kind does
JOB_KINDS: Final = {
    "container.create": "Create",
    "container.start": "Start",
    "container.shutdown": "Shut down",
    "container.stop": "Stop",
    "container.reboot": "Restart",
    "snapshot.create": "Snapshot",
}
# A job that a newer version stored, as its page shows it after a downgrade
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
# The same of a job that creates nothing
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
# Of what, as it is counted
STEP_NOUNS: Final = {"files": "file", "packages": "package step", "scripts": "script"}
SHOW_IN_LOG: Final = "Show in the log"
CANCEL_JOB: Final = "Cancel"
CANCEL_JOB_TITLE: Final = "Cancel the creation of CT {vmid} {name}?"
CANCEL_JOB_CONSEQUENCE: Final = (
    "The step that runs is stopped within 15 s. What was made until then stays, and can be destroyed afterwards."
)
CANCEL_JOB_VERB: Final = "Cancel the creation"
CANCEL_ACT_TITLE: Final = "Cancel this job on CT {vmid} {name}?"
CANCEL_ACT_CONSEQUENCE: Final = "Its task in PVE is stopped. What the task did until then stays."
CANCEL_ACT_VERB: Final = "Cancel the job"
OPEN_JOB: Final = "Open the job"
CANCEL_ASKED: Final = "Asked the job of CT {vmid} {name} to stop"
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
BARRED_RETRY: Final = "Only {userid}, whose job it is, may retry it."
BARRED_DESTROY: Final = "To destroy what it left you lack VM.Allocate at /vms/{vmid}."
BARRED_CONSOLE: Final = "For its console you lack VM.Console at /vms/{vmid}."
JOB_GONE: Final = "The container is gone"
LAST_LINES: Final = "Last lines"
SHOW_LAST_LINES: Final = "Show them in the log"
REMEDY: Final = "What to do"
ADDRESS: Final = "Address"
NO_ADDRESS: Final = "None was found"
LISTENS_ON: Final = "Listens on"
LINKS: Final = "May answer at"
CREDENTIALS: Final = "Credentials"
OPEN_IN_LIST: Final = "Open in the list"
CREATE_ANOTHER: Final = "Create another"
WAITING_OWN: Final = (
    "The sign-in that this job acts with has ended, so PVE would refuse it. "
    "Sign in again as {userid}: it then goes on where it stopped. What has run in the guest stays."
)
WAITING_OTHER: Final = (
    "The sign-in that this job acts with has ended, so PVE would refuse it. It goes on when {userid} signs in again."
)
SIGN_IN_AGAIN: Final = "Sign in again"
PAUSED_OWN: Final = (
    "CT {vmid} is made on {node} and not started yet. Change it in PVE as you like, such as by adding mounts: "
    "the job goes on with the first start when you say so."
)
PAUSED_OTHER: Final = "CT {vmid} is made on {node} and not started yet. It goes on when {userid} says so."
GO_ON: Final = "Go on"
WENT_ON: Final = "The job of CT {vmid} {name} goes on"
IN_LINE_AT: Final = "{number} in line"
NEXT_ON: Final = "Next on {node}"
IN_LINE: Final = "A node makes only so many containers at once, so that its storage is not flooded."
QUEUED_NOTE: Final = "It waits for a free worker."
OWN_JOBS_ONLY: Final = "PVE does not answer: only your own jobs are shown"
NO_SUCH_JOB: Final = "This job does not exist or was removed"
MISSING_JOB: Final = "There is no such job"
MISSING_JOB_DETAIL: Final = "The address is wrong, the job is gone, or you may not see it: jobs of other users show to those whom PVE lets see the container."
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
    "copy_hint": "Copy the selection, or the lines that are seen",
    "download": "Download",
    "empty": "Nothing printed yet.",
    "loading": LOADING,
    "signed_out": "The session has ended. Sign in again to read on",
    "gone": "This log is not there, or not for this user",
    "unreadable": "The log cannot be read now. Trying again",
}
