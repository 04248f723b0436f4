"""The id of a PVE task: ``UPID:node:pid:pstart:starttime:type:id:user:``, its numbers hexadecimal."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
