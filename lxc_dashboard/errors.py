"""All errors of the product, in one tree.

    DashboardError                 reason: a code with parameters, safe to show; retryable
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
    ├ RuleError                      one value breaks a rule; the caller knows its field, or its file and line
    ├ SourceError: SourceGoneError   a source of templates is unreadable or does not exist
    ├ CreationError: PreflightError(findings)  PhaseFailedError(phase)
    ├ CryptoError: WrongKeyError  TamperedError
    └ ServiceUnavailableError      a service of ours (PostgreSQL, Valkey) does not answer

Foreign errors are translated once, in ``proxmox``, ``guest`` or ``db``, and never above.
Each error carries a code. Pages, API and CLI show its text, ``user_message`` (ADR 0021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from lxc_dashboard.messages import Message, MessageCode
from lxc_dashboard.text.messages import with_remedy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID


NOT_IMPLEMENTED = 501


class ErrorCode(MessageCode):
    """A code for each class, or for each reason of a class that has several."""

    UNEXPECTED = "error.unexpected"
    NOT_FOUND = "error.not_found"
    CONFLICT = "error.conflict"
    OVERTAKEN = "error.overtaken"
    BUSY_GUEST = "error.busy_guest"
    LEASE_GONE = "error.lease_gone"
    INVALID_INPUT = "error.invalid_input"
    RATE_LIMITED = "error.rate_limited"
    TOO_MANY_LOGS = "error.too_many_logs"
    TOO_MANY_EXPORTS = "error.too_many_exports"
    TOO_MANY_UPLOADS = "error.too_many_uploads"
    TOO_MANY_REQUESTS = "error.too_many_requests"
    TOO_MANY_SOCKETS = "error.too_many_sockets"
    TOO_MANY_USER_SOCKETS = "error.too_many_user_sockets"
    SERVICE_UNAVAILABLE = "error.service_unavailable"
    AUTH = "error.auth"
    INVALID_CREDENTIALS = "error.invalid_credentials"
    TFA_REQUIRED = "error.tfa_required"
    SESSION_EXPIRED = "error.session_expired"
    TOKEN_REFUSED = "error.token_refused"  # noqa: S105 a code
    PRIVILEGE = "error.privilege"
    PRIVILEGE_FOR = "error.privilege_for"
    PRIVILEGE_UNNAMED = "error.privilege_unnamed"
    UNREACHABLE = "error.unreachable"
    TLS = "error.tls"
    API_STATUS = "error.api_status"
    API_NOT_IMPLEMENTED = "error.api_not_implemented"
    TASK_FAILED = "error.task_failed"
    TASK_FORGOTTEN = "error.task_forgotten"
    TASK_TIMEOUT = "error.task_timeout"
    TASK_CANCELLED = "error.task_cancelled"
    GUEST = "error.guest"
    GUEST_UNREACHABLE = "error.guest_unreachable"
    GUEST_GONE = "error.guest_gone"
    HOST_KEY = "error.host_key"
    KEY_REFUSED = "error.key_refused"
    WRONG_GUEST = "error.wrong_guest"
    COMMAND_FAILED = "error.command_failed"
    TEMPLATE = "error.template"
    TEMPLATE_LINE = "error.template_line"
    SOURCE = "error.source"
    SOURCE_GONE = "error.source_gone"
    SOURCE_BUSY = "error.source_busy"
    CREATION = "error.creation"
    PREFLIGHT = "error.preflight"
    CRYPTO = "error.crypto"
    WRONG_KEY = "error.wrong_key"
    TAMPERED = "error.tampered"
    PAGES_NOT_BUILT = "error.pages_not_built"
    PAGES_NOT_WRITABLE = "error.pages_not_writable"
    QUEUE_SILENT = "error.queue_silent"
    STARTING = "error.starting"


class DashboardError(Exception):
    """Base of all errors. ``str(error)`` is for the log, ``user_message`` for the page."""

    default: ClassVar[MessageCode] = ErrorCode.UNEXPECTED
    retryable = False

    def __init__(self, reason: Message | str = "", *, detail: str = "") -> None:
        """A string as ``reason`` quotes PVE or a guest."""
        if not isinstance(reason, Message):
            reason = Message(text=reason) if reason else Message.of(self.default)
        self.reason = reason
        self.detail = detail
        super().__init__(reason)

    @property
    def user_message(self) -> str:
        """The reason as text, and what to do, for pages, API and CLI. Services pass ``reason`` on."""
        return with_remedy(self.reason)

    def __str__(self) -> str:
        return f"{self.user_message}: {self.detail}" if self.detail else self.user_message


class NotFoundError(DashboardError):
    default = ErrorCode.NOT_FOUND


class ConflictError(DashboardError):
    default = ErrorCode.CONFLICT


class OvertakenError(ConflictError):
    """Another user saved revision ``number`` while this user edited an older one. ``changes``: made since then."""

    def __init__(self, number: int, author: str, at: datetime, changes: Sequence[Message]) -> None:
        self.number = number
        self.author = author
        self.at = at
        self.changes = tuple(changes)
        super().__init__(Message.of(ErrorCode.OVERTAKEN, author=author, number=number))


class BusyGuestError(ConflictError):
    """An unfinished job locks the guest. ``kind``, ``userid`` and ``job_id`` are that job's."""

    def __init__(self, guest: str, kind: str, userid: str, job_id: UUID) -> None:
        self.kind = kind
        self.userid = userid
        self.job_id = job_id
        super().__init__(Message.of(ErrorCode.BUSY_GUEST, guest=guest, kind=kind, userid=userid))


