"""What stands in PVE's notes of a container: while it is being made, and when it is ready."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from lxc_dashboard.services.monitor.marks import creations_of, line_of


def while_creating(description: str, creation_id: UUID) -> str:
    """The user's notes, and a line by which a later worker knows that this container is the one it asked for."""
    return f"{description}\n\n{line_of(creation_id)}".strip()


def is_of(notes: str, creation_id: UUID) -> bool:
    return creation_id in creations_of(notes)


def when_ready(description: str, creation_id: UUID, *, built_from: str, userid: str, at: datetime) -> str:
    """Markdown, as PVE shows it."""
    made = f"Built by LXC Dashboard from **{built_from}**" if built_from else "Created by LXC Dashboard"
    lines = [description, "---" if description else "", f"{made}, {at:%Y-%m-%d %H:%M} UTC, by {userid}"]
    return while_creating("\n\n".join(line for line in lines if line), creation_id)
