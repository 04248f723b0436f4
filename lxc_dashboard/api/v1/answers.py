"""The API's responses. Its description is generated from these types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from starlette.responses import Response

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.db.models import JobState, Phase
from lxc_dashboard.errors import (
    BusyGuestError,
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    PreflightError,
    PrivilegeError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionExpiredError,
    TokenRefusedError,
    UnreachableError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.preflight.findings import FindingSeverity
from lxc_dashboard.services.creation.views import CreationView, StepState
from lxc_dashboard.services.jobs.views import JobError, JobView
from lxc_dashboard.services.kinds import is_known
from lxc_dashboard.state.base import reference

log = structlog.get_logger(__name__)

JSON: Final = "application/json"
RETRY_AFTER_S: Final = 5
STATUSES: Final[tuple[tuple[type[DashboardError], int], ...]] = (
    (TokenRefusedError, 401),
    (SessionExpiredError, 401),
    (PrivilegeError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (InvalidInputError, 422),
    (PreflightError, 422),
    (RateLimitedError, 429),
    (ServiceUnavailableError, 503),
    (UnreachableError, 503),
)
BAD_GATEWAY: Final = 502


class Finding(msgspec.Struct, frozen=True):
    """A finding of the preflight. ``field``: the field of the request, or empty.

    ``code`` and ``params``: what ``cause`` and ``remedy`` say, for programs.
    """

    severity: FindingSeverity
    field: str
    code: str
    params: Mapping[str, Any]
    cause: str
    remedy: str


class FirstJob(msgspec.Struct, frozen=True):
    """The unfinished job on the guest. ``path``: its path in the API."""

    id: UUID
    kind: str
    userid: str
    path: str


class Problem(msgspec.Struct, frozen=True):
    """``fields``: errors by field. ``reference``: the log entry with the cause.

    ``job``: present only if an unfinished job on the guest is the cause.
    """

    message: str
    fields: dict[str, str] = {}
    findings: list[Finding] = []
    reference: str = ""
    job: FirstJob | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True):
    error: Problem


class Step(msgspec.Struct, frozen=True):
    key: str
    phase: Phase
    title: str
    state: StepState


class Fault(msgspec.Struct, frozen=True):
    """Why a job failed. ``tail``: the last lines of a PVE task."""

    message: str
    remedy: str
    phase: str
    step: str
    tail: list[str]


class Outcome(msgspec.Struct, frozen=True):
    """The result of a finished creation. ``credentials``: names of services with credentials."""

    address: str
    ports: list[int]
    credentials: list[str]


class Creation(msgspec.Struct, frozen=True):
    """A creation. ``spec``: the requested container, without secrets."""

    id: UUID
    state: JobState
    phase: Phase
    percent: int
    vmid: int
    node: str
    hostname: str
    template: str
    userid: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    exists: bool
    may_cancel: bool
    may_retry: bool
    may_go_on: bool
    may_destroy: bool
    steps: list[Step]
    error: Fault | None
    result: Outcome | None
    spec: dict[str, Any]


class Creations(msgspec.Struct, frozen=True):
    """Newest first."""

    creations: list[Creation]


class Job(msgspec.Struct, frozen=True):
    """A job of any kind. ``vmid``: 0 for a job without a guest; ``name`` then names its subject.

    ``message``: the result of a finished act. ``error``: of a failed or cancelled job.

    ``known``: false if this version of the dashboard does not know the kind. The job waits for a worker that does.
    """

    id: UUID
    kind: str
    state: JobState
    vmid: int
    node: str
    name: str
    userid: str
    step: str
    percent: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: Fault | None
    message: str
    known: bool


class Jobs(msgspec.Struct, frozen=True):
    """Newest first."""

    jobs: list[Job]


class Secrets(msgspec.Struct, frozen=True):
    """Credentials by name."""

    values: dict[str, str]


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A line of the log. ``kind``: step, log, warning, error or complete. ``script``: the script or package batch of output.

    ``code`` and ``params``: the meaning of ``text`` for programs. Both are empty for output.
    """

    seq: int
    at: datetime
    kind: str
    phase: str
    script: str
    text: str
    code: str
    params: Mapping[str, Any]


