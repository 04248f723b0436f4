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
    "container.running": "{guest} runs. Stop it first",
    "container.protected": "{guest} is protected. Switch its protection off first",
    "container.not_confirmed": "Confirm that {guest} is to be deleted: {vmid}",
    "container.moved": "{guest} is no longer on {node}. Try again",
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


OF_DATABASE: Final[Mapping[str, str | WithRemedy]] = {
    "database.endpoint_name": "An endpoint with this name already exists",
    "database.endpoint_address": "An endpoint with this host and port already exists",
    "database.endpoint_default": WithRemedy("Another endpoint has become the default", "Reload the page"),
    "database.endpoint_has_containers": WithRemedy("This endpoint still has containers", "Delete them first"),
    "database.endpoint_has_jobs": "This endpoint still has jobs",
    "database.vmid": "This vmid is already in use on this endpoint",
    "database.container_marker": "This container is already registered",
    "database.preset_name": "You already have a preset with this name",
    "database.source_name": "A template source with this name already exists",
    "database.template_name": "This source already has a template with this name",
    "database.template_has_jobs": "Jobs still use this template",
    "database.revision_number": WithRemedy("Another user saved a new revision of this template", "Reload it"),
    "database.bucket_name": "A package bucket with this name already exists",
    "database.guest_locked": WithRemedy("Another job uses this container", "Wait for it or cancel it"),
    "database.job_taken_over": "Another worker has taken over this job",
    "database.audit_append_only": "Audit entries cannot be changed",
    "database.exists": "This {table} already exists",
    "database.in_use": "This is still in use",
    "database.parent_gone": "The object that this belongs to does not exist or was removed",
    "database.invalid_value": "A value cannot be stored",
    "database.pool_busy": "The database is busy",
    "database.busy": "The database is busy or restarting",
    "database.unreachable": "The database cannot be reached",
    "database.unmigrated": WithRemedy("The database is not migrated to this version", "Run: lxc-dashboard migrate"),
    "database.no_privileges": WithRemedy(
        "The role in DATABASE_URL lacks privileges",
        "Make it the owner of its database: ALTER DATABASE ... OWNER TO ...",
    ),
    "database.read_only": "The database is read-only: it is a standby, or configured so",
    "database.not_fitting": "does not fit",
    "database.not_allowed": "is not allowed",
    # Missing objects
    "job.gone": "This job does not exist or was removed",
    "job.gone_or_ended": "This job does not exist, or has ended",
    "batch.gone": "This batch does not exist or was removed",
    "container.gone": "This container is unknown or was removed",
    "endpoint.gone": "This endpoint is not registered",
    "source.gone": "This source of templates does not exist or was removed",
    "template.gone": "This template does not exist or was removed",
    "revision.gone": "This revision does not exist or was removed",
    "revision.no_file": "This revision has no such file",
    "bucket.gone": "This package bucket does not exist or was removed",
    "draft.gone": "This draft does not exist or was removed",
    "preset.gone": "This preset does not exist or was removed",
    # Objects in another state
    "database.vmid_taken": "The vmid {vmid} is taken on this endpoint",
    "container.vmid_changed": "This container no longer has the vmid {vmid}",
    "job.not_failed": "Only a failed job is run again; this one is {state}",
    "job.not_replaceable": "Only a failed or cancelled job is replaced; this one is {state}",
    "job.not_paused": "Only a paused job goes on; this one is {state}",
    "job.ended": "This job has ended: {state}",
    "endpoint.used": "The endpoint is still used by {guests}",
    "endpoint.used_by_more": "The endpoint is still used by {guests} and {more} more",
    "source.of_other_kind": "A {kind} source is called {name}: rename or remove it first",
    # For the operator of the database
    "database.bad_url": "is not a URL like postgresql://user:password@host:5432/name",
    "database.bad_scheme": "starts with {scheme}://, not with postgresql://",
    "database.no_name": "has no database name",
    "database.no_migrations": "The installation is incomplete: its migrations are missing",
    "database.no_revision": "This revision does not exist",
    "database.unreadable_secret": "{secret}: {reason}",
}


_PIN_KEY: Final = "read it on the node and register it"

