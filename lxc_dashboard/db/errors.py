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

# Messages for unique constraints and the trigger, by name.
TAKEN: Final = {
    "uq_proxmox_node_name": "An endpoint with this name already exists",
    "uq_proxmox_node_address": "An endpoint with this host and port already exists",
    "uq_proxmox_node_default": "Another endpoint has become the default. Reload the page",
    "uq_container_endpoint_vmid_existing": "This vmid is already in use on this endpoint",
    "uq_container_marker": "This container is already registered",
    "uq_preset_endpoint_id_owner_name": "You already have a preset with this name",
    "uq_template_source_name": "A template source with this name already exists",
    "uq_template_source_id_name": "This source already has a template with this name",
    "uq_template_revision_template_id_number": "Another user saved a new revision of this template. Reload it",
    "uq_package_bucket_name": "A package bucket with this name already exists",
    "uq_job_endpoint_id_vmid_locked": "Another job uses this container. Wait for it or cancel it",
    "pk_job_event": "Another worker has taken over this job",
    "audit_entry_append_only": "Audit entries cannot be changed",
}
# Messages for referring constraints: what still uses the row.
USED_BY: Final = {
    "fk_container_endpoint_id_proxmox_node": "This endpoint still has containers. Delete them first",
    "fk_job_endpoint_id_proxmox_node": "This endpoint still has jobs",
    "fk_job_revision_id_template_revision": "Jobs still use this template",
}
# SQLSTATE classes and codes where a retry may succeed.
_TRY_AGAIN_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_TRY_AGAIN_CODES: Final = frozenset({"55P03", "25P03"})
_UNMIGRATED: Final = "The database is not migrated to this version. Run: lxc-dashboard migrate"
_ADVICE: Final = {
    "42P01": _UNMIGRATED,
    "42703": _UNMIGRATED,
    "42501": "The role in DATABASE_URL lacks privileges. Make it the owner of its database: ALTER DATABASE ... OWNER TO ...",
    "25006": "The database is read-only: it is a standby, or configured so",
}


def translate(error: BaseException, *, statement: str = "") -> DashboardError | None:
    """Return the product's error, None for a mistake in our code."""
    if isinstance(error, DBAPIError):
        return translate(error.orig, statement=error.statement or statement) if error.orig else None
    if isinstance(error, PoolTimeoutError):
        return ServiceUnavailableError("The database is busy", detail="no free connection in the pool")
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
        return ServiceUnavailableError("The database is busy or restarting", detail=_detail(error))
    if code in _ADVICE:
        return ServiceUnavailableError(_ADVICE[code], detail=_detail(error))
    if isinstance(error, psycopg.DataError):
        return InvalidInputError({error.diag.column_name or "value": "does not fit"}, "A value cannot be stored")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ServiceUnavailableError("The database cannot be reached", detail=_detail(error))
    return None


def _of_integrity(error: psycopg.Error, statement: str) -> DashboardError:
    name = error.diag.constraint_name or ""
    match error:
        case psycopg.errors.RestrictViolation():
            return ConflictError(TAKEN.get(name) or USED_BY.get(name, "This is still in use"), detail=name)
        case psycopg.errors.ForeignKeyViolation():
            if statement.lstrip().upper().startswith("DELETE"):  # PostgreSQL before 18 reports it for RESTRICT, too
                return ConflictError(USED_BY.get(name, "This is still in use"), detail=name)
            return NotFoundError("The object that this belongs to does not exist or was removed", detail=name)
        case psycopg.errors.UniqueViolation():
            table = (error.diag.table_name or "entry").replace("_", " ")
            return ConflictError(TAKEN.get(name, f"This {table} already exists"), detail=name)
        case _:
            field = error.diag.column_name or name or "value"
            return InvalidInputError({field: "is not allowed"}, "A value cannot be stored")


def _detail(error: psycopg.Error) -> str:
    """Return one line for the log. psycopg names host and user, never the password."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__} {error.sqlstate or ''} {first}".strip()
