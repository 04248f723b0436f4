"""Jobs: the worker's side of ``services.jobs``, with all kinds of jobs."""

from __future__ import annotations

from celery import shared_task

from lxc_dashboard.services import kinds
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine import reaper, ticket
from tasks.app import in_place, in_runtime

KINDS = kinds.KINDS


@shared_task(name="jobs.run")
def run(job_id: str) -> None:
    in_place(lambda rt: engine.run(rt, job_id))


@shared_task(name="jobs.reap")
def reap() -> None:
    in_runtime(reaper.reap)


@shared_task(name="jobs.renew")
def renew() -> None:
    in_runtime(ticket.renew_due)


@shared_task(name="jobs.settle")
def settle() -> None:
    in_runtime(settling.settle_due)
