"""Ids that come from a browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from lxc_dashboard.errors import NotFoundError


def uuid_of(value: str, otherwise: str) -> UUID:
    """Raises ``NotFoundError`` with the message ``otherwise`` where ``value`` is no id."""
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError(otherwise) from None


def id_in(path: str, query: Mapping[str, Any], name: str) -> str:
    """The last part of a page's address. Reflex puts it into the query's parameters, or leaves it in the path."""
    return str(query.get(name, "")) or path.rstrip("/").rpartition("/")[2]
