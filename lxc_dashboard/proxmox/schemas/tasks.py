"""The id of a PVE task: ``UPID:node:pid:pstart:starttime:type:id:user:``, its numbers hexadecimal."""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec import Struct, field

from lxc_dashboard.errors import InvalidInputError

_UPID = re.compile(
    r"UPID:(?P<node>[^:\s]+):(?P<pid>[0-9A-Fa-f]+):(?P<pstart>[0-9A-Fa-f]+):(?P<starttime>[0-9A-Fa-f]+)"
    r":(?P<type>[^:\s]+):(?P<id>[^\s]*?):(?P<user>[^:\s]+):?"
)


def user_of(authid: str) -> str:
    """``user@realm`` of it, and of ``user@realm!token``: a user's own name may hold ``!`` and ``@`` too, a realm's may not."""
    name, at, realm = authid.rpartition("@")
    return f"{name}{at}{realm.partition('!')[0]}"


@dataclass(frozen=True, slots=True)
class Upid:
    """``starttime`` is epoch seconds of the node's clock, ``pstart`` the kernel's start time of ``pid``.

    ``id`` is what the task works on: a vmid, a file's name, or nothing.
    """

    node: str
    pid: int
    pstart: int
    starttime: int
    type: str
    id: str
    user: str

    @classmethod
    def parse(cls, text: str) -> Upid:
        """Raises InvalidInputError. An id with colons and a missing last colon are borne."""
        found = _UPID.fullmatch(text.strip())
        if found is None:
            raise InvalidInputError({"upid": f"{text[:200]!r} is no UPID"})
        numbers = {name: int(found[name], 16) for name in ("pid", "pstart", "starttime")}
        return cls(node=found["node"], type=found["type"], id=found["id"], user=found["user"], **numbers)

    def __str__(self) -> str:
        return (
            f"UPID:{self.node}:{self.pid:08X}:{self.pstart:08X}:{self.starttime:08X}:{self.type}:{self.id}:{self.user}:"
        )


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
