from __future__ import annotations

import re

from msgspec import Struct, field

from lxc_dashboard.proxmox.upid import user_of

_WARNINGS = re.compile(r"^WARNINGS: *(\d+)$", re.IGNORECASE)
_RUNNING = frozenset({"", "running"})


def is_success(exitstatus: str) -> bool:
    return exitstatus == "OK" or _WARNINGS.match(exitstatus) is not None


def warnings_of(exitstatus: str) -> int:
    """How many warnings a task ended with: 3 for ``WARNINGS: 3``."""
    found = _WARNINGS.match(exitstatus)
    return int(found[1]) if found else 0


class TaskStatus(Struct, frozen=True):
    """``GET /nodes/{node}/tasks/{upid}/status``. ``exitstatus`` is empty while the task runs."""

    status: str = ""
    exitstatus: str = ""
    upid: str = ""
    node: str = ""
    type: str = ""
    id: str = ""
    user: str = ""
    pid: int = 0
    starttime: int = 0

    @property
    def ended(self) -> bool:
        return bool(self.exitstatus) or self.status.lower() not in _RUNNING

    @property
    def outcome(self) -> str:
        """The exit status, empty while the task runs and where PVE does not know it."""
        if self.exitstatus or self.status.lower() in _RUNNING | {"stopped"}:
            return self.exitstatus
        return self.status


class TaskInfo(Struct, frozen=True, gc=False):
    """A line of a task list, where ``status`` is the exit text of an ended task. ``endtime`` is 0 while it runs."""

    upid: str
    node: str = ""
    type: str = ""
    id: str = ""
    user: str = ""
    status: str = ""
    starttime: int = 0
    endtime: int = 0
    pid: int = 0

    @property
    def running(self) -> bool:
        return self.endtime == 0 and self.status.lower() in _RUNNING

    @property
    def succeeded(self) -> bool:
        return is_success(self.status)

    def is_of(self, userid: str) -> bool:
        """Whether the user began it, with a ticket or by an API token."""
        return user_of(self.user) == userid


class LogLine(Struct, frozen=True, gc=False):
    """``n`` counts from 1."""

    n: int = 0
    t: str = ""


class LogPage(Struct, frozen=True):
    data: list[LogLine] = field(default_factory=list)
    total: int | None = None