class LeaseGoneError(ConflictError):
    """A worker's lease on a job has ended: see ``db.repositories.leases``."""

    default = ErrorCode.LEASE_GONE


class InvalidInputError(DashboardError):
    """``reasons`` maps each invalid field's name to its error, ``fields`` to the error's text."""

    default = ErrorCode.INVALID_INPUT

    def __init__(self, fields: Mapping[str, Message | str], reason: Message | str = "") -> None:
        """Strings in ``fields`` are quoted text, as in ``reason``."""
        self.reasons = {
            name: each if isinstance(each, Message) else Message(text=each) for name, each in fields.items()
        }
        super().__init__(reason, detail="; ".join(f"{k}: {v}" for k, v in self.fields.items()))

    @property
    def fields(self) -> dict[str, str]:
        """The errors as text, for pages, API and CLI."""
        return {name: with_remedy(reason) for name, reason in self.reasons.items()}


class RateLimitedError(DashboardError):
    def __init__(self, retry_after_s: int, reason: Message | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason or Message.of(ErrorCode.RATE_LIMITED, seconds=retry_after_s))


class TooManyAtOnceError(RateLimitedError):
    """A caller already holds the maximum of something."""

    def __init__(self, reason: Message) -> None:
        super().__init__(5, reason)


class ServiceUnavailableError(DashboardError):
    """PostgreSQL or Valkey does not answer."""

    default = ErrorCode.SERVICE_UNAVAILABLE
    retryable = True


class AuthError(DashboardError):
    default = ErrorCode.AUTH


class InvalidCredentialsError(AuthError):
    default = ErrorCode.INVALID_CREDENTIALS


class TfaRequiredError(AuthError):
    """PVE requires a second factor. ``kinds``: totp, recovery, yubico, webauthn, u2f."""

    default = ErrorCode.TFA_REQUIRED

    def __init__(self, challenge: str, kinds: Sequence[str]) -> None:
        self.challenge = challenge
        self.kinds = tuple(kinds)
        super().__init__()


class SessionExpiredError(AuthError):
    default = ErrorCode.SESSION_EXPIRED


class TokenRefusedError(AuthError):
    default = ErrorCode.TOKEN_REFUSED


class PrivilegeError(AuthError):
    """The user lacks ``privilege`` at ``path``. Both are empty where PVE names none.

    ``purpose``: why PVE requires it, "for modifying tag 'web'". ``pve_message``: PVE's own sentence, shown instead.
    """

    def __init__(
        self, privilege: str, path: str, detail: str = "", *, purpose: Message | str = "", pve_message: str = ""
    ) -> None:
        self.privilege = privilege
        self.path = path
        lack = Message.of(ErrorCode.PRIVILEGE_UNNAMED)
        if pve_message:
            lack = Message(text=pve_message)
        elif purpose:
            lack = Message.of(ErrorCode.PRIVILEGE_FOR, privilege=privilege, path=path, purpose=purpose)
        elif privilege:
            lack = Message.of(ErrorCode.PRIVILEGE, privilege=privilege, path=path)
        super().__init__(lack, detail=detail)


class ProxmoxError(DashboardError):
    """``node`` is the endpoint's address, ``path`` the API path."""

    def __init__(self, reason: Message | str = "", *, node: str = "", path: str = "", detail: str = "") -> None:
        self.node = node
        self.path = path
        super().__init__(reason, detail=detail or f"{node} {path}".strip())


class UnreachableError(ProxmoxError):
    default = ErrorCode.UNREACHABLE
    retryable = True


class TlsError(ProxmoxError):
    default = ErrorCode.TLS


class ApiError(ProxmoxError):
    """A refusal of PVE. ``status`` is the HTTP status, ``fields`` the errors by field of a 400.

    ``message``: PVE's own words, empty where the reason is ours.
    """

    def __init__(
        self,
        status: int,
        said: Message | str,
        *,
        fields: Mapping[str, str] | None = None,
        node: str = "",
        path: str = "",
    ) -> None:
        self.status = status
        self.message = "" if isinstance(said, Message) else said
        self.fields = dict(fields or {})
        shown = "; ".join(f"{k}: {v}" for k, v in self.fields.items()) or self.message
        reason = Message(text=shown) if shown else Message.of(ErrorCode.API_STATUS, status=status)
        if isinstance(said, Message):
            reason = said
        elif status == NOT_IMPLEMENTED and path and path not in shown:  # "Not implemented" alone does not help
            reason = Message.of(ErrorCode.API_NOT_IMPLEMENTED, path=path, said=shown or status)
        super().__init__(reason, node=node, path=path, detail=f"{status} {path}")


