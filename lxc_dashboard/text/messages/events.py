"""Texts of events, results and errors of jobs, by their codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.jobs import WAITS_FOR

# For one other guest, and for several
_VOLUMES_STAY: Final = "Storage still has {volumes} of its vmid. Delete them in PVE if no other guest uses them"

# A pair is the singular and the plural, chosen by ``count``. Lists are joined with commas.
EVENTS: Final[Mapping[str, str | tuple[str, str]]] = {
    # Jobs of all kinds
    "job.sign_in_ended": "The sign-in of this job's user has ended: it goes on after the next one",
    "job.paused": "CT {vmid} is made and not started: paused until its user lets it go on",
    "job.slot_awaited": (f"{WAITS_FOR[0]} before its turn comes", f"{WAITS_FOR[1]} before its turn comes"),
    "job.failed": "{reason}",
    "job.broke": "Something went wrong in the dashboard itself. Its log names the cause",
    "step.retried": "{reason}: trying again",
    "task.awaited": "{reason}: waiting for its task",
    # Acts on a guest
    "act.cancelled": "Cancelled by {by}",
    "act.cancelled.task_stopped": "Cancelled by {by}: its task in PVE was stopped",
    "act.cancelled.task_had_ended": "Cancelled by {by}: its task in PVE had already ended",
    "act.cancelled.task_may_go_on": "Cancelled by {by}: its task in PVE could not be stopped and may go on",
    "act.cancelled.without_pve": "Cancelled by {by}: its task in PVE could not be stopped and may go on ({reason})",
    "power.starting": "Starting",
    "power.shutting_down": "Shutting down",
    "power.stopping": "Stopping",
    "power.restarting": "Restarting",
    "power.started": "Started {guest}",
    "power.shut_down": "Shut down {guest}",
    "power.stopped": "Stopped {guest}",
    "power.restarted": "Restarted {guest}",
    "power.ha_asked": "Asked HA for the {act} of {guest}: not done yet",
    "snapshot.creating": "Taking a snapshot",
    "snapshot.created": "Took snapshot {name} of {guest}",
    "snapshot.rolling_back": "Rolling back",
    "snapshot.rolled_back": "Rolled {guest} back to snapshot {name}",
    "snapshot.deleting": "Deleting a snapshot",
    "snapshot.deleted": "Deleted snapshot {name} of {guest}",
    "container.cloning": "Cloning",
    "container.cloned": "Cloned {guest} to CT {newid}",
    "container.migrating": "Migrating",
    "container.migrated": "Migrated {guest} to {target}",
    "container.resizing": "Resizing a disk",
    "container.resized": "Resized {disk} of {guest}: {size}",
    "container.backing_up": "Backing up",
    "container.backed_up": "Backed up {guest} to {storage}",
    "container.deleting": "Deleting",
    "container.deleted": "Deleted {guest}",
    # The creation of a container
    "creation.creating": "Creating the container",
    "creation.starting": "Starting the container",
    "creation.deploying": "Preparing the guest",
    "creation.syncing": "Installing packages and running scripts",
    "creation.finalizing": "Finishing",
    "creation.done": "CT {vmid} {hostname} is ready",
    "creation.cancelled": "Cancelled by {by}: no container remains",
    "creation.cancelled.kept": "Cancelled by {by}: the container is kept as it is",
    "creation.cancelled.kept_in_part": "Cancelled by {by}: what PVE has made of the container is kept as it is",
    "plan.clear": "Destroy what the replaced job left",
    "plan.turn": "Wait for its turn on {node}",
    "plan.check": "Check",
    "plan.download": "Download the OS template",
    "plan.create": "Create",
    "plan.pause": "Pause before the first start",
    "plan.start": "Start",
    "plan.address": "Find the address",
    "plan.prepare": "Prepare the guest",
    "plan.discover": "Discover services",
    "plan.notes": "Write notes and tags",
    "preflight.warned": "{findings}",
    "container.vmid_taken": "Another container took the vmid {taken} in the meantime: going on as CT {vmid}",
    "ostemplate.download_awaited": "Another job downloads {ostemplate}: waiting for it",
    "ostemplate.downloading": "Downloading {ostemplate} to {storage}",
    "ostemplate.present": "{ostemplate} is on {storage} already",
    "ostemplate.downloaded": "Downloaded {ostemplate} to {storage}",
    "ostemplate.fetching": "Downloading the OS template",
    "container.replaced": "Replaced by another container",
    "container.replaced_destroying": "Destroying CT {vmid} {hostname}, which the replaced job left",
    "container.destroying": "Destroying the container",
    "container.destroyed": "Destroyed {guest}",
    "container.destroyed_in_part": f"Destroyed {{guest}}. {_VOLUMES_STAY}",
    "container.destroyed_already": "{guest} is gone already",
    "container.volumes_stay": _VOLUMES_STAY,
    "container.creating": "Creating CT {vmid} {hostname} on {node} from {ostemplate}",
    "container.created_with_warnings": ("PVE created it with 1 warning", "PVE created it with {count} warnings"),
    "container.adopted": "{reason}, and CT {vmid} is there: going on with it",
    "container.running_already": "CT {vmid} runs already",
    "container.starting": "Starting CT {vmid}",
    "container.started_with_warnings": ("PVE started it with 1 warning", "PVE started it with {count} warnings"),
    "container.tags_not_set": "Its tags were not set. {reason}",
    "guest.entered_by_pct": "Way in: pct over SSH to {node} ({user}@{host})",
    "guest.entered_by_ssh": "Way in: SSH into the guest with a key made for this creation",
    "guest.host_key": "Its SSH host key is {fingerprint}. The dashboard accepts no other key from it",
    "guest.init_up": "Its init is up",
    "guest.init_degraded": "Its init is up; some units of the OS template failed",
    "guest.init_not_up": "Its init is not up after {seconds} s ({state}): going on",
    "guest.init_silent": "Its init is not up after {seconds} s (no answer): going on",
    "guest.address": "Its address is {address}",
    "guest.address_awaited": "Waiting up to {seconds} s for an address by {ways} on {segment}",
    "guest.address_not_needed": "It has no address yet. The job needs none: going on",
    "guest.address_not_told": "This PVE does not tell the addresses of containers",
    "guest.no_address": "It has no address: is there a DHCP server on {segment}?",
    "guest.no_address_in_time": "It has no address after {seconds} s: is there a DHCP server on {segment}?",
    "guest.helpers_installed": "Helpers are in the guest",
    "guest.former_job_cleared": "Its OS template was made from a container built here. The job removed what the former job had left in it",
    "guest.ports": "Listens on {ports}",
    "guest.no_ports": "Listens on no port",
    "guest.credentials": "Credentials kept of {services}",
    "guest.services_not_listed": "Its services could not be listed: {reason}",
    "guest.credentials_not_read": "Its credentials could not be read: {reason}",
    "guest.key_removed": "The key of this creation is out of the guest",
    "file.same": "{target}: is there already",
    "file.kept": "{target}: exists and is kept",
    "file.written": "{target}: written",
    "file.saved": "{target}: written, the former one kept beside it",
    "file.held": "{target}: held back: its directory does not exist yet",
    "file.unowned": "{target}: held back: its owner does not exist yet",
    "file.same_later": "{target}: is there already after the scripts",
    "file.kept_later": (
        "{target}: is there by now, from a package or script, and is kept: "
        "only policy replace or backup writes the template's"
    ),
    "file.written_later": "{target}: written after the scripts",
    "file.saved_later": "{target}: written after the scripts, the former one kept beside it",
    "script.running": "Running {name}",
    "script.optional_failed": "{reason}. It is optional: the job goes on",
    # Remains of a cancelled creation
    "left.task_may_go_on": "Its task in PVE could not be stopped ({reason}) and may go on. Check the container before you use it",
    "left.guest_may_go_on": "What ran in the guest could not be stopped ({reason}) and may go on. Check the container before you use it",
    "left.task_goes_on": (
        "Its task in PVE could not be stopped ({reason}) and may go on. Check the container before you use it. "
        "The dashboard stops it as soon as that works, while the sign-in of this job lasts"
    ),
    "left.guest_goes_on": (
        "What ran in the guest could not be stopped ({reason}) and may go on. Check the container before you use it. "
        "The dashboard stops it as soon as that works, while the sign-in of this job lasts"
    ),
    "left.key_stays": (
        "The key of this creation stays in /root/.ssh/authorized_keys of the guest, which could not be entered. "
        "Its private half is wiped"
    ),
    "left.key_stays_yet": (
        "The key of this creation is still in /root/.ssh/authorized_keys of the guest, which could not be entered. "
        "The dashboard removes it as soon as that works, while the sign-in of this job lasts"
    ),
    "left.lock_lifted": "The lock that the stopped task left was lifted",
    "left.lock_stays": "CT {vmid} keeps the lock 'create'. On {node}, root lifts it with: pct unlock {vmid}",
    "settled.guest": "What ran in the guest is ended now",
    "settled.task": "The task of CT {vmid} in PVE is over now",
    "settled.key": "The key of this creation is out of the guest now",
    "settled.gone": "CT {vmid} is gone from PVE, or is another one by now: nothing of this job runs in it",
    "settled.given_up": "The sign-in of this job has ended: what it could not end is not tried again",
}
