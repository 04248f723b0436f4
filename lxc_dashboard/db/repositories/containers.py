"""Containers that the product made or adopted, their events, and what lists show of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, Subquery, Uuid, and_, false, func, or_, select, update
from sqlalchemy.dialects.postgresql import array, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.crypto import Keyring, SealedColumn
from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Container, ContainerEvent, Job, JobState, Lifecycle, Template, TemplateRevision, now
from lxc_dashboard.db.models.base import storable, storable_text
from lxc_dashboard.db.repositories.leases import is_creation
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.messages import Message

Credentials = dict[str, dict[str, str]]
GIVEN: Final = "given"  # ``password_mode`` of a spec whose user chose the password
MADE: Final = ["create.container"]


@dataclass(frozen=True, slots=True)
class KnownGuest:
    """A container with its creations.

    ``job_id`` is the latest of ``creations``. It ended at ``ended_at``. ``was_made``: it made the container.
    """

    container_id: UUID
    vmid: int
    lifecycle: str
    address: str
    template: str
    revision: int
    job_id: UUID | None
    creations: frozenset[UUID] = frozenset()
    was_made: bool = False
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None


class ContainerRepository:
    def __init__(self, session: AsyncSession, keyring: Keyring) -> None:
        self._session = session
        self._credentials = SealedColumn(keyring, "container", "credentials_enc")
        self._root_password = SealedColumn(keyring, "container", "root_password_enc")

    async def reserve(self, container: Container, *, root_password: str | None = None) -> Container:
        """Reserve the container's vmid at its endpoint. The transaction can continue after a refusal.

        Waits for reservations in other transactions. Raises ``ConflictError`` where the vmid is taken,
        ``NotFoundError`` where the endpoint is gone.
        """
        container.root_password_enc = self._root_password.seal_text(root_password, container.id)
        stored = (
            insert(Container)
            .values(container.model_dump())
            .on_conflict_do_nothing(
                index_elements=[col(Container.endpoint_id), col(Container.vmid)],
                index_where=col(Container.deleted_at).is_(None),
            )
            .returning(Container)
        )
        row = await self._session.scalar(stored)
        if row is None:
            raise ConflictError(Message.of(DatabaseCode.VMID_TAKEN, vmid=container.vmid))
        return row

    async def get(self, container_id: UUID) -> Container:
        """Return the container, also a deleted one. Raises ``NotFoundError``."""
        container = await self._session.get(Container, container_id)
        if container is None:
            raise NotFoundError(Message.of(DatabaseCode.CONTAINER_GONE))
        return container

    async def by_vmid(self, endpoint_id: UUID, vmid: int) -> Container | None:
        """Return the existing container with this vmid."""
        existing = (col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None))
        return await self._session.scalar(select(Container).where(*existing, col(Container.vmid) == vmid))

    async def known(self, endpoint_id: UUID, container_ids: Collection[UUID] | None = None) -> list[KnownGuest]:
        """Return the endpoint's existing containers, or those of ``container_ids``."""
        query = _known(endpoint_id)
        if container_ids is not None:
            query = query.where(col(Container.id).in_(container_ids))
        rows = (await self._session.execute(query)).mappings()
        return [KnownGuest(**{**row, "creations": frozenset(row["creations"])}) for row in rows]

    async def mark_deleted(self, container_id: UUID) -> Container:
        """Free the vmid and wipe the secrets. The row stays. Raises ``NotFoundError``."""
        gone_at = (await self.get(container_id)).deleted_at or now()
        return await self._set(container_id, deleted_at=gone_at, credentials_enc=None, root_password_enc=None)

    async def mark_lost(self, container_id: UUID, ended_at: datetime, *, for_good: bool = True) -> bool:
        """Free the vmid of a container that PVE does not have.

        ``ended_at``: the end of its last creation, read before asking PVE. Returns False where the container is marked
        already, or where a creation is unfinished or ended later: it may have made the container again.
        ``for_good`` also wipes the secrets. Otherwise ``hold_again`` can undo the mark.
        """
        jobs = select(col(Job.id)).where(col(Job.container_id) == container_id, is_creation())
        # A retry locks its job first. Without the lock, the UPDATE could wait for it and still see the job as it was.
        await self._session.execute(jobs.with_for_update())
        unfinished, later = col(Job.finished_at).is_(None), col(Job.finished_at) > ended_at
        worked_on = jobs.where(or_(unfinished, later)).exists()
        wiped = {"credentials_enc": None, "root_password_enc": None} if for_good else {}
        lost = (
            update(Container)
            .where(col(Container.id) == container_id, col(Container.deleted_at).is_(None), ~worked_on)
            .values(deleted_at=now(), **wiped)
            .returning(col(Container.id))
        )
        return await self._session.scalar(lost.execution_options(synchronize_session=False)) is not None

    async def hold_again(self, container_id: UUID, vmid: int) -> Container:
        """Undo ``mark_lost`` for a container that will be made again, with ``vmid``.

        Raises ``ConflictError`` where another container has the vmid.
        """
        container = await self.get(container_id)
        holder = await self.by_vmid(container.endpoint_id, vmid)
        if holder is not None and holder.id != container_id:
            raise ConflictError(Message.of(DatabaseCode.VMID_TAKEN, vmid=vmid))
        return await self._set(container_id, deleted_at=None, vmid=vmid)

    async def set_lifecycle(self, container_id: UUID, lifecycle: Lifecycle) -> Container:
        return await self._set(container_id, lifecycle=lifecycle.value)

    async def set_node(self, container_id: UUID, node: str) -> Container:
        """Set the container's node, which a migration changes."""
        return await self._set(container_id, node=node)

    async def set_vmid(self, container_id: UUID, vmid: int, *, instead_of: int) -> Container:
        """Replace the vmid ``instead_of``, which another guest took before this one was made.

        Raises ``ConflictError`` where ``vmid`` is taken too, or the container's vmid is no longer ``instead_of``.
        """
        held = (col(Container.vmid) == instead_of, col(Container.deleted_at).is_(None))
        changed = update(Container).where(col(Container.id) == container_id, *held).values(vmid=vmid)
        returning = changed.returning(Container).execution_options(populate_existing=True)
        container = await self._session.scalar(returning)
        if container is None:
            raise ConflictError(Message.of(DatabaseCode.VMID_CHANGED, vmid=instead_of))
        return container

    async def set_address(self, container_id: UUID, address: str) -> Container:
        """Set the container's first address, without prefix length. Empty: it has none."""
        return await self._set(container_id, address=address)

    async def set_services(self, container_id: UUID, services: Sequence[Mapping[str, Any]]) -> Container:
        """Set the services that discovery found, as JSON."""
        return await self._set(container_id, services=storable([dict(service) for service in services]))

    async def set_revision(self, container_id: UUID, revision_id: UUID | None) -> Container:
        """Set the template revision that the container was last built from."""
        return await self._set(container_id, template_revision_id=revision_id)

    async def set_credentials(self, container_id: UUID, credentials: Credentials) -> Container:
        """Store ``{service: {key: value}}`` encrypted."""
        sealed = self._credentials.seal_json(credentials or None, container_id)
        return await self._set(container_id, credentials_enc=sealed)

    def credentials(self, container: Container) -> Credentials:
        """Return ``{service: {key: value}}`` in plain text. Raises ``WrongKeyError``, ``TamperedError``."""
        opened: Credentials | None = self._credentials.open_json(container.credentials_enc, container.id)
        return opened or {}

    async def set_root_password(self, container_id: UUID, password: str | None) -> Container:
        sealed = self._root_password.seal_text(password, container_id)
        return await self._set(container_id, root_password_enc=sealed)

    async def forget_given_passwords(self, keep_s: float) -> int:
        """Wipe root passwords that users gave for jobs that failed over ``keep_s`` seconds ago. Returns how many."""
        left = select(col(Job.container_id)).where(
            col(Job.state) == JobState.FAILED.value,
            col(Job.params)["password_mode"].astext == GIVEN,
            col(Job.finished_at) < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, keep_s),
        )
        held = (col(Container.root_password_enc).is_not(None), col(Container.id).in_(left))
        forgotten = update(Container).where(*held).values(root_password_enc=None).returning(col(Container.id))
        unread = {"synchronize_session": False}
        return len((await self._session.scalars(forgotten, execution_options=unread)).all())

    def root_password(self, container: Container) -> str | None:
        """Return the password in plain text, None without one. Raises ``WrongKeyError``, ``TamperedError``."""
        return self._root_password.open_text(container.root_password_enc, container.id)

    async def add_event(
        self,
        container_id: UUID,
        kind: str,
        message: str,
        *,
        userid: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> ContainerEvent:
        """Add an event. ``kind``: for example ``created``. ``userid`` is empty for acts of the dashboard itself."""
        event = ContainerEvent(
            container_id=container_id,
            kind=kind,
            message=storable_text(message),
            userid=storable_text(userid, 255),
            detail=storable(dict(detail or {})),
        )
        self._session.add(event)
        await self._session.flush()
        return event

    async def events(
        self, container_id: UUID, *, before: UUID | None = None, limit: int = 100
    ) -> Sequence[ContainerEvent]:
        """Return events, newest first. ``before`` is the last id of the previous page."""
        wanted = [col(ContainerEvent.container_id) == container_id]
        if before is not None:
            wanted.append(col(ContainerEvent.id) < before)
        newest = select(ContainerEvent).where(*wanted).order_by(col(ContainerEvent.id).desc()).limit(limit)
        return (await self._session.scalars(newest)).all()

    async def _set(self, container_id: UUID, **values: Any) -> Container:
        changed = update(Container).where(col(Container.id) == container_id).values(**values).returning(Container)
        container = await self._session.scalar(changed.execution_options(populate_existing=True))
        if container is None:
            raise NotFoundError(Message.of(DatabaseCode.CONTAINER_GONE))
        return container


def _known(endpoint_id: UUID) -> Select[Any]:
    """Select the fields of ``KnownGuest`` for the endpoint's existing containers."""
    runs, latest = _runs(endpoint_id), _latest(endpoint_id)
    return (
        select(
            col(Container.id).label("container_id"),
            col(Container.vmid),
            col(Container.lifecycle),
            col(Container.address),
            func.coalesce(Template.name, "").label("template"),
            func.coalesce(TemplateRevision.number, 0).label("revision"),
            latest.c.id.label("job_id"),
            func.coalesce(runs.c.ids, array([], type_=Uuid())).label("creations"),
            func.coalesce(latest.c.made, false()).label("was_made"),
            latest.c.finished_at.label("ended_at"),
        )
        .outerjoin(TemplateRevision, col(TemplateRevision.id) == col(Container.template_revision_id))
        .outerjoin(Template, col(Template.id) == col(TemplateRevision.template_id))
        .outerjoin(latest, latest.c.container_id == col(Container.id))
        .outerjoin(runs, runs.c.container_id == col(Container.id))
        .where(col(Container.endpoint_id) == endpoint_id, col(Container.deleted_at).is_(None))
    )


def _runs(endpoint_id: UUID) -> Subquery:
    """Select the ids of all creations of each container."""
    return (
        select(col(Job.container_id), func.array_agg(col(Job.id)).label("ids"))
        .where(col(Job.endpoint_id) == endpoint_id, is_creation())
        .group_by(col(Job.container_id))
        .subquery()
    )


def _latest(endpoint_id: UUID) -> Subquery:
    """Select the latest creation of each container, whether it made the container, and its end."""
    made = and_(col(Job.checkpoint)["done"].contains(MADE), col(Job.finished_at).is_not(None))
    return (
        select(col(Job.container_id), col(Job.id), made.label("made"), col(Job.finished_at))
        .ext(distinct_on(col(Job.container_id)))
        .where(col(Job.endpoint_id) == endpoint_id, is_creation())
        .order_by(col(Job.container_id), col(Job.created_at).desc())
        .subquery()
    )
