"""Texts of errors, by their codes. Each says what failed, then what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.messages.remedies import WithRemedy

_REGISTER: Final = (
    "Register an SSH door for node {node}: lxc-dashboard node add, with --ssh-key-file and --door {node}=HOST"
)
_OTHER_WAY: Final = "or register an SSH door for node {node} (lxc-dashboard node add), then retry"
_WHEN_VALID: Final = "Retry it with a token that is valid, or after signing in"
_NO_WAY: Final = "There is no way into guests of node {node}: it has no SSH door"

ERRORS: Final[Mapping[str, str | WithRemedy]] = {
    # The errors in lxc_dashboard.errors
    "error.unexpected": "Something went wrong",
    "error.not_found": "This does not exist or was removed",
    "error.conflict": "This was changed in the meantime",
    "error.overtaken": "{author} saved revision {number} in the meantime. Compare it before you replace it",
    "error.busy_guest": "{guest} is busy: a job of {userid} works on it ({kind}). Wait for that job, or cancel it",
    "error.lease_gone": "This job is no longer held by this worker",
    "error.invalid_input": "Some fields are invalid",
    "error.rate_limited": "Too many attempts. Try again in {seconds} s",
    "error.service_unavailable": "A service of the dashboard does not answer",
    "error.auth": "Sign in first",
    "error.invalid_credentials": "Sign-in failed: user, realm, password or second factor is wrong",
    "error.tfa_required": "Enter the second factor",
    "error.session_expired": "The session has ended. Sign in again",
    "error.token_refused": "The API token is missing, wrong or no longer valid",
    "error.privilege": "{privilege} at {path} is missing. An administrator can grant it in PVE",
    "error.privilege_for": "{privilege} at {path} is missing {purpose}. An administrator can grant it in PVE",
    "error.privilege_unnamed": "A privilege at this object is missing. An administrator can grant it in PVE",
    "error.unreachable": "PVE cannot be reached",
    "error.tls": "PVE's TLS certificate is not trusted",
    "error.api_status": "PVE answered {status}",
    "error.api_not_implemented": "This PVE does not have {path}: {said}",
    "error.task_failed": "PVE: {exitstatus}",
    "error.task_forgotten": "PVE no longer knows this task",
    "error.task_timeout": "The PVE task did not end within {seconds} s",
    "error.task_cancelled": "The PVE task was stopped",
    "error.guest": "The command in the guest failed",
    "error.guest_unreachable": "The guest cannot be entered",
    "error.guest_gone": "CT {vmid} was deleted in PVE",
    "error.host_key": "The SSH host key of the node is not the pinned one",
    "error.key_refused": "The SSH server refuses the dashboard's key",
    "error.wrong_guest": "This vmid belongs to another container now. Nothing was changed",
    "error.command_failed": "{command} ended with status {status}",
    "error.template": "{file}: {message}",
    "error.template_line": "{file}:{line}: {message}",
    "error.source": "The source of templates cannot be read",
    "error.source_gone": "The source of templates does not exist",
    "error.source_busy": "The templates were read by another process at the same time",
    "error.creation": "The container could not be created",
    "error.preflight": "{findings}",
    "error.crypto": "A stored secret is unreadable",
    "error.wrong_key": "A stored secret was encrypted with a key that is not configured",
    "error.tampered": "A stored secret was changed or belongs to another row",
    "error.pages_not_built": "The pages could not be built",
    "error.pages_not_writable": "The pages are not built and {folder} is not writable. Run `lxc-dashboard web` as its owner once",
    "error.queue_silent": "The queue does not answer",
    "error.starting": "The dashboard is starting",
    # Limits of one caller
    "error.too_many_logs": "You have {most} open logs, the most for one caller. Try again later",
    "error.too_many_exports": "You have {most} exports under way, the most for one caller. Try again later",
    "error.too_many_uploads": "You have {most} uploads under way, the most for one caller. Try again later",
    "error.too_many_requests": "You have {most} requests under way, the most for one caller. Try again later",
    "error.too_many_sockets": "You have {most} open tabs and consoles, the most for one caller. Try again later",
    "error.too_many_user_sockets": "You have {most} open tabs and consoles in all your sessions, the most for one caller. Try again later",
    # Redis and the encryption key
    "bus.silent": "Redis does not answer",
    "bus.disk": "Redis cannot write to its disk",
    "key.invalid": "The encryption key is invalid",
    "key.empty": "is empty",
    "key.not_hex": "has characters other than hex digits",
    "key.bad_length": "has {chars} characters, not {expected}",
    # Access to a guest
    "way_in.none": WithRemedy("There is no way into this guest", "Register an SSH door for its node"),
    "way_in.none.door_failed": WithRemedy("{reason}", _REGISTER),
    "way_in.none.no_address": WithRemedy(f"{_NO_WAY}, and the guest gets no address", _REGISTER),
    "way_in.none.no_ssh_server": WithRemedy(f"{_NO_WAY}, and {{ostemplate}} has no SSH server", _REGISTER),
    "way_in.none.no_route": WithRemedy(f"{_NO_WAY}, and no route leads from the dashboard to {{address}}", _REGISTER),
    "way_in.none.no_key": WithRemedy(f"{_NO_WAY}, and this job has no key for the guest", _REGISTER),
    "way_in.not_entered": WithRemedy("{reason}", "{remedy}, then retry"),
    "way_in.no_door": "There is no way into guests of node {node}",
    "way_in.no_door_after_move": "CT {vmid} was moved to {node}, which has no SSH door at the endpoint",
    "way_in.no_address_yet": "The guest has no address yet",
    # Failures of a creation
    "failure.contact_no_address": WithRemedy(
        "It has no address to be entered at",
        "Give it a static address, have a DHCP server answer on its bridge, or register an SSH door for node {node} (lxc-dashboard node add), then retry",
    ),
    "failure.contact_refused": WithRemedy(
        "{reason}",
        "Its sshd may forbid root (PermitRootLogin) or read its keys elsewhere: choose another OS template, or register an SSH door for node {node} (lxc-dashboard node add), then retry",
    ),
    "failure.contact_no_server": WithRemedy(
        "No SSH server listens on {where} after {seconds} s",
        "Its OS template must have an SSH server (openssh-server) that starts by itself: choose one that does, or register an SSH door for node {node} (lxc-dashboard node add), then retry",
    ),
    "failure.contact_no_route": WithRemedy(
        "{where} is not reached within {seconds} s: {why}",
        "A firewall drops it, or no route leads there from the dashboard: open port 22 for the dashboard, or register an SSH door for node {node} (lxc-dashboard node add), then retry",
    ),
    "failure.contact_failed": WithRemedy(
        "{reason}",
        "Its OS template must have an SSH server (openssh-server) that starts by itself: choose one that does, or register an SSH door for node {node} (lxc-dashboard node add), then retry",
    ),
    "failure.storage_full": WithRemedy(
        "Storage {storage} is full. {reason}",
        "Free space on storage {storage} or choose another storage. Then destroy this container and create it again: its disk may be incomplete",
    ),
    "failure.disk_incomplete": "PVE ended the task of CT {vmid} with OK, but its disk may be incomplete",
    "failure.similar_names": WithRemedy("{cause}", "Names like it: {names}. {remedy}"),
    "failure.file_unwritable": WithRemedy(
        "{name} cannot be written to {target} in the guest: {output}",
        "Correct the file's .path or owner, or clear what blocks it in the guest, then retry",
    ),
    "failure.file_unwritable_because": WithRemedy(
        "{name} cannot be written to {target} in the guest: {output}", "{remedy}"
    ),
    "failure.unprepared": WithRemedy(
        "The helpers cannot be put into the guest: {output}", "Clear what blocks {folders} in the guest, then retry"
    ),
    "failure.unprepared_because": WithRemedy("The helpers cannot be put into the guest: {output}", "{remedy}"),
    "failure.silent_end": "it ended with status {status}",
    "failure.owner_missing": WithRemedy(
        "{target} cannot be given to {owner}, who does not exist after the scripts",
        "Have a script or a package make the user and group, or fix the file's owner",
    ),
    "failure.folder_missing": WithRemedy(
        "{name} has no place: {folder} does not exist after the scripts",
        "Have a script or a package make the directory, or fix the file's .path",
    ),
    "failure.ha_not_started": "HA was asked to start CT {vmid}, which does not run after {seconds} s",
    "failure.not_started": WithRemedy("{reason}", "The log shows what PVE did. Fix the cause, then retry"),
    "failure.deleted": WithRemedy("CT {vmid} was deleted in PVE", "Create it again"),
    "failure.deleted_by": WithRemedy("CT {vmid} was deleted in PVE by {user}", "Create it again"),
    "failure.not_ours": WithRemedy(
        "CT {vmid} is not the container that this job has made",
        "It was replaced, or its notes were rewritten. Nothing was changed in it",
    ),
    "failure.stopped": WithRemedy(
        "CT {vmid} was stopped: a script powered it off, or somebody stopped it",
        "Remove the command that powers it off, if there is one. A retry starts it again, and goes on from here",
    ),
    "failure.vmid_of_other": WithRemedy(
        "CT {vmid} was made by somebody else in the meantime",
        "Create again with another vmid. That container was not changed",
    ),
    "failure.left_behind": WithRemedy(
        "{reason}", "An earlier try of this job has left something of it: destroy that, then create again"
    ),
    "failure.password_gone": WithRemedy(
        "The root password that was given for it is no longer kept", "Edit the job and give the password again"
    ),
    "failure.create_no_ostemplate": WithRemedy(
        "{reason}", "Choose an OS template that is there, or have it downloaded"
    ),
    "failure.create_no_space": WithRemedy(
        "{reason}", "The disk may be too small for the OS template, the storage full, or the template damaged"
    ),
    "failure.create_interrupted": WithRemedy("{reason}", "The task was stopped. Retry it"),
    "failure.create_failed": WithRemedy("{reason}", "The log shows what PVE did"),
    "failure.stop_timeout": "no answer in time",
    # Failures of a request about a creation
    "failure.download_cancelled": "The download of {volume} was cancelled",
    "failure.download_broke": "The download of {volume} failed in the dashboard itself. Its log names the cause",
    "failure.own_user_goes_on": "A job acts as its own user: only that user can let it go on",
    "failure.batch_gone": "This batch does not exist or was removed",
    "failure.no_creation": "This job makes no container",
    "failure.left_not_ours": "CT {vmid} is another container by now, or its notes do not name this job. Nothing was deleted",
    "failure.left_runs": WithRemedy(
        "CT {vmid} still runs, though PVE was asked to stop it. Nothing was deleted",
        "Stop it in PVE, then destroy it again",
    ),
    "failure.left_locked": WithRemedy(
        "CT {vmid} is locked by a task that is not of this job, or PVE still works on it. Nothing was deleted",
        "Wait for that task, then destroy it again",
    ),
    "failure.left_lock_stays": "CT {vmid} keeps the lock 'create'. On {node}, root lifts it with: pct unlock {vmid}",
    "failure.gone_already": "CT {vmid} {hostname} is gone already",
    "failure.not_cleared": "Only what a failed or cancelled job left is destroyed: this one is {state}",
    "failure.credentials_gone": "CT {vmid} {hostname} is gone, and its credentials were deleted",
    "failure.credentials_not_ours": "The notes of CT {vmid} do not name this job: it may be another container, and its credentials are not shown",
    "failure.credential_unknown": "There is no such credential",
    "failure.own_user_edits": "A job acts as the user or token that requested it: only that one can change it and run it again",
    "failure.not_edited": "Only a failed or cancelled job is changed and run again: this one is {state}",
    "failure.spec_unknown": WithRemedy("What was asked for is no longer known", "Create a new container"),
    "failure.not_found_in_pve": "CT {vmid} is not to be found: PVE calls its vmid taken, and no node that answers shows it to you",
    "failure.container_gone": "Its container is gone: create a new one",
    "failure.address_taken": WithRemedy("{faults}", "Edit the job and choose another address"),
    "failure.no_vmid_left": "PVE has no free vmid left",
    # How a step in the guest ended, and causes found in its last lines
    "step.timeout_end": WithRemedy(
        "{title} took longer than its timeout and was stopped",
        "Raise its timeout in the template, or fix what it waits for",
    ),
    "step.stopped_end": WithRemedy(
        "{guest} was stopped while {title} ran: a script powered it off, or somebody stopped it",
        "Remove the command that powers it off, if there is one. A retry starts it again and runs this step again",
    ),
    "step.restarted_end": WithRemedy(
        "{guest} was restarted while {title} ran: a script rebooted it, or somebody restarted it",
        "Remove the command that reboots it, if there is one. Check what the step has done already, then retry it",
    ),
    "step.lost_end": WithRemedy(
        "{title} was lost: its supervisor in the guest was killed, or the container is being shut down",
        "Check what it has done already, then retry it",
    ),
    "step.cancelled_end": "{title} was stopped",
    "step.ended_end": WithRemedy("{title} ended with status {status}", "Its last lines are in the log"),
    "step.failed_end": "{title} ended with status {status}: {cause}",
    "cause.killed": WithRemedy(
        "it was killed, perhaps because memory ran out", "Give the container more memory, then retry"
    ),
    "cause.not_found": WithRemedy("a command is missing in the guest", "Add its package to the template"),
    "cause.not_executable": WithRemedy("a command cannot be executed", "Check its mode and architecture"),
    "cause.names_unresolved": WithRemedy(
        "names cannot be resolved in the guest", "Check the nameserver and the gateway of the container, then retry"
    ),
    "cause.disk_full": WithRemedy("the disk of the container is full", "Give it a larger disk, then retry"),
    "cause.read_only": WithRemedy(
        "a file system of the container is read-only",
        "Make it writable (a mount point may be set to ro), or write elsewhere, then retry",
    ),
    "cause.server_unreached": WithRemedy(
        "a server cannot be reached from the guest", "Check the container's network, gateway and firewall, then retry"
    ),
    "cause.manager_busy": WithRemedy("another package manager runs in the guest", "Retry when it has ended"),
    "cause.dpkg_interrupted": WithRemedy(
        "an installation in the guest was interrupted and is not finished",
        "Run dpkg --configure -a in its console, then retry. Packages of a template do so by themselves",
    ),
    "cause.certificate": WithRemedy(
        "a certificate is refused in the guest", "Check the node's clock and the guest's CA certificates, then retry"
    ),
    "cause.memory": WithRemedy("the memory of the container is used up", "Give it more memory, then retry"),
    "cause.system_package": WithRemedy(
        "the system's own manager keeps a package that another version would replace",
        "Remove its pin, or let a script install it into a virtual environment",
    ),
    "cause.version_unknown": WithRemedy(
        "this version is not offered: {what}", "Correct the pin in the template, or remove the package in the wizard"
    ),
    "cause.package_unknown": WithRemedy(
        "a package does not exist for this OS: {what}", "Correct its name in the template, or remove it in the wizard"
    ),
    "cause.no_systemd": WithRemedy(
        "systemd does not run in the guest",
        "Choose an OS template that starts with systemd, or change the script to work without it",
    ),
    "cause.no_helper": WithRemedy(
        "a program that the script started knows no helper {what}",
        "Call the helpers in the script itself: what it starts does not have them",
    ),
    "cause.command_asked_for": WithRemedy(
        "a command is missing in the guest: {what}", "Add its package to the template, before the script that needs it"
    ),
    "cause.command_missing": WithRemedy(
        "a command is missing in the guest: {what}", "Add its package to the template, before the script that needs it"
    ),
    "cause.not_permitted": WithRemedy(
        "the container does not permit this", "An unprivileged container may need nesting, keyctl or fuse for it"
    ),
    # Jobs
    "job.no_guest": "There is no CT {vmid}, or you may not see it",
    "job.guest_unknown": "PVE does not tell now whether CT {vmid} is still the container of this job",
    "job.another_guest": "CT {vmid} is another container by now",
    "job.deleted_in_pve": "Deleted in PVE",
    "job.replaced_in_pve": "Deleted in PVE, which gave its vmid to another guest",
    "job.never_made": "Its job left no container in PVE",
    "job.not_run_again": "Only a failed or cancelled job is run again: this one is {state}",
    "job.kind_not_run_again": "Jobs of the kind {kind} cannot be run again",
    "job.token_too_old": WithRemedy("A job acts with an API token for {hours} h at most", _WHEN_VALID),
    "job.token_refused": WithRemedy("PVE no longer accepts the API token {tokenid}", _WHEN_VALID),
    # Sign-in, and acts on containers
    "auth.too_many_new_tokens": "Too many unknown API tokens are being checked. Try again",
    "auth.no_such_endpoint": "No PVE endpoint has this name",
    "auth.no_default_endpoint": "There is no default PVE endpoint. Name one with ?endpoint=",
    "container.stopped": "{guest} is stopped. Start it first",
    "container.console.no_port": (
        "PVE opened no console for {guest}: all console ports of node {node} are in use. "
        "Close unused consoles, in PVE's own pages too, then connect again. PVE's message: {said}"
    ),
    "container.console.not_ready": (
        "PVE opened no console for {guest}: its terminal was not ready on node {node} in time. "
        "Connect again. If that fails, see its Console task in PVE. PVE's message: {said}"
    ),
    "container.console.refused": WithRemedy(
        "PVE opened no console for {guest}: {said}", "See its Console task in PVE on node {node}"
    ),
    # Presets
    "preset.of_another": WithRemedy("{name} is {owner}'s preset: only its owner changes it", "Save one of your own"),
    "preset.shared_meanwhile": WithRemedy("{name} was shared meanwhile", "Try again"),
    "preset.unnamed": "Give it a name",
    "preset.bad_name": "{most} visible characters at most",
    "preset.sharing": "for sharing a preset",
    "preset.too_many": WithRemedy("You have {most} presets", "Delete one first"),
}
