"""A job as a page watches it: told to its end, and again where it is run once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.db.models import JobState
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import NotFoundError, ServiceUnavailableError
from lxc_dashboard.services.jobs.events.follow import follow

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.events.model import ProgressEvent

LOOK_AGAIN_S: Final = 2.0
FINAL: Final = FINISHED - {JobState.FAILED}


@dataclass(frozen=True, slots=True)
class _Standing:
    """``attempt`` tells a run that failed once more from one that has stood still."""

    state: JobState
    attempt: int


async def watch(rt: Runtime, job_id: UUID, after_seq: int) -> AsyncGenerator[list[ProgressEvent], None]:
    """``follow`` that outlasts a failure: whoever looks at a failed job sees it go on when it is retried.

    An empty list says that its state is another one though nothing was told. Who may see it is the caller's question.
    """
    seq = after_seq
    while (before := await _standing(rt, job_id)) is not None:
        async for batch in follow(rt, job_id, seq):
            seq = batch[-1].last
            yield batch
        yield []
        if before.state in FINAL:
            return
        if before.state is JobState.FAILED:
            await _until_moved(rt, job_id, before)


async def _until_moved(rt: Runtime, job_id: UUID, before: _Standing) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        if await _standing(rt, job_id) != before:
            return


async def _standing(rt: Runtime, job_id: UUID) -> _Standing | None:
    while True:
        try:
            async with rt.db.transaction() as tx:
                creation = await tx.jobs.get(job_id)
        except NotFoundError:
            return None
        except ServiceUnavailableError:
            await asyncio.sleep(LOOK_AGAIN_S)
        else:
            return _Standing(JobState(creation.state), creation.attempt)
