"""All errors of the product, in one tree.

    DashboardError                 user_message: safe to show; retryable
    ├ NotFoundError  InvalidInputError(fields)  RateLimitedError(retry_after_s): TooManyAtOnceError
    ├ ConflictError: OvertakenError(number, author, at, changes)  LeaseGoneError  BusyGuestError(kind, userid, job_id)
    ├ AuthError: InvalidCredentialsError  TfaRequiredError  SessionExpiredError  TokenRefusedError
    │            PrivilegeError(privilege, path)
    ├ ProxmoxError(node, path): UnreachableError  TlsError  ApiError(status, fields)
    │                           TaskFailedError(upid, exitstatus, log_tail)  TaskTimeoutError(upid)
    │                           TaskCancelledError(upid, exitstatus)
    ├ GuestError: GuestUnreachableError  GuestGoneError(vmid)  HostKeyError  KeyRefusedError  WrongGuestError
    │             CommandFailedError(exit_status)
    ├ TemplateError(file, line)
    ├ SourceError: SourceGoneError   a source of templates is unreadable or does not exist
    ├ CreationError: PreflightError(findings)  PhaseFailedError(phase)
    ├ CryptoError: WrongKeyError  TamperedError
    └ ServiceUnavailableError      a service of ours (PostgreSQL, Valkey) does not answer

Errors are translated once, where they enter (``proxmox``, ``guest``, ``db``), never above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID


NOT_IMPLEMENTED = 501


class DashboardError(Exception):
    """Base of all errors. ``str(error)`` is for the log, ``user_message`` for the page."""

    default_message = "Something went wrong"
    retryable = False

    def __init__(self, user_message: str = "", *, detail: str = "") -> None:
        self.user_message = user_message or self.default_message
        self.detail = detail
        super().__init__(f"{self.user_message}: {detail}" if detail else self.user_message)


class NotFoundError(DashboardError):
    default_message = "This does not exist or was removed"


class ConflictError(DashboardError):
    default_message = "This was changed in the meantime"


class OvertakenError(ConflictError):
    """Another user saved revision ``number`` while this user edited an older one. ``changes``: sentences."""

    def __init__(self, number: int, author: str, at: datetime, changes: Sequence[str]) -> None:
        self.number = number
        self.author = author
        self.at = at
        self.changes = list(changes)
        super().__init__(f"{author} saved revision {number} in the meantime. Compare it before you replace it")


class BusyGuestError(ConflictError):
    """An unfinished job locks the guest. ``kind``, ``userid`` and ``job_id`` are that job's."""

    def __init__(self, guest: str, kind: str, userid: str, job_id: UUID) -> None:
        self.kind = kind
        self.userid = userid
        self.job_id = job_id
        super().__init__(f"{guest} is busy: a job of {userid} works on it ({kind}). Wait for that job, or cancel it")


class LeaseGoneError(ConflictError):
    """A worker's lease on a job has ended: see ``db.repositories.leases``."""

    default_message = "This job is no longer held by this worker"


class InvalidInputError(DashboardError):
    """``fields`` maps a field's name to its error."""

    default_message = "Some fields are invalid"

    def __init__(self, fields: Mapping[str, str], user_message: str = "") -> None:
        self.fields = dict(fields)
        super().__init__(user_message, detail="; ".join(f"{k}: {v}" for k, v in self.fields.items()))


class RateLimitedError(DashboardError):
    def __init__(self, retry_after_s: int, user_message: str = "") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(user_message or f"Too many attempts. Try again in {retry_after_s} s")


class TooManyAtOnceError(RateLimitedError):
    """A caller already holds the maximum of ``what``."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(5, f"You have {most} {what}, the most for one caller. Try again later")


class ServiceUnavailableError(DashboardError):
    """PostgreSQL or Valkey does not answer."""

    default_message = "A service of the dashboard does not answer"
    retryable = True


class AuthError(DashboardError):
    default_message = "Sign in first"


class InvalidCredentialsError(AuthError):
    default_message = "Sign-in failed: user, realm, password or second factor is wrong"


class TfaRequiredError(AuthError):
    """PVE requires a second factor. ``kinds``: totp, recovery, yubico, webauthn, u2f."""

    default_message = "Enter the second factor"

    def __init__(self, challenge: str, kinds: Sequence[str]) -> None:
        self.challenge = challenge
        self.kinds = tuple(kinds)
        super().__init__()


class SessionExpiredError(AuthError):
    default_message = "The session has ended. Sign in again"


class TokenRefusedError(AuthError):
    default_message = "The API token is missing, wrong or no longer valid"


class PrivilegeError(AuthError):
    """The user lacks ``privilege`` at ``path``. Both are empty where PVE names none.

    ``purpose``: why PVE requires it, "for modifying tag 'web'". ``pve_message``: PVE's own sentence, shown instead.
    """

    def __init__(
        self, privilege: str, path: str, detail: str = "", *, purpose: str = "", pve_message: str = ""
    ) -> None:
        self.privilege = privilege
        self.path = path
        missing = f"{privilege or 'A privilege'} at {path or 'this object'} is missing {purpose}".strip()
        super().__init__(pve_message or f"{missing}. An administrator can grant it in PVE", detail=detail)


class ProxmoxError(DashboardError):
    """``node`` is the endpoint's address, ``path`` the API path."""

    def __init__(self, user_message: str = "", *, node: str = "", path: str = "", detail: str = "") -> None:
        self.node = node
        self.path = path
        super().__init__(user_message, detail=detail or f"{node} {path}".strip())


