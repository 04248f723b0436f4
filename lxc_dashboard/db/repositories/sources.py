"""Sources of templates, with encrypted git credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.crypto import Keyring, SealedColumn
from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Container, Job, SourceKind, Template, TemplateRevision, TemplateSource
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.messages import Message

NAME_CHARS: Final = 63


@dataclass(frozen=True, slots=True)
class GitSecrets:
    """Git credentials in plain text, empty where there are none. ``repr`` hides them.

    The private key is for SSH, the others for HTTPS.
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)

    @property
    def is_empty(self) -> bool:
        return not (self.username or self.password or self.private_key)


@dataclass(frozen=True, slots=True)
class SourceRows:
    """A source with its numbers of templates and of missing templates."""

    source: TemplateSource
    templates: int
    missing: int


class SourceRepository:
    def __init__(self, session: AsyncSession, keyring: Keyring) -> None:
        self._session = session
        self._secret = SealedColumn(keyring, "template_source", "secret_enc")
        self._webhook = SealedColumn(keyring, "template_source", "webhook_secret_enc")

    async def list(self) -> Sequence[SourceRows]:
        """Return all sources by name."""
        missing = func.count(col(Template.missing_since))
        rows = (
            select(TemplateSource, func.count(col(Template.id)), missing)
            .outerjoin(Template, col(Template.source_id) == col(TemplateSource.id))
            .group_by(col(TemplateSource.id))
            .order_by(col(TemplateSource.name))
        )
        return [SourceRows(source, all_of, deletion) for source, all_of, deletion in await self._session.execute(rows)]

    async def get(self, source_id: UUID) -> TemplateSource:
        """Return the source. Raises ``NotFoundError``."""
        source = await self._session.get(TemplateSource, source_id)
        if source is None:
            raise NotFoundError(Message.of(DatabaseCode.SOURCE_GONE))
        return source

    async def add(self, source: TemplateSource) -> None:
        """Add a source. Raises ``ConflictError`` where the name exists."""
        self._session.add(source)
        await self._session.flush()

    async def name_once_removed(self, name: str) -> str:
        """Return an unused name for a removed source. No user can choose such a name."""
        taken = set(await self._session.scalars(select(col(TemplateSource.name))))
        suffixes = chain([" (removed)"], (f" (removed {number})" for number in count(2)))
        return next(new for suffix in suffixes if (new := f"{name[: NAME_CHARS - len(suffix)]}{suffix}") not in taken)

    async def due(self, at: datetime) -> Sequence[UUID]:
        """Return the git sources that are due by ``at``, longest waiting first."""
        interval = func.make_interval(0, 0, 0, 0, 0, 0, col(TemplateSource.every_s))
        is_due = or_(col(TemplateSource.tried_at).is_(None), col(TemplateSource.tried_at) + interval <= at)
        query = select(col(TemplateSource.id)).where(
            col(TemplateSource.kind) == SourceKind.GIT.value, col(TemplateSource.every_s) > 0, is_due
        )
        ordered = query.order_by(col(TemplateSource.tried_at).asc().nulls_first())
        return (await self._session.scalars(ordered)).all()

    async def git_ids(self) -> Sequence[UUID]:
        query = select(col(TemplateSource.id)).where(col(TemplateSource.kind) == SourceKind.GIT.value)
        return (await self._session.scalars(query)).all()

    def secrets(self, source: TemplateSource) -> GitSecrets:
        """Return the source's credentials. Raises ``WrongKeyError``, ``TamperedError``."""
        stored: dict[str, Any] = self._secret.open_json(source.secret_enc, source.id) or {}
        return GitSecrets(**stored)

    def seal(self, source: TemplateSource, secrets: GitSecrets) -> None:
        """Replace all credentials of the source, which its row stores."""
        names = ("username", "password", "private_key")
        values = {name: value for name in names if (value := getattr(secrets, name))}
        source.secret_enc = self._secret.seal_json(values or None, source.id)

    def webhook_secret(self, source: TemplateSource) -> str:
        """Return the webhook secret, empty without webhooks. Raises ``WrongKeyError``, ``TamperedError``."""
        return self._webhook.open_text(source.webhook_secret_enc, source.id) or ""

    def seal_webhook(self, source: TemplateSource, secret: str) -> None:
        source.webhook_secret_enc = self._webhook.seal_text(secret or None, source.id)

    async def remove_unused(self, source_id: UUID) -> tuple[Sequence[str], Sequence[str]]:
        """Delete the source's templates without containers and jobs.

        Returns the names of the deleted templates and of the others.
        """
        built = select(col(Container.template_revision_id)).where(col(Container.template_revision_id).is_not(None))
        jobs = select(col(Job.revision_id)).where(col(Job.revision_id).is_not(None))
        used = select(col(TemplateRevision.template_id)).where(
            or_(col(TemplateRevision.id).in_(built), col(TemplateRevision.id).in_(jobs))
        )
        in_source = col(Template.source_id) == source_id
        deletion = delete(Template).where(in_source, col(Template.id).not_in(used)).returning(col(Template.name))
        deleted = (await self._session.scalars(deletion)).all()
        kept = (await self._session.scalars(select(col(Template.name)).where(in_source))).all()
        return sorted(deleted), sorted(kept)

    async def delete(self, source_id: UUID) -> None:
        """Delete a source with its templates. Raises ``ConflictError`` while a job refers to one."""
        await self._session.execute(delete(TemplateSource).where(col(TemplateSource.id) == source_id))
