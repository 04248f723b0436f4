"""Which jobs can be changed and run again, and what the wizard then contains."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, now
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import replacement
from tests.unit.services.creation.doubles import always, database
from tests.unit.services.creation.wish import SPEC

SESSION = Session(uuid4(), uuid4(), "pve", "ann@pve", now())
ROW = Container(
    id=uuid4(), endpoint_id=SESSION.endpoint_id, vmid=101, node="pve1", hostname="web", created_by="ann@pve"
)


def job(state: str = "failed", **changes: Any) -> Job:
    values = {
        "userid": SESSION.userid,
        "endpoint_id": SESSION.endpoint_id,
        "kind": CREATE_KIND,
        "vmid": 101,
        "params": SPEC.to_json(),
        **changes,
    }
    return Job(id=uuid4(), container_id=ROW.id, state=state, step="creating", percent=5, checkpoint={}, **values)


def dashboard(creation: Job, bus: dict[str, bytes] | None = None) -> Any:
    """A dashboard with this job and no templates. ``bus``: cached privileges."""
    templates = SimpleNamespace(revision=always(NotFoundError()))
    rows = database(
        jobs=SimpleNamespace(get=always(creation)),
        job_lists=SimpleNamespace(get=always((creation, ROW, ""))),
        slots=SimpleNamespace(places=always({})),
        containers=SimpleNamespace(get=always(ROW)),
        templates=templates,
    )

    async def get(key: str) -> bytes | None:
        return next((value for known, value in (bus or {}).items() if key.startswith(known)), None)

    return SimpleNamespace(db=rows, bus=SimpleNamespace(get=get))


async def refilled(creation: Job) -> replacement.Refilled:
    return await replacement.of_job(dashboard(creation), SESSION, creation.id)


@pytest.mark.parametrize("revision_id", [None, uuid4()])
async def test_a_job_without_a_template_or_whose_template_is_gone_is_filled_in_without_one(
    revision_id: UUID | None,
) -> None:
    spec = replace(SPEC, hostname="db", memory_mib=2048, revision_id=revision_id)
    found = await refilled(job(params=spec.to_json(), revision_id=None))
    assert (found.hostname, found.revision_number, found.filled.template_id) == ("db", 0, None)
    assert found.filled.form["memory_mib"] == "2048"


@pytest.mark.parametrize("state", ["queued", "running", "paused", "done"])
async def test_a_job_that_has_not_failed_is_not_changed(state: str) -> None:
    creation = job(state)
    with pytest.raises(ConflictError, match=f"this one is {state}"):
        await replacement.editable(dashboard(creation), SESSION, creation.id)


async def test_a_job_whose_wish_cannot_be_read_is_not_changed() -> None:
    with pytest.raises(ConflictError, match="no longer known"):
        await refilled(job(params={"later": 1}))


async def test_a_job_of_somebody_else_that_one_may_see_is_not_changed() -> None:
    creation = job(userid="bob@pve")
    seen = dashboard(creation, {"job:held:": b"VM.Audit"})
    with pytest.raises(ConflictError, match="acts as the user or token"):
        await replacement.editable(seen, SESSION, creation.id)


async def test_a_job_that_one_may_not_see_or_of_another_endpoint_is_not_there() -> None:
    for hidden in (job(userid="bob@pve"), job(endpoint_id=uuid4())):
        with pytest.raises(NotFoundError):
            await replacement.editable(dashboard(hidden, {"job:held:": b""}), SESSION, hidden.id)
