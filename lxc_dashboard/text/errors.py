"""Why something failed, by the codes of errors. Each says what failed, then what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxc_dashboard.text.remedies import WithRemedy

_REGISTER: Final = (
    "Register an SSH door for node {node}: lxc-dashboard node add, with --ssh-key-file and --door {node}=HOST"
)
_NO_WAY: Final = "There is no way into guests of node {node}: it has no SSH door"

ERRORS: Final[Mapping[str, str | WithRemedy]] = {
    # Of every error in lxc_dashboard.errors
    "error.unexpected": "Something went wrong",
    "error.not_found": "This does not exist or was removed",
    "error.conflict": "This was changed in the meantime",
    "error.overtaken": "{author} saved revision {number} in the meantime. Look at it before yours replaces it",
    "error.busy_guest": "{guest} is busy: a job of {userid} works on it ({kind}). Wait for that job, or cancel it",
    "error.lease_gone": "This job is no longer held by this worker",
    "error.invalid_input": "Some fields are invalid",
    "error.rate_limited": "Too many attempts. Try again in {seconds} s",
    "error.too_many_at_once": "You have {most} {what}, the most for one caller. Try again later",
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
    "error.tls": "The TLS certificate of PVE is not the expected one",
    "error.api_status": "PVE answered {status}",
    "error.api_not_implemented": "This PVE does not have {path}: {said}",
    "error.task_failed": "PVE: {exitstatus}",
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
    "error.source_gone": "The source of templates is gone",
    "error.source_busy": "The templates were read by another process at the same time",
    "error.creation": "The container could not be created",
    "error.preflight": "{findings}",
    "error.crypto": "A stored secret cannot be read",
    "error.wrong_key": "A stored secret was encrypted with a key that is not configured",
    "error.tampered": "A stored secret was changed or belongs to another row",
    "error.pages_not_built": "The pages could not be built",
    # The way into a guest
    "way_in.none": WithRemedy("There is no way into this guest", "Register an SSH door for its node"),
    "way_in.none.door_failed": WithRemedy("{reason}", _REGISTER),
    "way_in.none.no_address": WithRemedy(f"{_NO_WAY}, and the guest gets no address", _REGISTER),
    "way_in.none.no_ssh_server": WithRemedy(f"{_NO_WAY}, and {{ostemplate}} has no SSH server", _REGISTER),
    "way_in.none.no_route": WithRemedy(f"{_NO_WAY}, and no route leads from the dashboard to {{address}}", _REGISTER),
    "way_in.none.no_key": WithRemedy(f"{_NO_WAY}, and this job has no key for the guest", _REGISTER),
    "way_in.not_entered": WithRemedy("{reason}", "{remedy}, then retry"),
}
