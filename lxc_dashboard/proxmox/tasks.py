"""``/nodes/{node}/tasks``: PVE's tasks, their logs, and waiting for their end."""

from __future__ import annotations

import asyncio
import builtins
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import structlog

from lxc_dashboard.errors import (
    NOT_IMPLEMENTED,
    ApiError,
    AuthError,
    PrivilegeError,
    ProxmoxError,
    TaskCancelledError,
    TaskFailedError,
    TaskTimeoutError,
    UnreachableError,
)
from lxc_dashboard.proxmox.caller import Noun, path_of
from lxc_dashboard.proxmox.decoding import NOTHING, many, one, whole
from lxc_dashboard.proxmox.schemas import LogLine, LogPage, TaskInfo, TaskStatus
from lxc_dashboard.proxmox.schemas.tasks import Upid, is_success, warnings_of

log = structlog.get_logger(__name__)

T = TypeVar("T")
OnLines = Callable[[Sequence[LogLine]], Awaitable[None]]
OnSilence = Callable[[UnreachableError], None]

FIRST_POLL_S = 0.1
SLOWEST_POLL_S = 2.0
POLL_GROWTH = 1.25
DEADLINE_S = 3600.0
# PVE gives a task 5 s to end after a stop, then kills it.
STOP_GRACE_S = 8.0
STOP_REQUEST_S = 3.0
LOG_PAGE_LINES = 500
LOG_TAIL_LINES = 20
# PVE's line 1 of an empty log. The first real line replaces it.
EMPTY_LOG = "no content"
# Between a task's end and its entry in the index, PVE may have no exit status. These polls take 3 s or more.
POLLS_WITHOUT_EXITSTATUS = 10
UNKNOWN_OUTCOME = "unexpected status"
# A busy PVE sometimes answers 500 ("got timeout"). These polls take 3 s or more.
TOLERATED_ERRORS = 10
SERVER_ERROR = 500
NOT_FOUND = 404  # the answer of stand-ins for PVE


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task that succeeded. ``exitstatus`` is OK, or ``WARNINGS: n`` with ``warnings`` n."""

    upid: str
    exitstatus: str
    warnings: int = 0


class TaskCalls(Protocol):
    async def status(self, upid: str) -> TaskStatus: ...

    async def log(self, upid: str, *, start: int = 0, limit: int = LOG_PAGE_LINES) -> LogPage: ...

    async def tail(self, upid: str, lines: int = LOG_TAIL_LINES) -> list[str]: ...

    async def stop(self, upid: str) -> None: ...


class Waiter:
    """Wait for one task, as ``Tasks.wait`` describes. ``node`` is the endpoint's address, for the errors."""

    def __init__(
        self,
        tasks: TaskCalls,
        upid: str,
        *,
        node: str,
        on_lines: OnLines | None,
        on_silence: OnSilence | None,
        first_line: int,
        cancel: asyncio.Event | None,
    ) -> None:
        self._tasks = tasks
        self._upid = upid
        self._node = node
        self._on_lines = on_lines
        self._on_silence = on_silence
        self._follower = LogFollower(first_line)
        self._cancel = cancel
        self._errors = 0
        self._last_lines: deque[str] = deque(maxlen=LOG_TAIL_LINES)

    async def wait(self, deadline_s: float, *, stop_on_cancellation: bool) -> TaskResult:
        try:
            async with asyncio.timeout(deadline_s) as timer:
                outcome = await self._outcome()
        except _CancelRequested:
            raise TaskCancelledError(self._upid, await self._stop_and_settle(), node=self._node) from None
        except TimeoutError:
            if not timer.expired():
                raise
            await self._stop_and_settle()
            raise TaskTimeoutError(self._upid, deadline_s, node=self._node) from None
        except asyncio.CancelledError:
            if stop_on_cancellation:
                await self._stop_quickly()
            raise
        if is_success(outcome):
            return TaskResult(self._upid, outcome, warnings_of(outcome))
        raise TaskFailedError(self._upid, outcome, self._last_lines or await self._tail(), node=self._node)

    async def _outcome(self) -> str:
        delay_s = FIRST_POLL_S
        without_outcome = 0
        while True:
            status, lines = await self._unless_cancelled(self._poll())
            if lines and self._on_lines is not None:
                self._last_lines.extend(line.t for line in lines)
                await self._on_lines(lines)
            if status.outcome:
                return status.outcome
            without_outcome += status.ended
            if without_outcome >= POLLS_WITHOUT_EXITSTATUS:
                return UNKNOWN_OUTCOME
            await self._unless_cancelled(asyncio.sleep(delay_s))
            delay_s = min(delay_s * POLL_GROWTH, SLOWEST_POLL_S)

    async def _poll(self) -> tuple[TaskStatus, list[LogLine]]:
        try:
            status = await self._status()
            if self._on_lines is None:
                return status, []
            return status, self._follower.take(await self._new_lines(), ended=status.ended)
        except UnreachableError as error:
            log.info("task poll failed", upid=self._upid, reason=error.detail)
            if self._on_silence is not None:
                self._on_silence(error)
            return TaskStatus(), []

    async def _status(self) -> TaskStatus:
        """Return PVE's status. Treats up to ``TOLERATED_ERRORS`` errors in a row as a running task."""
        try:
            status = await self._tasks.status(self._upid)
        except ApiError as error:
            self._errors += 1
            lasts = error.status < SERVER_ERROR or error.status == NOT_IMPLEMENTED or self._errors >= TOLERATED_ERRORS
            if lasts:
                raise
            log.info("task poll failed", upid=self._upid, reason=error.message)
            return TaskStatus()
        self._errors = 0
        return status

    async def _new_lines(self) -> list[LogLine]:
        lines: list[LogLine] = []
        while True:
            try:
                page = await self._tasks.log(self._upid, start=self._follower.start + len(lines))
            except (ApiError, PrivilegeError) as error:  # the status may be readable where the log is not
                log.info("task log not read", upid=self._upid, reason=str(error))
                return lines
            lines += page.data
            if len(page.data) < LOG_PAGE_LINES:
                return lines

    async def _unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``. Raises ``_CancelRequested`` as soon as the caller cancels."""
        if self._cancel is None:
            return await work
        working = asyncio.ensure_future(work)
        cancelled = asyncio.ensure_future(self._cancel.wait())
        try:
            await asyncio.wait((working, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if self._cancel.is_set():
                raise _CancelRequested
            return working.result()
        finally:
            for future in (working, cancelled):
                future.cancel()
            await asyncio.gather(working, cancelled, return_exceptions=True)

    async def _stop_and_settle(self) -> str:
        """Stop the task and return its exit status, empty where it still runs or PVE does not answer."""
        try:
            async with asyncio.timeout(STOP_GRACE_S):
                await self._tasks.stop(self._upid)
                while True:
                    status = await self._tasks.status(self._upid)
                    if status.ended:
                        return status.outcome or UNKNOWN_OUTCOME
                    await asyncio.sleep(FIRST_POLL_S)
        except ApiError as error:
            log.warning("task not stopped", upid=self._upid, reason=str(error))
            return UNKNOWN_OUTCOME if is_forgotten(error) else ""
        except (ProxmoxError, AuthError, TimeoutError) as error:
            log.warning("task not stopped", upid=self._upid, reason=str(error))
            return ""

    async def _stop_quickly(self) -> None:
        try:
            async with asyncio.timeout(STOP_REQUEST_S):
                await self._tasks.stop(self._upid)
        except (ProxmoxError, AuthError, TimeoutError) as error:
            log.warning("task not stopped", upid=self._upid, reason=str(error))

    async def _tail(self) -> list[str]:
        try:
            return await self._tasks.tail(self._upid)
        except (ProxmoxError, AuthError) as error:
            log.warning("task log not read", upid=self._upid, reason=str(error))
            return []


def is_forgotten(error: ApiError) -> bool:
    """Return whether PVE no longer knows the task: a node's reboot can delete the log of a task."""
    return "upid" in error.fields or error.status == NOT_FOUND


