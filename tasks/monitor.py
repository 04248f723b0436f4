"""Containers deleted in PVE: the worker's side of ``services.monitor``."""

from __future__ import annotations

from celery import shared_task

from lxc_dashboard.services.monitor import forgetting
from tasks.app import in_runtime


@shared_task(name="monitor.forget")
def forget() -> None:
    in_runtime(forgetting.forget_due)
