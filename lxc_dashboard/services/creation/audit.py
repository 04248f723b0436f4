"""Audit entries for what a signed-in user does to a creation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.db.models import AuditResult, Container

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.services.auth.model import Session


async def audit(
    tx: Transaction,
    session: Session,
    container: Container,
    action: str,
    *,
    job: UUID,
    result: AuditResult = AuditResult.OK,
    cause: str = "",
) -> None:
    await tx.audit.append(
        userid=session.authid,
        endpoint_name=session.endpoint_name,
        action=action,
        subject=f"CT {container.vmid} {container.hostname}",
        address=session.address,
        result=result,
        detail={"creation": str(job), **({"cause": cause} if cause else {})},
    )