OF_GUESTS: Final[Mapping[str, str | WithRemedy]] = {
    # SSH servers and keys
    "ssh.unreachable": "SSH on {address} cannot be reached: {reason}",
    "ssh.no_server": "SSH on {address} is not an SSH server",
    "ssh.lost": "The SSH connection was lost",
    "ssh.no_session": "{address} refuses to open an SSH session",
    "ssh.sessions_in_use": "All SSH sessions of {address} are in use",
    "ssh.no_command": "{address} refuses to run a command",
    "ssh.key_refused": WithRemedy("{address} refuses the dashboard's SSH key", "Add it to authorized_keys"),
    "ssh.key_invalid": "The endpoint's SSH key is invalid: use an Ed25519, ECDSA or RSA key without passphrase",
    "ssh.host_key.changed": WithRemedy(
        "The SSH host key of {address} is not the pinned one. Nothing was sent",
        "If the node was reinstalled, confirm its new key",
    ),
    "ssh.host_key.other_type": "SSH on {address} has no host key of the pinned type",
    "ssh.host_key.not_pinned": f"No SSH host key is pinned for {{address}}: {_PIN_KEY}",
    "ssh.host_key.not_pinned_for_node": f"No SSH host key is pinned for node {{node}}: {_PIN_KEY}",
    "ssh.host_key.pin_invalid": "The pinned SSH host key is invalid",
    "ssh.host_key.pin_of_unknown_type": "The pinned SSH host key of {address} has an unknown type",
    # Access to a guest
    "door.not_entered": "CT {vmid} cannot be entered: {reason}",
    "door.no_answer": "The guest did not answer within {seconds} s",
    "door.lost": "The connection to the guest was lost",
    "door.shell_replaced": "The shell in the guest was replaced: its answer is invalid",
    "door.answer_too_large": "The guest's answer is larger than {kib} KiB",
    "door.host_key_changed": (
        "CT {vmid} at {host} has another SSH host key than at the first contact. Nothing was sent. "
        "Another machine may have its address, or its keys were replaced"
    ),
    "door.key_refused": "The SSH server of CT {vmid} at {host} refuses the key of this creation",
    "door.marker_invalid": "The marker is invalid",
    # Commands. Another message adds the exit status.
    "door.removing_key": "Removing the key of this creation",
    "door.reading_marker": "Reading the marker",
    "door.removing_marker": "Removing the previous marker",
    "file.reading": "Reading {path}",
    "file.writing": "Writing {path}",
    "supervisor.preparing": "Preparing the guest",
    "supervisor.stopping_step": "Stopping the step",
    "supervisor.removing": "Removing the supervisor",
    # Files
    "file.not_absolute": "{name}: the target directory must be absolute",
    "file.not_a_file_name": "{name} is not a file name",
    "file.damaged": "{path} arrived damaged",
    "file.damaged_again": "{path} arrived damaged {tries} times",
    # The supervisor of steps
    "supervisor.step_name_invalid": "The name of the step is invalid",
    "supervisor.script_not_stored": (
        "The step could not be started: the script cannot be stored in the guest: its disk is full, or read-only"
    ),
    "supervisor.script_damaged": "The step could not be started: the script arrived damaged",
    "supervisor.not_started": "The step could not be started: the supervisor in the guest did not start",
    "supervisor.no_setsid": "The step could not be started: setsid is missing in this guest (package util-linux)",
    "supervisor.missing": "The step could not be started: the supervisor is missing in the guest",
    "supervisor.replaced": "The supervisor in the guest was replaced: its answer is invalid",
    "supervisor.stopped_answering": "The supervisor in the guest stopped answering",
    "supervisor.overtime": "The step still runs long after its timeout, and the guest does not end it",
    "supervisor.output_too_large": "The step printed more than {gib} GiB",
    "supervisor.output_ended_early": "The output of the step ended early",
    "supervisor.silent": "The guest was silent for {seconds} s",
    "supervisor.restarted": "The guest was restarted",
    "supervisor.connection_stays": "The connection to the guest does not end",
}


OF_PROXMOX: Final[Mapping[str, str | WithRemedy]] = {
    "pve.busy": "PVE is too busy to answer",
    "pve.filesystem_down": "The cluster filesystem of PVE does not answer",
    "pve.for_now": "PVE: {said}",
    "pve.timeout": "PVE does not answer in time",
    "pve.not_yet": "PVE has not answered yet",
    "pve.node_silent": "Node {node} does not answer",
    "pve.unexpected_answer": "Unexpected answer from PVE: {problem}",
    "pve.tls_handshake": "The TLS handshake with PVE failed",
    "pve.other_fingerprint": "PVE's TLS certificate does not have the pinned fingerprint",
    "pve.bad_fingerprint": "a SHA-256 fingerprint is 64 hexadecimal digits",
    "pve.bad_ca": "PVE's CA certificate is invalid",
    "pve.bad_upid": "{text} is not a UPID",
    "pve.console_closed": WithRemedy("PVE closed the console before it opened", "Connect again in a moment"),
    "pve.console_refused": "PVE refused this user's sign-in to the console",
    "pve.console_by_token": "PVE opens a console only for a signed-in user, not for an API token",
}