class TaskFailedError(ProxmoxError):
    """A PVE task failed. ``exitstatus`` is not OK or WARNINGS, and empty where PVE has forgotten the task."""

    def __init__(self, upid: str, exitstatus: str, log_tail: Sequence[str] = (), *, node: str = "") -> None:
        self.upid = upid
        self.exitstatus = exitstatus
        self.log_tail = tuple(log_tail)
        reason = Message.of(ErrorCode.TASK_FORGOTTEN)
        if exitstatus:
            reason = Message.of(ErrorCode.TASK_FAILED, exitstatus=exitstatus)
        super().__init__(reason, node=node, detail=upid)


class TaskTimeoutError(ProxmoxError):
    """A PVE task did not end before its deadline and was asked to stop."""

    def __init__(self, upid: str, seconds: float, *, node: str = "") -> None:
        self.upid = upid
        super().__init__(Message.of(ErrorCode.TASK_TIMEOUT, seconds=round(seconds)), node=node, detail=upid)


class TaskCancelledError(ProxmoxError):
    """A PVE task was cancelled. ``exitstatus`` is empty where it may still run."""

    def __init__(self, upid: str, exitstatus: str = "", *, node: str = "") -> None:
        self.upid = upid
        self.exitstatus = exitstatus
        super().__init__(Message.of(ErrorCode.TASK_CANCELLED), node=node, detail=f"{upid} {exitstatus}".strip())


class GuestError(DashboardError):
    default = ErrorCode.GUEST


class GuestUnreachableError(GuestError):
    default = ErrorCode.GUEST_UNREACHABLE
    retryable = True


class GuestGoneError(GuestError):
    """PVE has no guest with ``vmid``, because it was deleted there."""

    def __init__(self, vmid: int) -> None:
        self.vmid = vmid
        super().__init__(Message.of(ErrorCode.GUEST_GONE, vmid=vmid))


class HostKeyError(GuestError):
    default = ErrorCode.HOST_KEY


class KeyRefusedError(GuestError):
    """The SSH server refuses our key."""

    default = ErrorCode.KEY_REFUSED


class WrongGuestError(GuestError):
    """The guest does not carry the expected marker, so the vmid belongs to another container."""

    default = ErrorCode.WRONG_GUEST


class CommandFailedError(GuestError):
    """A command in the guest or on the node ended with a status other than 0."""

    def __init__(self, command: Message | str, exit_status: int, output_tail: str = "") -> None:
        """``command`` is the command's name or says what it does."""
        self.exit_status = exit_status
        self.output_tail = output_tail
        reason = Message.of(ErrorCode.COMMAND_FAILED, command=command, status=exit_status)
        super().__init__(reason, detail=output_tail[-2000:])


class TemplateError(DashboardError):
    """A template is invalid. ``file`` is relative to the source's root. ``line`` is 1-based, 0 for the whole file.

    ``why`` is the reason without its place, ``message`` its text.
    """

    def __init__(self, file: str, line: int, why: Message | str) -> None:
        self.file = file
        self.line = line
        self.why = why if isinstance(why, Message) else Message(text=why)
        reason = Message.of(ErrorCode.TEMPLATE, file=file, message=self.why)
        if line:
            reason = Message.of(ErrorCode.TEMPLATE_LINE, file=file, line=line, message=self.why)
        super().__init__(reason)

    @property
    def message(self) -> str:
        """``why`` as text, for pages, API and CLI. Services pass ``why`` on."""
        return with_remedy(self.why)


class RuleError(DashboardError, ValueError):
    """One value breaks a rule of the template format. The caller knows the value's field, or its file and line."""


class SourceError(DashboardError):
    """A source of templates is unreadable. Its earlier templates stay."""

    default = ErrorCode.SOURCE


class SourceGoneError(SourceError):
    """The repository, branch or folder of the source does not exist."""

    default = ErrorCode.SOURCE_GONE


class CreationError(DashboardError):
    default = ErrorCode.CREATION


class _Finding(Protocol):
    @property
    def message(self) -> Message: ...


class PreflightError(CreationError):
    """``findings``: those of ``services.creation.preflight`` with severity error. A single one is also the reason."""

    def __init__(self, findings: Sequence[_Finding]) -> None:
        self.findings = tuple(findings)
        reasons = [finding.message for finding in findings]
        super().__init__(reasons[0] if len(reasons) == 1 else Message.of(ErrorCode.PREFLIGHT, findings=reasons))


class PhaseFailedError(CreationError):
    """A phase has failed. ``step`` names the part that failed (a script, a package batch).

    ``of_disk``: the guest failed to write to its disk, so its storage may be full.
    """

    def __init__(self, phase: str, reason: Message | str, *, step: str = "", of_disk: bool = False) -> None:
        self.phase = phase
        self.step = step
        self.of_disk = of_disk
        super().__init__(reason, detail=f"{phase} {step}".strip())


class CryptoError(DashboardError):
    default = ErrorCode.CRYPTO


class WrongKeyError(CryptoError):
    default = ErrorCode.WRONG_KEY


class TamperedError(CryptoError):
    default = ErrorCode.TAMPERED
