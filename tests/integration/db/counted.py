"""A database whose transactions a test counts, holds back and refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lxc_dashboard.db.database import DatabaseService, Transaction


class Counted:
    """The database, its transactions counted, held back and refused as a test wants."""

    def __init__(self, database: DatabaseService) -> None:
        self._database = database
        self.begun = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.refusal: BaseException | None = None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.begun += 1
        await self.goes_on.wait()
        if self.refusal is not None:
            raise self.refusal
        async with self._database.transaction() as tx:
            yield tx
