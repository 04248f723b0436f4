"""Translates PostgreSQL's errors into the product's errors, where they enter (``engine``, ``database``)."""

from __future__ import annotations

from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lxc_dashboard.errors import (
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    ServiceUnavailableError,
)
from lxc_dashboard.messages import Message, MessageCode


class DatabaseCode(MessageCode):
    """Codes for violated constraints, other refusals of PostgreSQL, and rows that are gone or in another state."""

    ENDPOINT_NAME = "database.endpoint_name"
    ENDPOINT_ADDRESS = "database.endpoint_address"
    ENDPOINT_DEFAULT = "database.endpoint_default"
    ENDPOINT_HAS_CONTAINERS = "database.endpoint_has_containers"
    ENDPOINT_HAS_JOBS = "database.endpoint_has_jobs"
    VMID = "database.vmid"
    CONTAINER_MARKER = "database.container_marker"
    PRESET_NAME = "database.preset_name"
    SOURCE_NAME = "database.source_name"
    TEMPLATE_NAME = "database.template_name"
    TEMPLATE_HAS_JOBS = "database.template_has_jobs"
    REVISION_NUMBER = "database.revision_number"
    BUCKET_NAME = "database.bucket_name"
    GUEST_LOCKED = "database.guest_locked"
    JOB_TAKEN_OVER = "database.job_taken_over"
    AUDIT_APPEND_ONLY = "database.audit_append_only"
    EXISTS = "database.exists"
    IN_USE = "database.in_use"
    PARENT_GONE = "database.parent_gone"
    INVALID_VALUE = "database.invalid_value"
    POOL_BUSY = "database.pool_busy"
    BUSY = "database.busy"
    UNREACHABLE = "database.unreachable"
    UNMIGRATED = "database.unmigrated"
    NO_PRIVILEGES = "database.no_privileges"
    READ_ONLY = "database.read_only"
    NOT_FITTING = "database.not_fitting"
    NOT_ALLOWED = "database.not_allowed"

    JOB_GONE = "job.gone"
    JOB_GONE_OR_ENDED = "job.gone_or_ended"
    BATCH_GONE = "batch.gone"
    CONTAINER_GONE = "container.gone"
    ENDPOINT_GONE = "endpoint.gone"
    SOURCE_GONE = "source.gone"
    TEMPLATE_GONE = "template.gone"
    REVISION_GONE = "revision.gone"
    REVISION_NO_FILE = "revision.no_file"
    BUCKET_GONE = "bucket.gone"
    DRAFT_GONE = "draft.gone"
    PRESET_GONE = "preset.gone"

    VMID_TAKEN = "database.vmid_taken"
    VMID_CHANGED = "container.vmid_changed"
    JOB_NOT_FAILED = "job.not_failed"
    JOB_NOT_REPLACEABLE = "job.not_replaceable"
    JOB_NOT_PAUSED = "job.not_paused"
    JOB_ENDED = "job.ended"
    ENDPOINT_USED = "endpoint.used"
    ENDPOINT_USED_BY_MORE = "endpoint.used_by_more"
    SOURCE_OF_OTHER_KIND = "source.of_other_kind"

    BAD_URL = "database.bad_url"
    BAD_SCHEME = "database.bad_scheme"
    NO_NAME = "database.no_name"
    NO_MIGRATIONS = "database.no_migrations"
    NO_REVISION = "database.no_revision"
    UNREADABLE_SECRET = "database.unreadable_secret"  # noqa: S105 a code


