"""Creations: the worker's side of ``services.creation``."""

from __future__ import annotations

from celery import shared_task

from lxc_dashboard.services.creation import pipeline, service, settling
from lxc_dashboard.services.jobs import renewal
from tasks.app import in_place, in_runtime


@shared_task(name="creation.run")
def run(job_id: str) -> None:
    in_place(lambda rt: pipeline.run(rt, job_id))


@shared_task(name="creation.reap")
def reap() -> None:
    in_runtime(service.reap)


@shared_task(name="creation.renew")
def renew() -> None:
    in_runtime(renewal.renew_due)


@shared_task(name="creation.settle")
def settle() -> None:
    in_runtime(settling.settle_due)
