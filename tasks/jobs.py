"""Jobs: the worker's side of ``services.jobs``, with the kinds that it runs."""

from __future__ import annotations

from celery import shared_task

from lxc_dashboard.services.containers import power, snapshots
from lxc_dashboard.services.creation import clearing, downloads, settling
from lxc_dashboard.services.creation import kind as creation
from lxc_dashboard.services.jobs import engine, reaper, renewal
from tasks.app import in_place, in_runtime

KINDS = (clearing, creation, downloads, power, snapshots)


@shared_task(name="jobs.run")
def run(job_id: str) -> None:
    in_place(lambda rt: engine.run(rt, job_id))


@shared_task(name="jobs.reap")
def reap() -> None:
    in_runtime(reaper.reap)


@shared_task(name="jobs.renew")
def renew() -> None:
    in_runtime(renewal.renew_due)


@shared_task(name="jobs.settle")
def settle() -> None:
    in_runtime(settling.settle_due)
