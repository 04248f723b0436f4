"""Transactions on PostgreSQL, with a repository for each aggregate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, AsyncSessionTransaction

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db.errors import translate
from lxc_dashboard.db.repositories.audit import AuditRepository
from lxc_dashboard.db.repositories.buckets import BucketRepository
from lxc_dashboard.db.repositories.containers import ContainerRepository
from lxc_dashboard.db.repositories.drafts import DraftRepository
from lxc_dashboard.db.repositories.events import EventRepository
from lxc_dashboard.db.repositories.job_lists import JobListRepository
from lxc_dashboard.db.repositories.jobs import BatchRepository, JobRepository
from lxc_dashboard.db.repositories.leases import LeaseRepository, SlotRepository
from lxc_dashboard.db.repositories.nodes import NodeRepository
from lxc_dashboard.db.repositories.presets import PresetRepository
from lxc_dashboard.db.repositories.sources import SourceRepository
from lxc_dashboard.db.repositories.templates import TemplateRepository, TemplateUseRepository
from lxc_dashboard.db.repositories.tickets import TicketRepository
from lxc_dashboard.errors import ConflictError


class Transaction:
    """The repositories of one transaction. Do not use it after its ``async with``."""

    def __init__(self, session: AsyncSession, keyring: Keyring) -> None:
        self.session = session
        self._keyring = keyring

    @cached_property
    def nodes(self) -> NodeRepository:
        return NodeRepository(self.session, self._keyring)

    @cached_property
    def audit(self) -> AuditRepository:
        return AuditRepository(self.session)

    @cached_property
    def templates(self) -> TemplateRepository:
        return TemplateRepository(self.session)

    @cached_property
    def template_uses(self) -> TemplateUseRepository:
        return TemplateUseRepository(self.session)

    @cached_property
    def drafts(self) -> DraftRepository:
        return DraftRepository(self.session)

    @cached_property
    def buckets(self) -> BucketRepository:
        return BucketRepository(self.session)

    @cached_property
    def sources(self) -> SourceRepository:
        return SourceRepository(self.session, self._keyring)

    @cached_property
    def containers(self) -> ContainerRepository:
        return ContainerRepository(self.session, self._keyring)

    @cached_property
    def jobs(self) -> JobRepository:
        return JobRepository(self.session, self._keyring)

    @cached_property
    def job_lists(self) -> JobListRepository:
        return JobListRepository(self.session)

    @cached_property
    def events(self) -> EventRepository:
        return EventRepository(self.session)

    @cached_property
    def tickets(self) -> TicketRepository:
        return TicketRepository(self.session, self._keyring)

    @cached_property
    def leases(self) -> LeaseRepository:
        return LeaseRepository(self.session)

    @cached_property
    def slots(self) -> SlotRepository:
        return SlotRepository(self.session)

    @cached_property
    def batches(self) -> BatchRepository:
        return BatchRepository(self.session)

    @cached_property
    def presets(self) -> PresetRepository:
        return PresetRepository(self.session)


async def _refuse_failed(session: AsyncSession, begun: AsyncSessionTransaction) -> None:
    """Raise ``ConflictError`` for a failed transaction: PostgreSQL answers its COMMIT with a silent rollback."""
    failed = not begun.is_active
    if not failed:
        raw = await (await session.connection()).get_raw_connection()
        connection = raw.driver_connection
        failed = connection is not None and connection.info.transaction_status is TransactionStatus.INERROR
    if failed:
        raise ConflictError(detail="a failed statement was passed over, nothing was stored")


class DatabaseService:
    """Transactions on one engine (``db.engine.create_engine``). Make one per process and close it at the end."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end, roll back on an error. Returned rows stay readable after it.

        Raises ``ServiceUnavailableError`` (retryable), ``ConflictError``, ``NotFoundError``, ``InvalidInputError``,
        from the call that met the error. After an error the transaction can only end.
        """
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin() as begun:
                yield Transaction(session, self._keyring)
                await _refuse_failed(session, begun)
        except Exception as error:
            translated = translate(error)
            if translated is None:
                raise
            raise translated from error

    async def ping(self) -> None:
        """Return when PostgreSQL answers. Raises ``ServiceUnavailableError``."""
        async with self.transaction() as tx:
            await tx.session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()
