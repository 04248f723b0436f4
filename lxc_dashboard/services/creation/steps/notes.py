"""The text of a container's notes in PVE: during the creation, and when the container is ready."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import UUID

from lxc_dashboard.services.jobs.identity import creations_of, line_of

_MADE: Final = re.compile(r"(?:Built|Created) by LXC Dashboard\b.*\Z")


def while_creating(description: str, job_id: UUID) -> str:
    """The user's notes and the marker line, by which a later worker recognizes the container."""
    return f"{description}\n\n{line_of(job_id)}".strip()


def is_of(notes: str, job_id: UUID) -> bool:
    return job_id in creations_of(notes)


def when_ready(found: str, job_id: UUID, *, built_from: str, userid: str, at: datetime) -> str:
    """The current notes ``found``, with the container's origin above the marker line. Markdown, as PVE shows it.

    Keeps what others wrote around the line.
    """
    line = line_of(job_id)
    before, _, after = (part.strip() for part in found.partition(line))
    if _MADE.search(before):
        return found  # an earlier worker wrote this, and died before it stored the step as done
    made = f"Built by LXC Dashboard from **{built_from}**" if built_from else "Created by LXC Dashboard"
    said = f"{made}, {at:%Y-%m-%d %H:%M} UTC, by {userid}"
    return "\n\n".join(part for part in (before, "---" if before else "", said, line, after) if part)
