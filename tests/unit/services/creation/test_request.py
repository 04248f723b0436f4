"""A request that two callers store at once, or whose vmid is taken in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, ProxmoxNode, now
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, PreflightError
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import request
from lxc_dashboard.services.creation.form.spec import Secrets
from lxc_dashboard.services.creation.request import Reservation
from tests.unit.services.creation.doubles import Saying, always, database
from tests.unit.services.creation.wish import SPEC

ID = uuid4()
SESSION = Session(uuid4(), uuid4(), "pve", "root@pam", now(), tokenid="root@pam!ci")
UNKNOWN = NotFoundError()
TAKEN = ConflictError("The vmid is taken")
MADE = Job(
    kind=CREATE_KIND,
    step="creating",
    vmid=101,
    id=ID,
    endpoint_id=SESSION.endpoint_id,
    container_id=uuid4(),
    userid=SESSION.userid,
    session_id=SESSION.id,
)


class Containers:
    """Rows whose ``reserve`` returns or raises ``answers`` in turn, the last one repeatedly."""

    def __init__(self, *answers: object) -> None:
        self._says = Saying(*answers)
        self.vmids: list[int] = []

    async def reserve(self, container: Container, **_: object) -> Container:
        self.vmids.append(container.vmid)
        await self._says()
        return container


def dashboard(known: object, stored: Containers | None = None) -> Any:
    """``known``: the lookup of the request's job. In PVE each vmid from 101 on is free."""
    endpoint = ProxmoxNode(name="pve", host="127.0.0.1", port=8006)
    jobs = SimpleNamespace(
        get=known,
        add=always(None),
        reserved_vmids=always(frozenset[int]()),
        lock_endpoint=always(None),
    )
    client = SimpleNamespace(cluster=SimpleNamespace(nextid=always(101), resources=always([])))
    return SimpleNamespace(
        db=database(
            jobs=jobs,
            tickets=SimpleNamespace(set=always(MADE), lock_session=always(None)),
            containers=stored,
            nodes=SimpleNamespace(get=always(endpoint)),
            templates=SimpleNamespace(revision=always(UNKNOWN)),
            audit=SimpleNamespace(append=always(None)),
        ),
        pve=SimpleNamespace(client=lambda *_: client),
        queue=SimpleNamespace(enqueue=Saying(None)),
        checks=asyncio.Semaphore(),
    )


async def test_a_request_that_was_made_before_is_that_one() -> None:
    rt = dashboard(always(MADE))
    assert await request.request(rt, SESSION, SPEC, job_id=ID) == ID
    assert rt.queue.enqueue.calls == 0


async def test_what_is_in_the_way_of_a_request_may_be_what_the_same_one_has_made_a_moment_earlier() -> None:
    spec = replace(SPEC, revision_id=uuid4())
    rt = dashboard(Saying(UNKNOWN, MADE))
    assert await request.request(rt, SESSION, spec, job_id=ID) == ID
    assert rt.queue.enqueue.calls == 0
    with pytest.raises(PreflightError, match="no longer exists"):
        await request.request(dashboard(always(UNKNOWN)), SESSION, spec, job_id=ID)


@pytest.mark.parametrize(
    "other",
    [
        replace(SESSION, endpoint_id=uuid4()),
        replace(SESSION, userid="ann@pve", tokenid=""),
        replace(SESSION, id=uuid4(), tokenid="root@pam!another"),
    ],
)
async def test_the_id_of_somebody_elses_request_is_refused(other: Session) -> None:
    with pytest.raises(ConflictError):
        await request.request(dashboard(always(MADE)), other, SPEC, job_id=ID)


async def test_of_one_request_that_is_stored_twice_at_once_the_second_makes_nothing() -> None:
    stored = Containers(TAKEN)
    await request.reserve(dashboard(always(MADE), stored), SESSION, SPEC, Secrets(), Reservation(ID))
    assert stored.vmids == [101]


async def test_a_vmid_chosen_by_hand_that_is_taken_as_it_is_stored_is_a_fault_of_that_field() -> None:
    rt = dashboard(always(UNKNOWN), Containers(TAKEN))
    with pytest.raises(InvalidInputError) as refused:
        await request.reserve(rt, SESSION, replace(SPEC, vmid=300), Secrets(), Reservation(ID))
    assert refused.value.fields == {"vmid": "300 was taken in the meantime"}
