"""Encrypts every stored secret with the primary key, while the product runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Table, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lxc_dashboard.crypto import VERSION, Keyring
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Table as Base
from lxc_dashboard.errors import CryptoError
from lxc_dashboard.messages import Message

BATCH_ROWS: Final = 200
SUFFIX: Final = "_enc"


@dataclass(frozen=True, slots=True)
class RotationReport:
    """The number of encrypted secrets, and the unreadable ones."""

    rotated: int
    unreadable: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    last_row: UUID | None
    rotated: int
    unreadable: tuple[Message, ...]


async def rotate_secrets(database: DatabaseService, keyring: Keyring) -> RotationReport:
    """Re-encrypt the secrets of older keys of ``keyring``, in short transactions. Can be repeated.

    Leaves and reports unreadable secrets. Raises ``ServiceUnavailableError``.
    """
    rotated, unreadable = 0, list[Message]()
    for table, column in encrypted_columns():
        after: UUID | None = UUID(int=0)
        while after is not None:
            async with database.transaction() as tx:
                batch = await _rotate_batch(tx.session, keyring, table, column, after)
            rotated += batch.rotated
            unreadable += batch.unreadable
            after = batch.last_row
    return RotationReport(rotated, tuple(unreadable))


def encrypted_columns() -> Iterator[tuple[Table, str]]:
    """Yield every table and column with secrets: its name ends in ``_enc``."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name.endswith(SUFFIX):
                yield table, column.name


def sealed_as(table: Table) -> str:
    """Return the table name that its secrets are bound to: the table's first name."""
    return str(table.info.get("sealed_as", table.name))


async def _rotate_batch(session: AsyncSession, keyring: Keyring, table: Table, column: str, after: UUID) -> _Batch:
    secret, row_id = table.c[column], table.c.id
    due = select(row_id, secret).where(secret.is_not(None), secret != "")
    due = due.where(~secret.startswith(f"{VERSION}.{keyring.key_id}.", autoescape=True))
    result = await session.execute(due.where(row_id > after).order_by(row_id).limit(BATCH_ROWS).with_for_update())
    rows: list[tuple[UUID, str]] = [(row[0], row[1]) for row in result]
    unreadable = []
    for row, token in rows:
        try:
            rotated = keyring.rotate(token, table=sealed_as(table), column=column, row=row)
        except CryptoError as error:
            named = f"{table.name}.{column} {row}"
            unreadable.append(Message.of(DatabaseCode.UNREADABLE_SECRET, secret=named, reason=error.reason))
        else:
            await session.execute(update(table).where(row_id == row).values({column: rotated}))
    return _Batch(rows[-1][0] if rows else None, len(rows) - len(unreadable), tuple(unreadable))
