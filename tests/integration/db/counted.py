"""A database whose transactions a test can count, delay and refuse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lxc_dashboard.db.database import DatabaseService, Transaction


class Counted:
    """``begun`` counts transactions. They wait while ``goes_on`` is unset, and raise ``refusal`` if there is one."""

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
