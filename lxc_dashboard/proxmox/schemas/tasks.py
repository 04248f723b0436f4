"""PVE's tasks: UPIDs, exit statuses, lists and logs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec import Struct, field

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.codes import ProxmoxCode

_UPID = re.compile(
    r"UPID:(?P<node>[^:\s]+):(?P<pid>[0-9A-Fa-f]+):(?P<pstart>[0-9A-Fa-f]+):(?P<starttime>[0-9A-Fa-f]+)"
    r":(?P<type>[^:\s]+):(?P<id>[^\s]*?):(?P<user>[^:\s]+):?"
)


def user_of(authid: str) -> str:
    """Return ``user@realm`` for itself and for ``user@realm!token``.

    A user name may hold ``!`` and ``@``, a realm may not.
    """
    name, at, realm = authid.rpartition("@")
    return f"{name}{at}{realm.partition('!')[0]}"


@dataclass(frozen=True, slots=True)
class Upid:
    """``UPID:node:pid:pstart:starttime:type:id:user:``, its numbers hexadecimal.

    ``starttime`` is in epoch seconds of the node's clock, ``pstart`` the kernel's start time of ``pid``. ``id`` is
    the subject of the task: a vmid, a file name, or empty.
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
        """Parse a UPID. Accepts an id with colons and a missing last colon. Raises ``InvalidInputError``."""
        match = _UPID.fullmatch(text.strip())
        if match is None:
            raise InvalidInputError({"upid": Message.of(ProxmoxCode.BAD_UPID, text=repr(text[:200]))})
        numbers = {name: int(match[name], 16) for name in ("pid", "pstart", "starttime")}
        return cls(node=match["node"], type=match["type"], id=match["id"], user=match["user"], **numbers)

    def __str__(self) -> str:
        return (
            f"UPID:{self.node}:{self.pid:08X}:{self.pstart:08X}:{self.starttime:08X}:{self.type}:{self.id}:{self.user}:"
        )


_WARNINGS = re.compile(r"^WARNINGS: *(\d+)$", re.IGNORECASE)
_RUNNING = frozenset({"", "running"})


def is_success(exitstatus: str) -> bool:
    return exitstatus == "OK" or _WARNINGS.match(exitstatus) is not None


def warnings_of(exitstatus: str) -> int:
    """Return the number of warnings: 3 for ``WARNINGS: 3``."""
    match = _WARNINGS.match(exitstatus)
    return int(match[1]) if match else 0


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
        """Return the exit status, empty while the task runs and where PVE does not know it."""
        if self.exitstatus or self.status.lower() in _RUNNING | {"stopped"}:
            return self.exitstatus
        return self.status


class TaskInfo(Struct, frozen=True, gc=False):
    """An entry of a task list. ``status`` is the exit status of an ended task. ``endtime`` is 0 while it runs."""

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
        """Return whether the user started the task, with a ticket or an API token."""
        return user_of(self.user) == userid


class LogLine(Struct, frozen=True, gc=False):
    """A line of a log. ``n`` counts from 1."""

    n: int = 0
    t: str = ""


class LogPage(Struct, frozen=True):
    data: list[LogLine] = field(default_factory=list)
    total: int | None = None
