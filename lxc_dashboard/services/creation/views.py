"""A creation as pages show it: a job with its template, steps and result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog

from lxc_dashboard.db.models import Container, Job, JobState, Lifecycle, Phase
from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.ownership import is_retryable
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.engine.slots import SLOT
from lxc_dashboard.services.jobs.views import JobView, fields_of

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
class JobResult:
    """The result of a finished creation. ``credentials``: names of services; ``reveal`` shows their values."""

    address: str = ""
    ports: tuple[int, ...] = ()
    credentials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationView(JobView):
    """``retryable``: it failed and its user may retry it. ``may_console``: for own jobs, only ``report`` sets it."""

    container_id: UUID
    steps: tuple[StepView, ...] = ()
    result: JobResult | None = None
    retryable: bool = False
    may_go_on: bool = False
    may_edit: bool = False
    may_destroy: bool = False
    may_console: bool = False
    spec: ContainerSpec | None = field(default=None, repr=False)

    @property
    def hostname(self) -> str:
        return self.name

    @property
    def phase(self) -> Phase:
        return Phase(self.step)


def creation_view(
    creation: Job, container: Container, template: str, *, own: bool, manages: bool = False
) -> CreationView:
    """``own`` and ``manages`` as in ``JobView``. A user who manages a job may destroy what it left."""
    state = JobState(creation.state)
    fields = fields_of(creation, container, template, own=own, manages=manages)
    over = state in {JobState.FAILED, JobState.CANCELLED}
    left = fields["exists"] and container.lifecycle == Lifecycle.ERROR.value
    retryable = is_retryable(creation, container)
    return CreationView(
        **{**fields, "container_id": container.id, "name": container.hostname},
        steps=_steps(Checkpoint.from_json(creation.checkpoint), state),
        result=_result(creation.result) if state is JobState.DONE else None,
        retryable=retryable,
        may_edit=own and over,
        may_go_on=own and state is JobState.PAUSED,
        may_retry=own and retryable,
        may_destroy=(own or manages) and over and left,
        spec=_spec(creation),
    )


def _spec(creation: Job) -> ContainerSpec | None:
    """None if it is unreadable, for example written by a newer version. The job is shown all the same."""
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
            continue  # most jobs never wait for a slot
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


def _result(values: Mapping[str, Any]) -> JobResult:
    return JobResult(
        address=values.get("address", ""),
        ports=tuple(int(port) for port in values.get("ports", ())),
        credentials=tuple(values.get("credentials", ())),
    )
