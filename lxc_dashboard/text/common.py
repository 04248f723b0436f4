"""Texts shared by several pages: the frame, problems, states of guests, navigation."""

from __future__ import annotations

from typing import Final

# Shared
PRODUCT: Final = "LXC Dashboard"
SANDBOX_NOTE: Final = "Sandbox: not a real Proxmox VE"
SKIP_TO_CONTENT: Final = "Skip to content"
MAIN_NAVIGATION: Final = "Main"
BREADCRUMB: Final = "Breadcrumb"
OPEN_NAVIGATION: Final = "Open navigation"
SWITCH_THEME: Final = "Switch between light and dark"
OTHER_ENDPOINTS: Final = "Sign in at another endpoint"
SIGNED_IN_AS: Final = "Signed in as"
SIGN_OUT: Final = "Sign out"
CANCEL: Final = "Cancel"
CLOSE: Final = "Close"
# Answer in a confirmation of a cancel
DO_NOT_CANCEL: Final = "Do not cancel"
MORE_ACTIONS: Final = "More actions"
RETRY: Final = "Retry"
COPY: Final = "Copy"
COPIED: Final = "Copied"
NOT_COPIED: Final = "Not copied"
LOADING: Final = "Loading"
REFERENCE: Final = "Reference {reference}"
REFERENCE_LABEL: Final = "Reference"
AWAY: Final = (
    "The dashboard's database or Redis does not answer. Your input is kept. This page updates again when it is back"
)
AWAY_AGAIN: Final = "This page reloads by itself"
OFFLINE: Final = "The dashboard does not answer. You see the last known state; trying again"
NOTIFICATIONS: Final = "Notifications"

# Problems
FAILED_TITLE: Final = "This cannot be displayed"
FORBIDDEN_TITLE: Final = "A privilege is missing"
FORBIDDEN_DETAIL: Final = "This page needs {privilege} at {path}."
MISSING_PRIVILEGE: Final = "You need {privilege} at {path}. An administrator can grant it in PVE"
REMEDY_PRIVILEGE: Final = "An administrator of PVE can grant it under Datacenter, Permissions."
REMEDY_UNREACHABLE: Final = "Check that the node is up and that the dashboard's host can reach its API."
REMEDY_RETRY: Final = "Try again in a moment."
UNEXPECTED: Final = "Something went wrong in the dashboard. The log has the details"
BROKEN_TITLE: Final = "This page failed in the browser"
BROKEN_DETAIL: Final = "Nothing was changed. Reload the page. If it fails again, see the browser's console."
LOAD_AGAIN: Final = "Reload"
NOT_FOUND_TITLE: Final = "Page not found"
NOT_FOUND_DETAIL: Final = "The address is wrong, or the page no longer exists."
TO_DASHBOARD: Final = "Go to the dashboard"

# Nouns of counts: singular and plural
COUNTED: Final = {
    "byte": ("1 byte", "{count} bytes"),
    "container": ("1 container", "{count} containers"),
    "failed job": ("1 failed job", "{count} failed jobs"),
    "file": ("1 file", "{count} files"),
    "finding": ("1 finding", "{count} findings"),
    "job": ("1 job", "{count} jobs"),
    "package": ("1 package", "{count} packages"),
    "package step": ("1 package step", "{count} package steps"),
    "script": ("1 script", "{count} scripts"),
    "template": ("1 template", "{count} templates"),
}

# States of a guest
STATE_RUNNING: Final = "Running"
STATE_STOPPED: Final = "Stopped"
STATE_CHANGING: Final = "Changing"
STATE_ERROR: Final = "Error"
STATE_UNKNOWN: Final = "Unknown"

# Navigation
NAV_DASHBOARD: Final = "Dashboard"
NAV_CONTAINERS: Final = "Containers"
NAV_TEMPLATES: Final = "Templates"
NAV_JOBS: Final = "Jobs"
NEW_CONTAINER: Final = "New container"
CREATE_CONTAINER: Final = "Create container"
