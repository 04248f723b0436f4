"""What runs now, as the frame of a page shows it: jobs, and what PVE does by itself or for somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard import routes, text
from lxc_dashboard.services.jobs.views import JobView
from lxc_dashboard.services.monitor.rows import DOING
from lxc_dashboard.state.jobs.rows import DOTS, title_of, word_of

if TYPE_CHECKING:
    from lxc_dashboard.services.monitor.rows import Row

Shown = dict[str, Any]

LISTED: Final = 50


def shown_of(jobs: Sequence[JobView], rows: Mapping[int, Row], meta: Mapping[str, Any]) -> Shown:
    """``{count, entries, more, silent}``: jobs first, then PVE's own tasks but for those that the jobs have begun.

    ``rows`` and ``meta`` are the feed's. ``silent``: PVE does not answer, so that its part is as it was before.
    """
    entries = [*map(_job, jobs), *_tasks(meta.get("tasks", ()), rows, {job.vmid for job in jobs})]
    listed = entries[:LISTED]
    more = len(entries) - len(listed)
    return {"count": len(entries), "entries": listed, "more": more, "silent": bool(meta.get("error"))}


def _job(job: JobView) -> Shown:
    return {
        "key": str(job.id),
        "href": routes.job(job.id),
        "title": title_of(job),
        "about": _joined(f"{text.CT} {job.vmid}", job.node, job.template, job.userid),
        "dot": DOTS[job.state.value],
        "word": word_of(job),
        "percent": job.percent or -1,
        "since": (job.started_at or job.created_at).isoformat(),
    }


def _tasks(tasks: Iterable[Mapping[str, Any]], rows: Mapping[int, Row], ours: set[int]) -> list[Shown]:
    return [_task(task, rows) for task in tasks if _vmid(task) not in ours]


def _vmid(task: Mapping[str, Any]) -> int:
    """0 where the task is of no guest."""
    return int(task["id"]) if task["id"].isdecimal() else 0


def _task(task: Mapping[str, Any], rows: Mapping[int, Row]) -> Shown:
    """``percent`` -1: PVE does not say how far the task is."""
    vmid, subject = _vmid(task), task["id"]
    guest = rows.get(vmid)
    if guest:
        subject = f"{text.CT} {vmid} {guest.name}"
    return {
        "key": task["upid"],
        "href": routes.containers(q=f"{vmid} {guest.name}") if guest else "",
        "title": subject or task["type"],
        "about": _joined(text.PVE_TASK.format(type=task["type"]), task["node"], task["user"]),
        "dot": "changing",
        "word": DOING.get(task["type"], text.TASK_RUNNING),
        "percent": -1,
        "since": task["since"],
    }


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
