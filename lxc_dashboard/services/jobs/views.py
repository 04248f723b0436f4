"""The view of a job of any kind for pages and the API: no database row, no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.db.repositories.leases import Place
from lxc_dashboard.messages import Message
from lxc_dashboard.services.jobs.acts import ACTS


@dataclass(frozen=True, slots=True)
class JobError:
    """``remedy``: for errors without a code. ``step``: what failed, in words. ``tail``: last lines of a PVE task."""

    reason: Message
    remedy: str = ""
    phase: str = ""
    step: str = ""
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """``vmid``, ``node`` and ``name`` are the guest's. ``template`` and ``batch_id`` are set for creations only.

    ``outcome``: the stored ``Message`` of a successful act.
    ``exists``: PVE has the guest, or will get it, as far as is known. ``place``: a queued job's place in the queue.
    ``own``: the job belongs to the user who requested this view.
    ``manages``: this user may cancel the job although it is another user's.
    ``may_*``: what the page may offer; PVE still decides.
    """

    id: UUID
    endpoint_id: UUID
    kind: str
    container_id: UUID | None
    vmid: int
    node: str
    name: str
    template: str
    userid: str
    state: JobState
    step: str
    percent: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    error: JobError | None = None
    exists: bool = True
    own: bool = False
    manages: bool = False
    may_cancel: bool = False
    may_retry: bool = False
    batch_id: UUID | None = None
    place: Place | None = None


def job_view(job: Job, container: Container | None, template: str, *, own: bool, manages: bool = False) -> JobView:
    """``container``: the job's, if the product knows its guest. ``own`` and ``manages`` as in ``JobView``."""
    fields = fields_of(job, container, template, own=own, manages=manages)
    over = fields["state"] in {JobState.FAILED, JobState.CANCELLED}
    return JobView(**fields, may_retry=job.kind in ACTS and over)


def fields_of(
    job: Job, container: Container | None, template: str, *, own: bool, manages: bool = False
) -> dict[str, Any]:
    """The fields of a ``JobView`` by name, for kinds that add their own."""
    state = JobState(job.state)
    stored = ("id", "endpoint_id", "kind", "container_id", "name", "userid", "step", "percent", "batch_id")
    times = ("created_at", "started_at", "finished_at")
    return {
        **{name: getattr(job, name) for name in (*stored, *times)},
        "vmid": container.vmid if container else job.vmid,
        "node": container.node if container else job.node,
        "template": template,
        "state": state,
        "outcome": job.result if state is JobState.DONE and job.kind != CREATE_KIND else {},
        "error": _error(job.error) if state in {JobState.FAILED, JobState.CANCELLED} else None,
        "exists": container is None or container.deleted_at is None,
        "own": own,
        "manages": manages,
        "may_cancel": (own or manages) and state not in FINISHED and state is not JobState.CANCELLING,
    }


def _error(values: Mapping[str, Any]) -> JobError:
    texts = {name: str(values.get(name, "")) for name in ("remedy", "phase", "step")}
    return JobError(Message.from_json(values), tail=tuple(values.get("tail", ())), **texts)
