"""What the product tells, as a reader sees it."""

from __future__ import annotations

import msgspec

from lxc_dashboard import text
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.preflight.findings import Finding
from lxc_dashboard.services.creation.preflight.rights import Lack
from lxc_dashboard.services.jobs.events.lines import ProgressEvent
from lxc_dashboard.services.jobs.views import JobError

Told = Message | Finding | Lack | JobError | DashboardError


def worded(event: ProgressEvent) -> ProgressEvent:
    """With its words as ``message``."""
    return msgspec.structs.replace(event, message=text.in_words(event.code, event.params, event.message))


def cause(told: Told) -> str:
    return text.in_words_of(_message(told))


def remedy(told: Told) -> str:
    """Also of a job's error that was stored in words."""
    stored = told.remedy if isinstance(told, JobError) else ""
    return stored or text.remedy_of(_message(told))


def said(told: Told) -> str:
    """Cause and remedy."""
    return text.with_remedy(_message(told))


def _message(told: Told) -> Message:
    if isinstance(told, Message):
        return told
    return told.message if isinstance(told, Finding | Lack) else told.reason
