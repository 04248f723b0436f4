"""Sources of templates: the worker's side of ``services.templates.sources``."""

from __future__ import annotations

from celery import shared_task

from lxc_dashboard.services.templates.sources import passes
from tasks.app import in_runtime


@shared_task(name="templates.sync")
def sync(source_id: str) -> None:
    in_runtime(lambda rt: passes.run_requested(rt, source_id))


@shared_task(name="templates.sync_due")
def sync_due() -> None:
    in_runtime(passes.sync_due)
