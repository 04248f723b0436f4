"""Reveals the stored secrets of a creation, one service at a time, to users who may enter the container as root."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import ConflictError, DashboardError, NotFoundError, PrivilegeError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.creation import ownership, service
from lxc_dashboard.services.creation.access import ENTRY_PRIVILEGES
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.report import ROOT_PASSWORD
from lxc_dashboard.services.creation.steps import notes

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.views import CreationView


async def reveal(rt: Runtime, session: Session, job_id: UUID, name: str) -> dict[str, str]:
    """The secrets of one service by their names; for ``root``, the generated root password. Every call is audited.

    Never shows a password that the user set. Asks PVE whether the user may enter the guest as root, and whether the
    vmid still belongs to this container. Raises ``NotFoundError``, ``PrivilegeError``, ``ConflictError``.
    """
    view = await service.get_job(rt, session, job_id)
    try:
        await _check(rt, session, view)
        found = await _read(rt, view, name)
    except DashboardError as error:
        result = AuditResult.REFUSED if isinstance(error, PrivilegeError) else AuditResult.FAILED
        await _audit(rt, session, view, name, result)
        raise
    await _audit(rt, session, view, name, AuditResult.OK)
    return found


async def _check(rt: Runtime, session: Session, view: CreationView) -> None:
    if not view.exists:
        raise NotFoundError(Message.of(FailureCode.CREDENTIALS_GONE, vmid=view.vmid, hostname=view.hostname))
    await privileges.require(rt, session, f"/vms/{view.vmid}", *ENTRY_PRIVILEGES)
    client = await acting.client(rt, session)
    place = await ownership.locate(client, view.node, view.vmid)
    config = await client.lxc.config(place.node, view.vmid) if place else None
    if config is None or not notes.is_of(config.description, view.id):
        raise ConflictError(Message.of(FailureCode.CREDENTIALS_NOT_OURS, vmid=view.vmid))


async def _read(rt: Runtime, view: CreationView, name: str) -> dict[str, str]:
    made = view.spec is not None and view.spec.password_mode is PasswordMode.GENERATED
    async with rt.db.transaction() as tx:
        container = await tx.containers.get(view.container_id)
        password = tx.containers.root_password(container) if made else None
        kept = tx.containers.credentials(container)
    known = ({ROOT_PASSWORD: {"password": password}} if password else {}) | kept
    if name not in known:
        raise NotFoundError(Message.of(FailureCode.CREDENTIAL_UNKNOWN))
    return known[name]


async def _audit(rt: Runtime, session: Session, view: CreationView, name: str, result: AuditResult) -> None:
    async with rt.db.transaction() as tx:
        await tx.audit.append(
            userid=session.authid,
            endpoint_name=session.endpoint_name,
            action="credential.reveal",
            subject=f"CT {view.vmid} {view.hostname}",
            address=session.address,
            result=result,
            detail={"creation": str(view.id), "name": name[:255]},
        )
