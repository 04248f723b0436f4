"""Texts of the page of template sources."""

from __future__ import annotations

from typing import Final

# Sources of templates
SOURCES: Final = "Sources"
SOURCE_ADD: Final = "Add git source"
SOURCE_ADD_TITLE: Final = "New git source"
SOURCE_CHANGE: Final = "Change"
SOURCE_CHANGE_TITLE: Final = "Change {name}"
SOURCE_SYNC: Final = "Sync now"
SOURCE_SYNCING: Final = "Reading"
SOURCE_REMOVE: Final = "Remove"
SOURCE_REMOVE_TITLE: Final = "Remove {name}?"
SOURCE_REMOVE_MEANS: Final = "Deletes its credentials and its templates, except templates that containers were built from. Containers are not changed."
SOURCE_REMOVE_ASK: Final = "Type {name} to confirm"
SOURCE_REMOVED: Final = "Removed {name} and {count} of its templates"
SOURCE_REMOVED_KEPT: Final = "Removed {name}. Kept templates with containers: {kept}"
SOURCE_ADDED: Final = "Added {name}"
SOURCE_CHANGED: Final = "Changed {name}"
SOURCE_SYNCED: Final = "Read {name}: {added} added, {changed} changed, {removed} removed, {refused} refused"
SOURCES_NONE: Final = "No sources"
SOURCES_NONE_NEXT: Final = "A source is a folder or a git repository with templates. Add a git repository."
SOURCE_KIND: Final = "Kind"
SOURCE_KINDS: Final = {"folder": "Folder", "git": "Git", "custom": "Custom", "imported": "Imported"}
SOURCE_LOCATION: Final = "From"
SOURCE_CHECKED: Final = "Last check"
SOURCE_NEVER: Final = "Never"
SOURCE_STATE: Final = "State"
SOURCE_STATES: Final = {
    "ok": "Read",
    "new": "Not read yet",
    "refused": "{count} refused",
    "error": "Not read",
    "own": "In the dashboard",
}
SOURCE_COMMIT: Final = "Commit"
SOURCE_OPENED: Final = "Access"
SOURCE_OPENED_WITH: Final = {
    "": "None: public",
    "password": "Password or token, stored encrypted",
    "key": "SSH key, stored encrypted",
}
SOURCE_HOST_KEY: Final = "SSH host key"
SOURCE_SCHEDULE: Final = "Schedule"
SOURCE_SCHEDULES: Final = {
    "0": "On request only",
    "60": "Every minute",
    "300": "Every 5 minutes",
    "900": "Every 15 minutes",
    "3600": "Every hour",
    "86400": "Every day",
}
SOURCE_EVERY: Final = "Every {count} s"
SOURCE_MISSING: Final = "{count} of {total} missing"
SOURCE_HOOK: Final = "Webhook"
SOURCE_HOOK_NONE: Final = "Off"
SOURCE_HOOK_NOTE: Final = (
    "Send push events to this address, signed with the webhook secret. GitHub, GitLab, Gitea and Forgejo support this."
)
SOURCE_REPORT: Final = "Result of the last pass"
SOURCE_REPORT_NONE: Final = "This source was not read yet."
SOURCE_REPORT_SAME: Final = "No changes."
SOURCE_REPORT_WORDS: Final = {"added": "Added", "changed": "Changed", "removed": "Removed", "refused": "Refused"}
SOURCE_READ_ONLY: Final = "You need VM.Allocate at /vms in PVE to change sources"
SOURCE_NAME: Final = "Name"
SOURCE_NAME_HINT: Final = "Distinguishes its templates from those of other sources"
SOURCE_ADDRESS: Final = "Address of the repository"
SOURCE_ADDRESS_HINT: Final = (
    "https://host/path, ssh://user@host/path, user@host:path or file:///path. Without user and password for https"
)
SOURCE_REF: Final = "Branch or tag"
SOURCE_REF_HINT: Final = "Empty: the repository's default branch"
SOURCE_SUBFOLDER: Final = "Subfolder"
SOURCE_SUBFOLDER_HINT: Final = "Empty: the whole repository"
SOURCE_ACCESS: Final = "Access"
SOURCE_ACCESSES: Final = {"none": "None", "password": "Password or token", "key": "SSH key"}
SOURCE_ACCESS_KEEP: Final = "Stored credentials"
SOURCE_USER: Final = "User"
SOURCE_USER_HINT: Final = "For a token, the user that the server expects, for example oauth2"
SOURCE_PASSWORD: Final = "Password or token"  # noqa: S105 a label
SOURCE_KEY: Final = "Private SSH key"
SOURCE_KEY_HINT: Final = "Ed25519, ECDSA or RSA, without passphrase. Prefer a read-only deploy key"
SOURCE_HOOKS: Final = "Webhooks"
SOURCE_HOOKS_CHOICES: Final = {"none": "Off", "secret": "On, with this secret"}
SOURCE_HOOKS_KEEP: Final = "On, with the stored secret"
SOURCE_HOOK_SECRET: Final = "Webhook secret"  # noqa: S105 a label
SOURCE_HOOK_HINT: Final = "At least 16 characters, as configured on the git server. It is not shown again"
SOURCE_PIN_TITLE: Final = "SSH host key of {server}"
SOURCE_PIN_HOW: Final = "Compare it on the server with: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
SOURCE_PIN: Final = "The keys match: trust it and continue"
SOURCE_SAVE: Final = "Save"
SOURCE_SAVING: Final = "Testing"
SOURCE_GONE: Final = "This source does not exist"
SOURCE_STATE_REMOVED: Final = "Removed"
