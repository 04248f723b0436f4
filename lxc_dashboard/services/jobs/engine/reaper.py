"""Enqueues again the jobs that no worker holds: by schedule, and at each worker's start."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.jobs import kinds
from lxc_dashboard.services.jobs.engine import slots
from lxc_dashboard.services.jobs.engine.enqueue import enqueue

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

REAP_AT_ONCE: Final = 200
SECRETS_OF_FAILED_S: Final = 7 * 24 * 3600.0
GIVEN_PASSWORD_OF_FAILED_S: Final = 12 * 3600.0


async def reap(rt: Runtime) -> int:
    """Enqueue again the jobs that no worker holds: the worker died, or the message was lost. Returns their number.

    Leaves jobs of an unknown kind to a worker of a newer version. Also wipes secrets and passwords that users gave for
    jobs that failed long ago.
    """
    try:
        async with rt.db.transaction() as tx:
            known = kinds.known()
            found = await tx.leases.expired(REAP_AT_ONCE, kinds=known, again_after_s=rt.timing.enqueue_again_s)
            unknown = await tx.leases.kinds_under_way() - known
            await tx.jobs.wipe_stale_secrets(SECRETS_OF_FAILED_S)
            await tx.containers.forget_given_passwords(GIVEN_PASSWORD_OF_FAILED_S)
        for job in found:
            log.info("job handed out again", job_id=str(job.id), attempt=job.attempt)
            await enqueue(rt, job.id)
        for name in unknown:
            _leave(name)
        await slots.wake_all(rt)
    except ServiceUnavailableError as error:
        log.warning("nothing reaped", why=str(error))
        return 0
    return len(found)


@cache
def _leave(kind: str) -> None:
    """Log an unknown kind once per process. Its jobs stay until a newer worker starts."""
    log.warning("kind of job unknown", kind=kind, remedy="start a worker of the version that made these jobs")
