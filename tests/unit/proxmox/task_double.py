"""A task as PVE shows it, for the tests of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, TaskResult, TokenAuth
from lxc_dashboard.proxmox.schemas import LogLine
from tests.unit.proxmox.replay import UPID, Answer, Identity, RawServer, Seen, data

PLACEHOLDER = {"n": 1, "t": "no content"}


@dataclass
class Task:
    """A task as PVE shows it. ``moments`` are the log and exit status of one status poll after the other."""

    moments: list[tuple[list[str], str]]
    stops: int = 0
    polls: int = 0
    log_requests: list[dict[str, str]] = field(default_factory=list)
    exitstatus_of_stop: str = "received interrupt"

    def __call__(self, seen: Seen) -> Answer:
        lines, exitstatus = self.moments[min(max(self.polls - 1, 0), len(self.moments) - 1)]
        if seen.method == "DELETE":
            self.stops += 1
            self.moments = [(lines, self.exitstatus_of_stop)]
            return data(None)
        if seen.path.endswith("/status"):
            self.polls += 1
            exitstatus = self.moments[min(self.polls, len(self.moments)) - 1][1]
            ended = {"status": "stopped", "exitstatus": exitstatus} if exitstatus else {"status": "running"}
            return data({"upid": UPID, "type": "vzcreate", "id": "120", **ended})
        self.log_requests.append(seen.query)
        return self._page(lines, int(seen.query["start"]), int(seen.query["limit"]))

    @staticmethod
    def _page(lines: list[str], start: int, limit: int) -> Answer:
        if not lines:
            return data([PLACEHOLDER], total=1)
        wanted = lines[start : start + limit if limit else None]
        return data([{"n": start + i, "t": t} for i, t in enumerate(wanted, 1)], total=len(lines))


class Reader:
    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.first = asyncio.Event()

    async def __call__(self, lines: Sequence[LogLine]) -> None:
        self.lines += lines
        self.first.set()

    @property
    def text(self) -> list[str]:
        return [line.t for line in self.lines]


def client_of(pool: ProxmoxPool, server: RawServer) -> ProxmoxClient:
    return pool.client(server.endpoint, TokenAuth("root@pam!t", "s"), get_deadline_s=5)


async def wait(pool: ProxmoxPool, identity: Identity, task: Task, **options: Any) -> TaskResult:
    async with RawServer(identity, task) as server:
        return await client_of(pool, server).tasks.wait(UPID, **options)