class LogFollower:
    """Return each log line once and whole.

    The last line of a running task may be incomplete. It is held until another line follows, or until it stays the
    same for one poll.
    """

    def __init__(self, first_line: int) -> None:
        self.start = first_line
        self._held: LogLine | None = None

    def take(self, lines: list[LogLine], *, ended: bool) -> list[LogLine]:
        """Return the complete lines of ``lines`` and move ``start`` behind them.

        ``lines``: all lines after ``start``.
        """
        if [(line.n, line.t) for line in lines] == [(1, EMPTY_LOG)]:
            return []
        if lines and not ended and lines[-1] != self._held:
            self._held = lines[-1]
            lines = lines[:-1]
        self.start += len(lines)
        return lines


class _CancelRequested(Exception):  # noqa: N818 - a signal inside this module, not an error
    pass


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
        """``GET /nodes/{node}/tasks``: running tasks first. ``since`` is in epoch seconds of the node's clock."""
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
        """``GET .../{upid}/status``. An unknown UPID raises ``ApiError`` with the field upid."""
        return await self._caller.get(_of(upid, "status"), _STATUS)

    async def log(self, upid: str, *, start: int = 0, limit: int = LOG_PAGE_LINES) -> LogPage:
        """``GET .../{upid}/log``: up to ``limit`` lines after the first ``start`` lines. 0: all."""
        page = await self._caller.get(_of(upid, "log"), _LOG, {"start": start, "limit": limit})
        # A stand-in that returns all lines has ignored ``start``.
        fresh = page.data[start:] if start and page.total == len(page.data) else page.data
        return LogPage([LogLine(start + i, line.t) for i, line in enumerate(fresh, 1)], page.total)

    async def stop(self, upid: str) -> None:
        """``DELETE .../{upid}``: ask the task to end, which may take 5 s. An ended task is no error."""
        await self._caller.delete(_of(upid), NOTHING)

    async def tail(self, upid: str, lines: int = LOG_TAIL_LINES) -> builtins.list[str]:
        """Return the last lines of the log."""
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
        """Wait for the task's end. Awaits ``on_lines`` with new log lines, starting after ``first_line``.

        Keeps trying while PVE is unreachable, and calls ``on_silence`` with each failure. Raises ``TaskFailedError``
        with the last log lines. Stops the PVE task and raises ``TaskTimeoutError`` at the deadline,
        ``TaskCancelledError`` when ``cancel`` is set. Cancelling the awaiting asyncio task also stops the PVE task,
        unless ``stop_on_cancellation`` is false: then another process can adopt it.
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
