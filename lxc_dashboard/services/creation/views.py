"""A run as pages show it: never a row, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog

from lxc_dashboard.db.models import Container, Job, JobState, Lifecycle, Phase
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.db.repositories.slots import Place
from lxc_dashboard.services.creation.ownership import is_retryable
from lxc_dashboard.services.creation.spec import ContainerSpec
from lxc_dashboard.services.jobs.checkpoint import Checkpoint
from lxc_dashboard.services.jobs.slots import SLOT

log = structlog.get_logger(__name__)


class StepState(StrEnum):
    WAITING = "waiting"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepView:
    """``title``: the name of a file or script. Other steps have a ``code`` with its ``params`` instead."""

    key: str
    phase: Phase
    title: str
    state: StepState
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobError:
    """``message`` from an exception, or a ``code`` with its ``params``.

    ``step`` is what failed, as people name it; ``tail`` the last lines of a PVE task.
    """

    message: str
    remedy: str = ""
    phase: str = ""
    step: str = ""
    tail: tuple[str, ...] = ()
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobResult:
    """Of a run that is ready. ``credentials`` names services; what they are is revealed elsewhere, one at a time."""

    address: str = ""
    ports: tuple[int, ...] = ()
    credentials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobView:
    """``ahead``: how many come before a queued one, on ``slot_node`` where it waits for room there, else for a worker; else -1.
    ``exists``: PVE has, or is to get, a container of the job, as it said last. ``retryable``: it failed, and a retry by its user may help.
    ``may_*`` say what the page may offer to the one who asked; PVE still has the last word.
    ``may_console`` of one's own job is asked for by ``report`` alone.
    """

    id: UUID
    endpoint_id: UUID
    container_id: UUID
    vmid: int
    node: str
    hostname: str
    template: str
    userid: str
    state: JobState
    phase: Phase
    percent: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[StepView, ...] = ()
    error: JobError | None = None
    result: JobResult | None = None
    exists: bool = True
    retryable: bool = False
    own: bool = False
    manages: bool = False
    may_cancel: bool = False
    may_retry: bool = False
    may_go_on: bool = False
    may_edit: bool = False
    may_destroy: bool = False
    may_console: bool = False
    batch_id: UUID | None = None
    ahead: int = -1
    slot_node: str = ""
    spec: ContainerSpec | None = field(default=None, repr=False)

    def placed(self, places: Mapping[UUID, Place]) -> JobView:
        """With its place in the line, where it stands in one."""
        place = places.get(self.id)
        return self if place is None else replace(self, ahead=place.ahead, slot_node=place.node)


def job_view(creation: Job, container: Container, template: str, *, own: bool, manages: bool = False) -> JobView:
    """``own``: it is the job of who asks. ``manages``: one whose job it is not may stop and destroy it all the same."""
    state = JobState(creation.state)
    over = state in {JobState.FAILED, JobState.CANCELLED}
    view = JobView(
        id=creation.id,
        endpoint_id=creation.endpoint_id,
        container_id=container.id,
        vmid=container.vmid,
        node=container.node,
        hostname=container.hostname,
        template=template,
        userid=creation.userid,
        state=state,
        phase=Phase(creation.step),
        percent=creation.percent,
        created_at=creation.created_at,
        started_at=creation.started_at,
        finished_at=creation.finished_at,
        steps=_steps(Checkpoint.from_json(creation.checkpoint), state),
        error=_error(creation.error) if over else None,
        result=_result(creation.result) if state is JobState.DONE else None,
        exists=container.deleted_at is None,
        retryable=is_retryable(creation, container),
        own=own,
        manages=manages,
        batch_id=creation.batch_id,
        spec=_spec(creation),
    )
    left = view.exists and container.lifecycle == Lifecycle.ERROR.value
    return _offering(view, left=left)


def _offering(view: JobView, *, left: bool) -> JobView:
    """With what the page may offer. ``left``: a container that came to nothing is there."""
    own, manages, state = view.own, view.manages, view.state
    over = state in {JobState.FAILED, JobState.CANCELLED}
    return replace(
        view,
        may_cancel=(own or manages) and state not in FINISHED and state is not JobState.CANCELLING,
        may_edit=own and over,
        may_go_on=own and state is JobState.PAUSED,
        may_retry=own and view.retryable,
        may_destroy=(own or manages) and over and left,
    )


def _spec(creation: Job) -> ContainerSpec | None:
    """None where it cannot be read, as one that a newer version wrote: that hides neither the job nor those beside it."""
    try:
        return ContainerSpec.from_json(creation.params)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        log.warning("spec not readable", creation=str(creation.id), error=type(error).__name__)
        return None


def _steps(checkpoint: Checkpoint, state: JobState) -> tuple[StepView, ...]:
    failed = checkpoint.failed or checkpoint.active
    views = []
    for entry in checkpoint.facts.get("plan", ()):
        key = entry["key"]
        if key == SLOT and failed != SLOT:
            continue  # most runs never wait for their turn
        step_state = StepState.WAITING
        if checkpoint.is_done(key):
            step_state = StepState.DONE
        elif key == failed and state in {JobState.FAILED, JobState.CANCELLED}:
            step_state = StepState.FAILED
        elif key == checkpoint.active and state not in FINISHED:
            step_state = StepState.ACTIVE
        said = (entry.get("code", ""), entry.get("params", {}))
        views.append(StepView(key, Phase(entry["phase"]), entry.get("title", ""), step_state, *said))
    return tuple(views)


def _error(values: Mapping[str, Any]) -> JobError:
    return JobError(
        message=values.get("message", ""),
        remedy=values.get("remedy", ""),
        phase=values.get("phase", ""),
        step=values.get("step", ""),
        tail=tuple(values.get("tail", ())),
        code=values.get("code", ""),
        params=values.get("params", {}),
    )


def _result(values: Mapping[str, Any]) -> JobResult:
    return JobResult(
        address=values.get("address", ""),
        ports=tuple(int(port) for port in values.get("ports", ())),
        credentials=tuple(values.get("credentials", ())),
    )