# The code for each unique constraint, foreign key and trigger, by name.
_OF_CONSTRAINT: Final = {
    "uq_proxmox_node_name": DatabaseCode.ENDPOINT_NAME,
    "uq_proxmox_node_address": DatabaseCode.ENDPOINT_ADDRESS,
    "uq_proxmox_node_default": DatabaseCode.ENDPOINT_DEFAULT,
    "uq_container_endpoint_vmid_existing": DatabaseCode.VMID,
    "uq_container_marker": DatabaseCode.CONTAINER_MARKER,
    "uq_preset_endpoint_id_owner_name": DatabaseCode.PRESET_NAME,
    "uq_template_source_name": DatabaseCode.SOURCE_NAME,
    "uq_template_source_id_name": DatabaseCode.TEMPLATE_NAME,
    "uq_template_revision_template_id_number": DatabaseCode.REVISION_NUMBER,
    "uq_package_bucket_name": DatabaseCode.BUCKET_NAME,
    "uq_job_endpoint_id_vmid_locked": DatabaseCode.GUEST_LOCKED,
    "pk_job_event": DatabaseCode.JOB_TAKEN_OVER,
    "audit_entry_append_only": DatabaseCode.AUDIT_APPEND_ONLY,
    "fk_container_endpoint_id_proxmox_node": DatabaseCode.ENDPOINT_HAS_CONTAINERS,
    "fk_job_endpoint_id_proxmox_node": DatabaseCode.ENDPOINT_HAS_JOBS,
    "fk_job_revision_id_template_revision": DatabaseCode.TEMPLATE_HAS_JOBS,
}
# SQLSTATE classes and codes where a retry may succeed.
_TRY_AGAIN_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_TRY_AGAIN_CODES: Final = frozenset({"55P03", "25P03"})
_ADVICE: Final = {
    "42P01": DatabaseCode.UNMIGRATED,
    "42703": DatabaseCode.UNMIGRATED,
    "42501": DatabaseCode.NO_PRIVILEGES,
    "25006": DatabaseCode.READ_ONLY,
}


def translate(error: BaseException, *, statement: str = "") -> DashboardError | None:
    """Return the product's error, None for a mistake in our code."""
    if isinstance(error, DBAPIError):
        return translate(error.orig, statement=error.statement or statement) if error.orig else None
    if isinstance(error, PoolTimeoutError):
        return ServiceUnavailableError(Message.of(DatabaseCode.POOL_BUSY), detail="no free connection in the pool")
    if isinstance(error, NoResultFound):
        return NotFoundError()
    if isinstance(error, psycopg.Error):
        return _of_postgres(error, statement)
    return None


def _of_postgres(error: psycopg.Error, statement: str) -> DashboardError | None:
    code = error.sqlstate or ""
    if code.startswith("23"):
        return _of_integrity(error, statement)
    if code[:2] in _TRY_AGAIN_CLASSES or code in _TRY_AGAIN_CODES:
        return ServiceUnavailableError(Message.of(DatabaseCode.BUSY), detail=_detail(error))
    if code in _ADVICE:
        return ServiceUnavailableError(Message.of(_ADVICE[code]), detail=_detail(error))
    if isinstance(error, psycopg.DataError):
        field = error.diag.column_name or "value"
        return InvalidInputError({field: Message.of(DatabaseCode.NOT_FITTING)}, Message.of(DatabaseCode.INVALID_VALUE))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ServiceUnavailableError(Message.of(DatabaseCode.UNREACHABLE), detail=_detail(error))
    return None


def _of_integrity(error: psycopg.Error, statement: str) -> DashboardError:
    name = error.diag.constraint_name or ""
    deletes = statement.lstrip().upper().startswith("DELETE")
    match error:
        case psycopg.errors.ForeignKeyViolation() if not deletes:
            return NotFoundError(Message.of(DatabaseCode.PARENT_GONE), detail=name)
        case psycopg.errors.RestrictViolation() | psycopg.errors.ForeignKeyViolation():
            # PostgreSQL before 18 reports ForeignKeyViolation for RESTRICT, too
            return ConflictError(Message.of(_OF_CONSTRAINT.get(name, DatabaseCode.IN_USE)), detail=name)
        case psycopg.errors.UniqueViolation() if name in _OF_CONSTRAINT:
            return ConflictError(Message.of(_OF_CONSTRAINT[name]), detail=name)
        case psycopg.errors.UniqueViolation():
            table = (error.diag.table_name or "entry").replace("_", " ")
            return ConflictError(Message.of(DatabaseCode.EXISTS, table=table), detail=name)
        case _:
            field = error.diag.column_name or name or "value"
            return InvalidInputError(
                {field: Message.of(DatabaseCode.NOT_ALLOWED)}, Message.of(DatabaseCode.INVALID_VALUE)
            )


def _detail(error: psycopg.Error) -> str:
    """Return one line for the log. psycopg names host and user, never the password."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__} {error.sqlstate or ''} {first}".strip()
