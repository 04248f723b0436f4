"""Sessions: the worker's side of ``services.auth``."""

from __future__ import annotations

from celery import shared_task

from lxc_dashboard.services.auth import sign_in
from tasks.app import in_runtime


@shared_task(name="auth.renew")
def renew() -> None:
    in_runtime(sign_in.renew_due)
