"""What stands in PVE's notes of a container: while it is being made, and when it is ready."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import UUID

from lxc_dashboard.services.jobs.identity import creations_of, line_of

_MADE: Final = re.compile(r"(?:Built|Created) by LXC Dashboard\b.*\Z")


def while_creating(description: str, job_id: UUID) -> str:
    """The user's notes, and a line by which a later worker knows that this container is the one it asked for."""
    return f"{description}\n\n{line_of(job_id)}".strip()


def is_of(notes: str, job_id: UUID) -> bool:
    return job_id in creations_of(notes)


def when_ready(found: str, job_id: UUID, *, built_from: str, userid: str, at: datetime) -> str:
    """Markdown, as PVE shows it: ``found``, the notes as they stand, and above the line what made the container.

    What somebody wrote around the line meanwhile stays.
    """
    line = line_of(job_id)
    before, _, after = (part.strip() for part in found.partition(line))
    if _MADE.search(before):
        return found  # written before, by a worker that died with it
    made = f"Built by LXC Dashboard from **{built_from}**" if built_from else "Created by LXC Dashboard"
    said = f"{made}, {at:%Y-%m-%d %H:%M} UTC, by {userid}"
    return "\n\n".join(part for part in (before, "---" if before else "", said, line, after) if part)
