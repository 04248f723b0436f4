"""Events of jobs as a reader sees them."""

from __future__ import annotations

import msgspec

from lxc_dashboard import text
from lxc_dashboard.services.jobs.events.model import ProgressEvent


def worded(event: ProgressEvent) -> ProgressEvent:
    """With its words as ``message``."""
    return msgspec.structs.replace(event, message=text.in_words(event.code, event.params, event.message))
