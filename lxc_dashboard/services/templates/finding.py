"""Templates by name, some of them: for a search that lists other things beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.db.storable import storable_text
from lxc_dashboard.services.templates.rights import require_session
from lxc_dashboard.services.templates.service import MAX_QUERY_WORDS

if TYPE_CHECKING:
    from lxc_dashboard.db.database import DatabaseService
    from lxc_dashboard.services.auth.model import Session


@dataclass(frozen=True, slots=True)
class Named:
    """``source`` is the name of where it comes from."""

    id: UUID
    name: str
    source: str


async def named(session: Session, db: DatabaseService, query: str, limit: int) -> list[Named]:
    """At most ``limit`` templates whose name, description or tags hold every word, by name. Raises ``SessionExpiredError``."""
    require_session(session)
    words = storable_text(query).split()[:MAX_QUERY_WORDS]
    async with db.transaction() as tx:
        return [Named(*found) for found in await tx.template_uses.named(words, limit)]
