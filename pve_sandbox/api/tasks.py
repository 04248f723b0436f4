"""Tasks: they run in the background, write a log, can be stopped, and always end."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from aiohttp import web
from fakepve.model import PveError, TaskError

from pve_sandbox.api.checks import Checks, Values
from pve_sandbox.api.wire import json_answer
from pve_sandbox.faults import Faults

log = structlog.get_logger(__name__)

Body = Callable[[], Awaitable[str | None]]
Record = dict[str, Any]
UPID = re.compile(r"UPID:[\w.-]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s]+:")
KEPT_TASKS = 2000
CLUSTER_TASKS = 100
DEFAULT_LOG_LINES = 50
STOPPED = "received interrupt"
CURRENT: contextvars.ContextVar[Record] = contextvars.ContextVar("sandbox task")


def task_log(*lines: str) -> None:
    """Append lines to the log of the current task."""
    CURRENT.get()["log"].extend(lines)


class Tasks(Checks):
    """Subclasses override ``wrap_task`` to wrap a task's body, and ``task_changed`` to follow tasks."""

    faults: Faults

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._pids = itertools.count(random.randrange(1000, 30000))  # noqa: S311 - a pid is no secret
        self.tasks_detached = False  # True with real guests: requests must not wait for them

    def wrap_task(self, ttype: str, guest: Any, body: Body) -> Body:  # noqa: ARG002 - for subclasses
        return body

    def task_changed(self, record: Record) -> None:
        """Called when a task starts or ends."""

    async def task(  # noqa: PLR0917 - the signature is fakepve's
        self,
        node: str,
        ttype: str,
        tid: Any,
        user: str,
        body: Body,
        vm: Any = None,
        lock: bool = True,
        log: Iterable[str] = (),
    ) -> str:
        """Start a task and return its UPID.

        With ``time_scale`` 0 and no real guests the task has ended when this returns.
        """
        upid: str
        upid, pid, start = self._upid(node, ttype, tid, user)
        record = {"upid": upid, "node": node, "pid": pid, "pstart": pid * 7, "starttime": start, "type": ttype}
        record |= {"id": str(tid), "user": user, "status": "running", "log": list(log)}
        self.tasks[upid] = record
        self.tasklog.append(record)
        for old in self.tasklog[:-KEPT_TASKS]:
            self.tasks.pop(old["upid"], None)
        del self.tasklog[:-KEPT_TASKS]
        self.task_changed(record)
        work = self.wrap_task(ttype, vm, body)
        job = asyncio.create_task(self._run(record, work, vm if lock else None), name=upid)
        self._jobs[upid] = job
        job.add_done_callback(lambda _: self._jobs.pop(upid, None))
        if not (self.time_scale or self.tasks_detached or self.faults.hanging):
            await asyncio.wait([job])
        return upid

    async def _run(self, record: Record, work: Body, guest: Any) -> None:
        CURRENT.set(record)
        try:
            status = await self._work(record, work, guest)
        except TaskError as error:
            status = str(error)
        except asyncio.CancelledError:
            if self.closing:
                raise  # The node stops. The next start finds a task without an end.
            status = STOPPED
        except Exception as error:
            log.exception("sandbox task failed", upid=record["upid"])
            status = str(error) or type(error).__name__
        self._end(record, status.replace("\n", " "))

    closing = False

    async def _work(self, record: Record, work: Body, guest: Any) -> str:
        if self.faults.hangs_task(record["type"]):
            await asyncio.Event().wait()
        if guest is not None:
            await self._hold(guest, record["upid"])
        try:
            task_log(*filter(None, [await work()]))
        finally:
            if guest is not None:
                self.release(guest, record["upid"])
        warnings = sum(line.startswith("WARN: ") for line in record["log"])
        return f"WARNINGS: {warnings}" if warnings else "OK"

    async def _hold(self, guest: Any, upid: str) -> None:
        if guest.lock_holder is None:
            await self.acquire(guest, upid)
            return
        task_log("trying to acquire lock...")
        await self.acquire(guest, upid)
        task_log(" OK")

    def _end(self, record: Record, status: str) -> None:
        good = status == "OK" or status.startswith("WARNINGS: ")
        record.update(status="stopped", exitstatus=status, endtime=int(time.time()))
        record["log"].append(f"TASK {status}" if good else f"TASK ERROR: {status}")
        self.task_changed(record)

    async def end_all(self) -> None:
        """Abort the running tasks without an end, as a node that dies does."""
        self.closing = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    # -------------------------------------------------------------- routes

    def _routes_tasks(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/cluster/tasks", self._cluster_tasks),
            ("GET", "/nodes/{node}/tasks/{upid}", self._task_index),
            ("DELETE", "/nodes/{node}/tasks/{upid}", self._task_stop),
        ]

    def _view(self, record: Record) -> Record:
        view = {k: v for k, v in record.items() if k != "log"}
        userid, _, tokenid = view["user"].partition("!")
        return {**view, "user": userid, **({"tokenid": tokenid} if tokenid else {})}

    def _listed(self, record: Record) -> Record:
        """The row of a task in lists, where ``status`` is the exit status."""
        view = self._view(record)
        exitstatus = view.pop("exitstatus", None)
        del view["status"]
        return view if exitstatus is None else {**view, "status": exitstatus}

    async def _cluster_tasks(self, _v: Values, user: str) -> list[Record]:
        """Return recent tasks. Without Sys.Audit on / users see their own and their tokens', tokens none."""
        sees_all = self.allowed(user, "/", "Sys.Audit")
        visible = [r for r in self.tasklog if sees_all or r["user"].partition("!")[0] == user]
        views = []
        for record in reversed(visible[-CLUSTER_TASKS:]):
            view = {k: v for k, v in self._listed(record).items() if k not in {"pid", "pstart"}}
            views.append({**view, "saved": "1"} if "endtime" in view else view)
        return sorted(views, key=lambda view: ("endtime" in view, -view["starttime"]))

    async def _task_list(self, request: web.Request) -> web.Response:
        async def listed(v: Values, user: str) -> web.Response:
            records = self._matching(v, user)
            start, limit = v.get("start", 0), v.get("limit", DEFAULT_LOG_LINES)
            page = [self._listed(record) for record in records[start : start + limit if limit else None]]
            return json_answer(page, **({"total": len(records)} if records else {}))

        return await self._raw(request, listed)

    def _matching(self, v: Values, user: str) -> list[Record]:
        """Filter tasks as ``GET /nodes/{node}/tasks``, newest first. ``source`` selects running or ended."""
        audit = self.allowed(user, f"/nodes/{v['node']}", "Sys.Audit")
        running = {"archive": (False,), "active": (True,), "all": (True, False)}[v.get("source") or "archive"]
        filters = {"typefilter": "type", "vmid": "id"}

        def matches(record: Record) -> bool:
            if record["node"] != v["node"] or (record["status"] == "running") not in running:
                return False
            if not (audit or user in {record["user"], record["user"].partition("!")[0]}):
                return False
            if v.get("userfilter") and v["userfilter"] not in record["user"]:
                return False
            if v.get("errors") and record.get("exitstatus", "OK") == "OK":
                return False
            if not v.get("since", 0) <= record["starttime"] <= v.get("until", record["starttime"]):
                return False
            return all(str(v[name]) == record[key] for name, key in filters.items() if v.get(name) is not None)

        return [record for record in reversed(self.tasklog) if matches(record)]

    def _task_of(self, v: Values, user: str, *, privilege: str = "Sys.Audit") -> Record | None:
        """Return the task of a UPID, or ``None`` if it never existed.

        400 for an invalid UPID, 403 for a task of another user.
        """
        if not UPID.fullmatch(v["upid"]):
            raise PveError(400, "Parameter verification failed.", {"upid": "unable to parse worker upid"})
        record: Record | None = self.tasks.get(v["upid"])
        owner = v["upid"].split(":")[7]
        if user not in {owner, owner.partition("!")[0]}:
            self.require(user, f"/nodes/{v['node']}", privilege)
        return record

    async def _task_status(self, request: web.Request) -> web.Response:
        async def status(v: Values, user: str) -> Record:
            record = self._task_of(v, user)
            if record is None:
                raise PveError(400, "Parameter verification failed.", {"upid": "no such task"})
            return {k: x for k, x in self._view(record).items() if k != "endtime"}

        return await self.checked(request, status)

    async def _task_log(self, request: web.Request) -> web.Response:
        async def lines_of(v: Values, user: str) -> web.Response:
            record = self._task_of(v, user)
            lines = ["unable to open file - No such file or directory"] if record is None else record["log"]
            lines = lines or ["no content"]
            if v.get("download"):
                return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")
            start, limit = v.get("start", 0), v.get("limit", DEFAULT_LOG_LINES)
            numbered = [{"n": n, "t": text} for n, text in enumerate(lines, 1)]
            return json_answer(numbered[start : start + limit if limit else None], total=len(lines))

        return await self._raw(request, lines_of)

    async def _raw(self, request: web.Request, call: Callable[[Values, str], Awaitable[web.Response]]) -> web.Response:
        """As ``checked``, for answers with more than ``data``."""
        answers: list[web.Response] = []

        async def keep(v: Values, user: str) -> None:
            answers.append(await call(v, user))

        await self.checked(request, keep)
        return answers[0]

    async def _task_index(self, v: Values, user: str) -> list[dict[str, str]]:
        self._task_of(v, user)
        return [{"name": "log"}, {"name": "status"}]

    async def _task_stop(self, v: Values, user: str) -> None:
        self._task_of(v, user, privilege="Sys.Modify")
        job = self._jobs.get(v["upid"])
        if job is not None:
            job.cancel()
            await asyncio.wait([job])
