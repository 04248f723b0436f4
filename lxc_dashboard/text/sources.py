"""Sources of templates."""

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
SOURCE_REMOVE_MEANS: Final = "Its credentials and its templates are deleted, but for those of which containers were built. Containers stay as they are."
SOURCE_REMOVE_ASK: Final = "Type {name} to confirm"
SOURCE_REMOVED: Final = "Removed {name} and {count} of its templates"
SOURCE_REMOVED_KEPT: Final = "Removed {name}, but for the templates of which containers were built: {kept}"
SOURCE_ADDED: Final = "Added {name}"
SOURCE_CHANGED: Final = "Changed {name}"
SOURCE_SYNCED: Final = "Read {name}: {added} added, {changed} changed, {removed} removed, {refused} refused"
SOURCES_NONE: Final = "No sources"
SOURCES_NONE_NEXT: Final = "A source is a folder or a git repository with templates. Add a git repository of yours."
SOURCE_KIND: Final = "Kind"
SOURCE_KINDS: Final = {"folder": "Folder", "git": "Git", "custom": "Made here", "imported": "Imported"}
SOURCE_LOCATION: Final = "From"
SOURCE_CHECKED: Final = "Last looked at"
SOURCE_NEVER: Final = "Never"
SOURCE_STATE: Final = "State"
SOURCE_STATES: Final = {
    "ok": "Read",
    "new": "Not read yet",
    "refused": "{count} refused",
    "error": "Not read",
    "own": "Kept here",
}
SOURCE_COMMIT: Final = "Commit"
SOURCE_OPENED: Final = "Opened with"
SOURCE_OPENED_WITH: Final = {
    "": "Nothing: it is open to all",
    "password": "Password or token, stored encrypted",
    "key": "SSH key, stored encrypted",
}
SOURCE_HOST_KEY: Final = "SSH host key"
SOURCE_SCHEDULE: Final = "Read again"
SOURCE_SCHEDULES: Final = {
    "0": "Only when asked",
    "60": "Every minute",
    "300": "Every 5 minutes",
    "900": "Every 15 minutes",
    "3600": "Every hour",
    "86400": "Every day",
}
SOURCE_EVERY: Final = "Every {count} s"
SOURCE_MISSING: Final = "{count} of {total} missing"
SOURCE_HOOK: Final = "Webhook"
SOURCE_HOOK_NONE: Final = "Not taken"
SOURCE_HOOK_NOTE: Final = (
    "Pushes are told here, signed with the source's webhook secret: GitHub, GitLab, Gitea and Forgejo can do that."
)
SOURCE_REPORT: Final = "What the last reading brought"
SOURCE_REPORT_NONE: Final = "Nothing was read from this source yet."
SOURCE_REPORT_SAME: Final = "Nothing was added, changed, removed or refused."
SOURCE_REPORT_WORDS: Final = {"added": "Added", "changed": "Changed", "removed": "Removed", "refused": "Refused"}
SOURCE_READ_ONLY: Final = "Changing sources needs VM.Allocate at /vms in PVE"
SOURCE_NAME: Final = "Name"
SOURCE_NAME_HINT: Final = "How its templates are told from those of other sources"
SOURCE_ADDRESS: Final = "Address of the repository"
SOURCE_ADDRESS_HINT: Final = (
    "https://host/path, ssh://user@host/path, user@host:path or file:///path. No user or password for https"
)
SOURCE_REF: Final = "Branch or tag"
SOURCE_REF_HINT: Final = "Empty: the repository's default branch"
SOURCE_SUBFOLDER: Final = "Subfolder"
SOURCE_SUBFOLDER_HINT: Final = "Empty: the whole repository"
SOURCE_ACCESS: Final = "Open it with"
SOURCE_ACCESSES: Final = {"none": "Nothing", "password": "Password or token", "key": "SSH key"}
SOURCE_ACCESS_KEEP: Final = "What is stored"
SOURCE_USER: Final = "User"
SOURCE_USER_HINT: Final = "For a token: what the server asks for beside it, such as oauth2 or any name"
SOURCE_PASSWORD: Final = "Password or token"  # noqa: S105 a label
SOURCE_KEY: Final = "Private SSH key"
SOURCE_KEY_HINT: Final = "Ed25519, ECDSA or RSA, without passphrase. A deploy key that may only read is best"
SOURCE_HOOKS: Final = "Webhooks"
SOURCE_HOOKS_CHOICES: Final = {"none": "Not taken", "secret": "Taken, with this secret"}
SOURCE_HOOKS_KEEP: Final = "Taken, with the stored secret"
SOURCE_HOOK_SECRET: Final = "Webhook secret"  # noqa: S105 a label
SOURCE_HOOK_HINT: Final = "16 characters or more, the same as at the git server. It is never shown again"
SOURCE_PIN_TITLE: Final = "{server} shows the SSH host key"
SOURCE_PIN_HOW: Final = "Compare it on the server with: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
SOURCE_PIN: Final = "It is the same: pin it and go on"
SOURCE_SAVE: Final = "Save"
SOURCE_SAVING: Final = "Trying it"
SOURCE_GONE: Final = "This source does not exist or was removed"
SOURCE_STATE_REMOVED: Final = "Removed"