class End(msgspec.Struct, frozen=True, tag="end"):
    """The last object of a log. ``state``: the job's, or empty if the log is no longer readable; ``message`` says why."""

    state: str
    message: str = ""


def creation_of(view: CreationView) -> Creation:
    result = view.result
    same = (
        "id",
        "state",
        "phase",
        "percent",
        "vmid",
        "node",
        "hostname",
        "template",
        "userid",
        "created_at",
        "started_at",
    )
    flags = ("finished_at", "exists", "may_cancel", "may_retry", "may_go_on", "may_destroy")
    return Creation(
        **{name: getattr(view, name) for name in (*same, *flags)},
        steps=[
            Step(step.key, step.phase, text.in_words(step.code, step.params, step.title), step.state)
            for step in view.steps
        ],
        error=_fault(view.error),
        result=Outcome(result.address, list(result.ports), list(result.credentials)) if result else None,
        spec=view.spec.to_json() if view.spec else {},
    )


def job_of(view: JobView) -> Job:
    same = [name for name in Job.__struct_fields__ if name not in {"error", "message", "known"}]
    return Job(
        **{name: getattr(view, name) for name in same},
        error=_fault(view.error),
        message=text.in_words_of(view.outcome) if view.outcome else "",
        known=is_known(view.kind),
    )


def _fault(error: JobError | None) -> Fault | None:
    if error is None:
        return None
    remedy = error.remedy or text.remedy_of(error.reason)
    return Fault(text.in_words_of(error.reason), remedy, error.phase, error.step, list(error.tail))


def answer(body: msgspec.Struct, status: int = 200, **headers: str) -> Response:
    """A JSON response. ``headers``: names with underscores instead of hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(msgspec.json.encode(body), status, {**NO_STORE, **named}, JSON)


def problem(status: int, message: str, **headers: str) -> Response:
    return answer(Failure(Problem(message)), status, **headers)


def refusal(error: DashboardError) -> Response:
    """The response to ``error``: its status, invalid fields and findings."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), BAD_GATEWAY)
    reference_id = reference()
    log.warning("api request failed", reference=reference_id, status=status, error=type(error).__name__, why=str(error))
    body = Problem(_message(error), getattr(error, "fields", {}), _findings(error), reference_id, _first_job(error))
    return answer(Failure(body), status, **_headers(error, status))


def _message(error: DashboardError) -> str:
    """The message for the caller. PVE's message about a refused token is for the log only."""
    if isinstance(error, SessionExpiredError):
        return TokenRefusedError().user_message
    return text.API_PREFLIGHT_FAILED if isinstance(error, PreflightError) else error.user_message


def _findings(error: DashboardError) -> list[Finding]:
    found: Any = error.findings if isinstance(error, PreflightError) else ()
    return [_finding(each.severity, each.field, each.message) for each in found]


def _finding(severity: FindingSeverity, field: str, said: Message) -> Finding:
    return Finding(severity, field, said.code, said.params, text.in_words_of(said), text.remedy_of(said))


def _first_job(error: DashboardError) -> FirstJob | msgspec.UnsetType:
    if not isinstance(error, BusyGuestError):
        return msgspec.UNSET
    return FirstJob(error.job_id, error.kind, error.userid, routes.api_job(error.job_id))


def _headers(error: DashboardError, status: int) -> dict[str, str]:
    if isinstance(error, RateLimitedError):
        return {"Retry_After": str(error.retry_after_s)}
    if status == 503:  # noqa: PLR2004 - a status code
        return {"Retry_After": str(RETRY_AFTER_S)}
    return {"WWW_Authenticate": "PVEAPIToken"} if status == 401 else {}  # noqa: PLR2004
