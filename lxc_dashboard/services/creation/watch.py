"""A job as a page watches it: told to its end, and again where it is run once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.models import CreationState
from lxc_dashboard.db.repositories.creations import FINISHED
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from lxc_dashboard.services.creation.follow import follow

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.events import ProgressEvent

LOOK_AGAIN_S: Final = 2.0
FINAL: Final = FINISHED - {CreationState.FAILED}


@dataclass(frozen=True, slots=True)
class _Standing:
    """``attempt`` tells a run that failed once more from one that has stood still."""

    state: CreationState
    attempt: int


async def watch(rt: Runtime, creation_id: UUID, after_seq: int) -> AsyncGenerator[list[ProgressEvent], None]:
    """``follow`` that outlasts a failure: whoever looks at a failed job sees it go on when it is retried.

    An empty list says that its state is another one though nothing was told. Who may see it is the caller's question.
    """
    seq = after_seq
    while (before := await _standing(rt, creation_id)) is not None:
        async for batch in follow(rt, creation_id, seq):
            seq = batch[-1].last
            yield batch
        yield []
        if before.state in FINAL:
            return
        if before.state is CreationState.FAILED:
            await _until_moved(rt, creation_id, before)


async def _until_moved(rt: Runtime, creation_id: UUID, before: _Standing) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        if await _standing(rt, creation_id) != before:
            return


async def _standing(rt: Runtime, creation_id: UUID) -> _Standing | None:
    while True:
        try:
            async with rt.db.transaction() as tx:
                creation = await tx.creations.get(creation_id)
        except NotFoundError:
            return None
        except ServiceUnavailableError:
            await asyncio.sleep(LOOK_AGAIN_S)
        else:
            return _Standing(CreationState(creation.state), creation.attempt)
