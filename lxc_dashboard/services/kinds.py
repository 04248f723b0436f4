"""Every kind of job. Workers and web processes import this module, so that both know the same kinds."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.services.containers import lifecycle, power, snapshots
from lxc_dashboard.services.creation import clearing, downloads
from lxc_dashboard.services.creation import kind as creation
from lxc_dashboard.services.jobs.kinds import is_known

__all__ = ["KINDS", "is_known"]

KINDS: Final = (clearing, creation, downloads, lifecycle, power, snapshots)
