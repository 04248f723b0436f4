"""The audit. A trigger refuses everything but new entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.db.models import AuditEntry, AuditResult
from lxc_dashboard.db.models.base import storable, storable_text
from lxc_dashboard.printable import all_printable, printable


class AuditRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def append(
        self,
        *,
        userid: str,
        action: str,
        result: AuditResult,
        endpoint_name: str = "",
        subject: str = "",
        address: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """Write one entry. Cuts text that is too long for its column.

        ``userid`` in PVE's notation, ``action`` such as ``container.start``, ``subject`` its object, ``address`` the
        client's. ``detail`` holds no secret. Escapes characters that hide or reorder text.
        """
        entry = AuditEntry(
            userid=storable_text(printable(userid), 255),
            action=storable_text(action, 63),
            result=result.value,
            endpoint_name=storable_text(printable(endpoint_name), 63),
            subject=storable_text(printable(subject), 255),
            address=storable_text(printable(address), 64),
            detail=storable(all_printable(dict(detail or {}))),
        )
        self._session.add(entry)
        await self._session.flush()
        return entry

    async def list(
        self,
        *,
        userid: str | None = None,
        action: str | None = None,
        endpoint_name: str | None = None,
        subject: str | None = None,
        result: AuditResult | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: UUID | None = None,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Return entries, newest first. Filters are exact, except that ``action`` also matches ``action.*``.

        ``since`` is inclusive, ``until`` exclusive. ``before`` is the last id of the previous page.
        """
        equal = {"userid": userid, "endpoint_name": endpoint_name, "subject": subject, "result": result}
        conditions: list[ColumnElement[bool]] = [
            col(getattr(AuditEntry, name)) == value for name, value in equal.items() if value is not None
        ]
        if action is not None:
            name = col(AuditEntry.action)
            conditions.append((name == action) | name.startswith(f"{action}.", autoescape=True))
        if since is not None:
            conditions.append(col(AuditEntry.at) >= since)
        if until is not None:
            conditions.append(col(AuditEntry.at) < until)
        if before is not None:
            conditions.append(col(AuditEntry.id) < before)
        newest = select(AuditEntry).where(*conditions).order_by(col(AuditEntry.id).desc()).limit(limit)
        return (await self._session.scalars(newest)).all()
