"""Privileges for templates: reading needs a session, a change needs ``VM.Allocate`` at ``/vms`` in PVE and is audited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import AuditResult, now
from lxc_dashboard.errors import DashboardError, InvalidInputError, PrivilegeError, SessionExpiredError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.auth.model import Session

AUTHOR_PRIVILEGE: Final = "VM.Allocate"
AUTHOR_PATH: Final = "/vms"
MAX_AUDITED_FIELDS: Final = 20


def require_session(session: Session) -> None:
    """Every signed-in user may read templates. Raises ``SessionExpiredError``."""
    if now() >= session.ends_at:
        raise SessionExpiredError


async def require_author(rt: Runtime, session: Session) -> None:
    """Raises ``PrivilegeError`` unless PVE lets the user create containers, ``SessionExpiredError``, ``UnreachableError``."""
    require_session(session)
    await privileges.require(rt, session, AUTHOR_PATH, AUTHOR_PRIVILEGE)


async def may_author(rt: Runtime, session: Session) -> bool:
    """Whether pages offer changes to the user. Each change checks the privilege again."""
    require_session(session)
    return AUTHOR_PRIVILEGE in await privileges.held(rt, session, AUTHOR_PATH)


async def audit(
    tx: Transaction,
    session: Session,
    action: str,
    subject: str,
    *,
    result: AuditResult = AuditResult.OK,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append an audit entry in the transaction of the change. ``action`` like ``template.save``; ``detail`` without secrets."""
    await tx.audit.append(
        userid=session.userid,
        endpoint_name=session.endpoint_name,
        action=action,
        subject=subject,
        address=session.address,
        result=result,
        detail=detail,
    )


@asynccontextmanager
async def authored(rt: Runtime, session: Session, action: str, subject: str) -> AsyncIterator[None]:
    """Check the privilege. Audit and raise a refusal or an error of the block; the block calls ``audit`` on success."""
    try:
        await require_author(rt, session)
        yield
    except DashboardError as error:
        result = AuditResult.REFUSED if isinstance(error, PrivilegeError) else AuditResult.FAILED
        async with rt.db.transaction() as tx:
            await audit(tx, session, action, subject, result=result, detail=_cause(error))
        raise


def _cause(error: DashboardError) -> dict[str, Any]:
    """The error for the audit. For invalid input only the field names, since a value may be a secret."""
    cause: dict[str, Any] = {"cause": error.reason.to_json()}
    return (
        {**cause, "fields": list(error.reasons)[:MAX_AUDITED_FIELDS]} if isinstance(error, InvalidInputError) else cause
    )
