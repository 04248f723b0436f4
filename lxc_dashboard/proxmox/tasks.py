"""``/nodes/{node}/tasks``: what PVE runs, and its log."""

from __future__ import annotations

import asyncio
import builtins
from typing import Literal

from lxc_dashboard.proxmox.caller import Noun, path_of
from lxc_dashboard.proxmox.decoding import NOTHING, many, one, whole
from lxc_dashboard.proxmox.schemas import LogLine, LogPage, TaskInfo, TaskStatus
from lxc_dashboard.proxmox.upid import Upid
from lxc_dashboard.proxmox.waiting import (
    DEADLINE_S,
    LOG_PAGE_LINES,
    LOG_TAIL_LINES,
    OnLines,
    OnSilence,
    TaskResult,
    Waiter,
)

__all__ = ["OnLines", "OnSilence", "TaskResult", "Tasks"]

_STATUS = one(TaskStatus)
_LOG = whole(LogPage)
_TASKS = many(TaskInfo)


class Tasks(Noun):
    async def list(
        self,
        node: str,
        *,
        vmid: int | None = None,
        typefilter: str | None = None,
        since: int | None = None,
        errors: bool = False,
        source: Literal["all", "active", "archive"] = "all",
        limit: int = 50,
    ) -> list[TaskInfo]:
        """``GET /nodes/{node}/tasks``: running ones first. ``since`` is epoch seconds of the node's clock."""
        params = {
            "vmid": vmid,
            "typefilter": typefilter,
            "since": since,
            "errors": True if errors else None,
            "source": source,
            "limit": limit,
        }
        return await self._caller.get(path_of("nodes", node, "tasks"), _TASKS, params)

    async def status(self, upid: str) -> TaskStatus:
        """``GET .../{upid}/status``. A UPID that the node does not know is an ApiError with the field upid."""
        return await self._caller.get(_of(upid, "status"), _STATUS)

    async def log(self, upid: str, *, start: int = 0, limit: int = LOG_PAGE_LINES) -> LogPage:
        """``GET .../{upid}/log``: up to ``limit`` lines after the first ``start``; 0 for all."""
        page = await self._caller.get(_of(upid, "log"), _LOG, {"start": start, "limit": limit})
        # Whoever gives as many lines as there are in all has not left out the first ones.
        fresh = page.data[start:] if start and page.total == len(page.data) else page.data
        return LogPage([LogLine(start + i, line.t) for i, line in enumerate(fresh, 1)], page.total)

    async def stop(self, upid: str) -> None:
        """``DELETE .../{upid}``: asks the task to end; it may take 5 s. A task that has ended is no error."""
        await self._caller.delete(_of(upid), NOTHING)

    async def tail(self, upid: str, lines: int = LOG_TAIL_LINES) -> builtins.list[str]:
        """The last lines of the log."""
        total = (await self.log(upid, limit=1)).total
        page = await self.log(upid, start=max(0, (total or 0) - lines), limit=lines if total else 0)
        return [line.t for line in page.data][-lines:]

    async def wait(
        self,
        upid: str,
        *,
        on_lines: OnLines | None = None,
        on_silence: OnSilence | None = None,
        first_line: int = 0,
        deadline_s: float = DEADLINE_S,
        cancel: asyncio.Event | None = None,
        stop_on_cancellation: bool = True,
    ) -> TaskResult:
        """Waits for the task's end; ``on_lines`` is awaited with new log lines, from the one after ``first_line``.

        While PVE cannot be reached it keeps trying, and ``on_silence`` is called with each failure. Raises TaskFailedError (with the last log lines); TaskTimeoutError
        at the deadline and TaskCancelledError when ``cancel`` is set, after asking PVE to stop the task; and what the
        calls raise. Cancelling the awaiting asyncio task stops the PVE task too, unless ``stop_on_cancellation`` is
        false: for a process that ends and leaves the task to be adopted.
        """
        waiter = Waiter(
            self,
            upid,
            node=self._caller.endpoint.authority,
            on_lines=on_lines,
            on_silence=on_silence,
            first_line=first_line,
            cancel=cancel,
        )
        return await waiter.wait(deadline_s, stop_on_cancellation=stop_on_cancellation)


def _of(upid: str, *rest: str) -> str:
    return path_of("nodes", Upid.parse(upid).node, "tasks", upid, *rest)
