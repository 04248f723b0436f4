"""The line in PVE's notes by which a container is known as the one that a creation has made: a vmid alone is given out again."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

_LINE: Final = "<!-- lxc-dashboard creation {job_id} -->"
_ANY: Final = re.compile(r"\n*<!-- lxc-dashboard creation ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) -->")


def line_of(job_id: UUID) -> str:
    return _LINE.format(job_id=job_id)


def creations_of(notes: str) -> frozenset[UUID]:
    """The creations that the notes name; of a container that others made, none."""
    return frozenset(UUID(found) for found in _ANY.findall(notes))


def without_lines(notes: str) -> str:
    """The notes as people read them."""
    return _ANY.sub("", notes).strip()
