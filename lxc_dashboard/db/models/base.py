"""Parts of all tables: ids made by the application, UTC times, text enums with a CHECK on their values."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, MetaData, SQLModel
from uuid_utils.compat import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """Base of all tables. Services validate, tables do not."""

    metadata = MetaData(naming_convention=NAMING)


def new_id() -> UUID:
    """Return a uuid7, ordered by time. The application makes it, because encryption binds to it."""
    return UUID(int=uuid7().int)


def now() -> datetime:
    """Return the present time in UTC, aware."""
    return datetime.now(UTC)


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """Return a CHECK that ``column`` holds one of the enum's values."""
    values = ", ".join(f"'{member.value}'" for member in enum)
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known")


def id_field() -> Any:
    return Field(default_factory=new_id, sa_column=Column(Uuid, primary_key=True))


def time_field(*, nullable: bool = False) -> Any:
    """Return a UTC time column. Its default is the present, unless ``nullable``."""
    if nullable:
        return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=True))
    return Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


def text_field(default: str | None = "", *, nullable: bool = False) -> Any:
    return Field(default=default, sa_column=Column(Text, nullable=nullable))


def json_field(default: type[dict[str, Any] | list[Any]] = dict) -> Any:
    return Field(default_factory=default, sa_column=Column(JSONB, nullable=False))


def reference(table: str, ondelete: str, *, nullable: bool = False, index: bool = True) -> Any:
    """Return a foreign key to ``table.id``."""
    default: dict[str, Any] = {"default": None} if nullable else {}
    return Field(
        **default,
        sa_column=Column(Uuid, ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable, index=index),
    )


REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(value: Any) -> Any:
    """Replace what PostgreSQL refuses in text and JSON (NUL, lone surrogates), also in keys."""
    match value:
        case str():
            return storable_text(value)
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list() | tuple():
            return [storable(item) for item in value]
        case _:
            return value


def storable_text(text: str, max_chars: int | None = None) -> str:
    """Clean ``text`` as ``storable``, and cut it to ``max_chars`` with an ellipsis."""
    if not text.isascii():
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    text = text.replace("\0", REPLACEMENT)
    if max_chars is not None and len(text) > max_chars:
        return text[: max_chars - 1] + "…"
    return text