class UnreachableError(ProxmoxError):
    default_message = "PVE cannot be reached"
    retryable = True


class TlsError(ProxmoxError):
    default_message = "PVE's TLS certificate is not trusted"


class ApiError(ProxmoxError):
    """A refusal of PVE. ``status`` is the HTTP status, ``fields`` the errors by field of a 400."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        node: str = "",
        path: str = "",
    ) -> None:
        self.status = status
        self.message = message
        self.fields = dict(fields or {})
        shown = message if not self.fields else "; ".join(f"{k}: {v}" for k, v in self.fields.items())
        if status == NOT_IMPLEMENTED and path and path not in shown:  # "Not implemented" alone does not help
            shown = f"This PVE does not have {path}: {shown or status}"
        super().__init__(shown or f"PVE answered {status}", node=node, path=path, detail=f"{status} {path}")


class TaskFailedError(ProxmoxError):
    """A PVE task ended with an exit status other than OK or WARNINGS."""

    def __init__(self, upid: str, exitstatus: str, log_tail: Sequence[str] = (), *, node: str = "") -> None:
        self.upid = upid
        self.exitstatus = exitstatus
        self.log_tail = tuple(log_tail)
        super().__init__(f"PVE: {exitstatus}", node=node, detail=upid)


class TaskTimeoutError(ProxmoxError):
    """A PVE task did not end before its deadline and was asked to stop."""

    def __init__(self, upid: str, seconds: float, *, node: str = "") -> None:
        self.upid = upid
        super().__init__(f"The PVE task did not end within {seconds:.0f} s", node=node, detail=upid)


class TaskCancelledError(ProxmoxError):
    """A PVE task was cancelled. ``exitstatus`` is empty where it may still run."""

    def __init__(self, upid: str, exitstatus: str = "", *, node: str = "") -> None:
        self.upid = upid
        self.exitstatus = exitstatus
        super().__init__("The PVE task was stopped", node=node, detail=f"{upid} {exitstatus}".strip())


class GuestError(DashboardError):
    default_message = "The command in the guest failed"


class GuestUnreachableError(GuestError):
    default_message = "The guest cannot be entered"
    retryable = True


class GuestGoneError(GuestError):
    """PVE has no guest with ``vmid``, because it was deleted there."""

    def __init__(self, vmid: int) -> None:
        self.vmid = vmid
        super().__init__(f"CT {vmid} was deleted in PVE")


class HostKeyError(GuestError):
    default_message = "The SSH host key of the node is not the pinned one"


class KeyRefusedError(GuestError):
    """The SSH server refuses our key."""

    default_message = "The SSH server refuses the dashboard's key"


class WrongGuestError(GuestError):
    """The guest does not carry the expected marker, so the vmid belongs to another container."""

    default_message = "This vmid belongs to another container now. Nothing was changed"


class CommandFailedError(GuestError):
    """A command in the guest or on the node ended with a status other than 0."""

    def __init__(self, command: str, exit_status: int, output_tail: str = "") -> None:
        self.command = command
        self.exit_status = exit_status
        self.output_tail = output_tail
        super().__init__(f"{command} ended with status {exit_status}", detail=output_tail[-2000:])


class TemplateError(DashboardError):
    """A template is invalid. ``file`` is relative to the source's root. ``line`` is 1-based, 0 for the whole file."""

    def __init__(self, file: str, line: int, message: str) -> None:
        self.file = file
        self.line = line
        self.message = message
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")


class SourceError(DashboardError):
    """A source of templates is unreadable. Its earlier templates stay."""

    default_message = "The source of templates cannot be read"


class SourceGoneError(SourceError):
    """The repository, branch or folder of the source does not exist."""

    default_message = "The source of templates does not exist"


class CreationError(DashboardError):
    default_message = "The container could not be created"


class PreflightError(CreationError):
    """``findings`` are ``services.creation.findings.Finding`` of severity error."""

    def __init__(self, findings: Sequence[object]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(str(f) for f in self.findings) or self.default_message)


class PhaseFailedError(CreationError):
    """A phase has failed. ``step`` names the part that failed (a script, a package batch).

    ``of_disk``: the guest failed to write to its disk, so its storage may be full.
    """

    def __init__(self, phase: str, message: str, *, step: str = "", remedy: str = "", of_disk: bool = False) -> None:
        self.phase = phase
        self.step = step
        self.remedy = remedy
        self.of_disk = of_disk
        super().__init__(message, detail=f"{phase} {step}".strip())


class CryptoError(DashboardError):
    default_message = "A stored secret is unreadable"


class WrongKeyError(CryptoError):
    default_message = "A stored secret was encrypted with a key that is not configured"


class TamperedError(CryptoError):
    default_message = "A stored secret was changed or belongs to another row"
