"""Acts on containers and jobs of all kinds over the HTTP API, without a worker: the jobs stay queued."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.integration.web.programs import Program, objects

GONE = {"message": "This job does not exist or was removed"}


@pytest.fixture(scope="module")
def node(stack: Stack) -> NodeSide:
    return NodeSide(stack)


@pytest.fixture(scope="module")
def running(node: NodeSide) -> Iterator[dict[str, Any]]:
    """Running containers, each returned once: a job without a worker keeps its guest locked.

    ``test_api_fuzz`` may share the stack, and stops containers with low numbers.
    """
    found = sorted(node.get("/cluster/resources?type=vm"), key=lambda guest: -int(guest["vmid"]))
    return iter([guest for guest in found if is_running(guest)])


def is_running(guest: dict[str, Any]) -> bool:
    return bool(guest["type"] == "lxc" and guest["status"] == "running")


@pytest.fixture
def guest(running: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return next(running)


@pytest.fixture
def program(stack: Stack, node: NodeSide) -> Program:
    """A program with a token that has all rights of root@pam."""
    return Program(stack, node.new_token())


@pytest.fixture
def viewer(stack: Stack, node: NodeSide) -> Program:
    return Program(stack, node.new_token("viewer@pve"))


@pytest.fixture
def blind(stack: Stack, node: NodeSide) -> Program:
    """A program with a token without rights."""
    return Program(stack, node.new_token(privsep=1))


async def ask_for_stop(program: Program, guest: dict[str, Any]) -> dict[str, Any]:
    """Request a stop; return the job."""
    answer = await program.post(routes.api_act(guest["vmid"], "stop"))
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def work(settings: Settings, job_id: str) -> None:
    async with Runtime.open(settings) as rt:
        await engine.run(rt, UUID(job_id))


async def log(program: Program, job_id: str) -> list[dict[str, Any]]:
    answer = await program.get(f"{routes.api_job(job_id)}/log")
    assert answer.status_code == 200, answer.text
    return objects(answer.text.splitlines())


async def test_an_act_becomes_a_job_that_is_read_and_followed_to_its_end(
    program: Program, settings: Settings, guest: dict[str, Any]
) -> None:
    answer = await program.post(routes.api_act(guest["vmid"], "shutdown"))
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert answer.headers["location"] == routes.api_job(made["id"])
    assert (made["kind"], made["state"], made["userid"]) == (Power.SHUTDOWN.act.name, "queued", "root@pam")
    assert (made["vmid"], made["node"], made["name"]) == (guest["vmid"], guest["node"], guest["name"])
    assert (await program.get(routes.api_job(made["id"]))).json() == made
    await work(settings, made["id"])
    done = (await program.get(routes.api_job(made["id"]))).json()
    told = f"Shut down CT {guest['vmid']} {guest['name']}"
    assert (done["state"], done["percent"], done["error"], done["message"]) == ("done", 100, None, told)
    lines = await log(program, made["id"])
    assert lines[-1] == {"type": "end", "state": "done", "message": ""}
    assert [line["text"] for line in lines[:-1]][-1] == told


async def test_a_second_act_is_refused_and_names_the_first_job(program: Program, guest: dict[str, Any]) -> None:
    first = await ask_for_stop(program, guest)
    answer = await program.post(routes.api_act(guest["vmid"], "reboot"))
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["job"] == {
        "id": first["id"],
        "kind": "container.stop",
        "userid": "root@pam",
        "path": routes.api_job(first["id"]),
    }


async def test_the_same_key_twice_makes_one_job(program: Program, viewer: Program, guest: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    path = routes.api_act(guest["vmid"], "stop")
    first = await program.post(path, headers=headers)
    again = await program.post(path, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    assert first.json()["id"] == headers["Idempotency-Key"]
    assert (await viewer.post(path, headers=headers)).status_code == 409
    answer = await program.post(path, headers={"Idempotency-Key": "x"})
    assert set(answer.json()["error"]["fields"]) == {"Idempotency-Key"}


async def test_the_same_key_at_the_same_time_makes_one_job(program: Program, guest: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    path = routes.api_act(guest["vmid"], "stop")
    answers = await asyncio.gather(*(program.post(path, headers=headers) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert {answer.json()["id"] for answer in answers} == {headers["Idempotency-Key"]}


async def test_an_act_needs_the_privilege_and_a_container_that_the_token_sees(
    program: Program, viewer: Program, blind: Program, guest: dict[str, Any]
) -> None:
    path = routes.api_act(guest["vmid"], "stop")
    refused = await viewer.post(path)
    assert refused.status_code == 403
    assert f"VM.PowerMgmt at /vms/{guest['vmid']}" in refused.json()["error"]["message"]
    assert (await blind.post(path)).status_code == 404
    assert (await Program(program.stack).post(path)).status_code == 401
    for vmid, act in ((7777, "stop"), (guest["vmid"], "explode"), ("x", "stop"), ("12", "stop"), ("9" * 40, "stop")):
        answer = await program.post(routes.api_act(vmid, act))
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json"), (vmid, act)
    other = await program.get(path)
    assert (other.status_code, other.headers["allow"]) == (405, "POST")


async def test_others_see_a_job_of_a_container_that_pve_shows_them_and_cannot_cancel_it(
    program: Program, viewer: Program, blind: Program, guest: dict[str, Any]
) -> None:
    made = await ask_for_stop(program, guest)
    at = routes.api_job(made["id"])
    assert (await viewer.get(at)).json() == made
    refused = await viewer.post(f"{at}/cancel")
    assert (refused.status_code, "VM.Allocate" in refused.text) == (403, True)
    for method, path in (("GET", at), ("GET", f"{at}/log"), ("POST", f"{at}/cancel")):
        answer = await blind.ask(method, path)
        assert answer.status_code == 404, (method, path)
        assert answer.json()["error"]["message"] == GONE["message"]
    assert (await program.get(routes.api_creation(made["id"]))).status_code == 404
    assert (await program.get(f"{routes.api_creation(made['id'])}/log")).status_code == 404


async def test_a_cancelled_act_never_reaches_pve_and_is_audited(
    program: Program, settings: Settings, node: NodeSide, guest: dict[str, Any]
) -> None:
    made = await ask_for_stop(program, guest)
    at = routes.api_job(made["id"])
    cancelled = await program.post(f"{at}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelling")
    await work(settings, made["id"])
    ended = (await program.get(at)).json()
    assert (ended["state"], ended["message"]) == ("cancelled", "")
    assert (await program.post(f"{at}/cancel")).status_code == 409
    status = node.get(f"/nodes/{guest['node']}/lxc/{guest['vmid']}/status/current")["status"]
    assert status == "running"
    async with Runtime.open(settings) as rt, rt.db.transaction() as tx:
        (entry,) = [e for e in await tx.audit.list(action="container.stop.cancel") if e.detail["job"] == made["id"]]
    assert entry.subject == f"CT {guest['vmid']} {guest['name']}"


async def test_a_cancelled_act_is_asked_for_again_as_a_new_job(
    program: Program, viewer: Program, blind: Program, settings: Settings, guest: dict[str, Any]
) -> None:
    made = await ask_for_stop(program, guest)
    at = routes.api_job(made["id"])
    assert (await program.post(f"{at}/retry")).status_code == 409, "it has not ended"
    await program.post(f"{at}/cancel")
    await work(settings, made["id"])
    for other in (viewer, blind):  # the job ended before it read its guest
        assert (await other.post(f"{at}/retry")).status_code == 404
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await program.post(f"{at}/retry", headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]
    again = answers[0].json()
    assert answers[0].headers["Location"] == routes.api_job(again["id"])
    assert again["id"] == answers[1].json()["id"] == key["Idempotency-Key"]
    assert [again[name] for name in ("kind", "vmid", "node", "state")] == [
        made["kind"], made["vmid"], made["node"], "queued",
    ]  # fmt: skip
    assert (await program.get(at)).json()["state"] == "cancelled"
    busy = await program.post(f"{at}/retry")
    assert (busy.status_code, busy.json()["error"]["job"]["id"]) == (409, again["id"])


async def test_a_creation_is_a_job_too_with_the_same_visibility(
    program: Program, viewer: Program, blind: Program
) -> None:
    made = (await program.create(hostname="both-ways")).json()
    at = routes.api_job(made["id"])
    for who, status in ((program, 200), (viewer, 200), (blind, 404)):
        assert (await who.get(at)).status_code == status
    found = (await program.get(at)).json()
    assert (found["kind"], found["name"], found["state"]) == ("container.create", "both-ways", "queued")
    assert (await viewer.post(f"{at}/cancel")).status_code == 403
    assert (await program.post(f"{at}/cancel")).status_code == 202
    assert (await program.get(at)).json()["state"] == "cancelled"
    assert (await log(program, made["id"]))[-1]["state"] == "cancelled"


async def jobs(program: Program, query: str = "") -> list[dict[str, Any]]:
    answer = await program.get(f"{routes.API_JOBS}{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found


async def test_jobs_of_all_kinds_are_listed_newest_first_filtered_and_paged(
    program: Program, viewer: Program, blind: Program, guest: dict[str, Any]
) -> None:
    made = (await program.create(hostname="in-the-list")).json()
    stop = await ask_for_stop(program, guest)
    newest = (await jobs(program))[:2]
    assert [(job["id"], job["kind"]) for job in newest] == [
        (stop["id"], "container.stop"),
        (made["id"], "container.create"),
    ]
    assert newest[0] == (await program.get(routes.api_job(stop["id"]))).json()
    assert await jobs(program, f"?kind=container.stop&vmid={guest['vmid']}&user=root@pam&state=queued") == [stop]
    for none in ("kind=container.start", "state=running", "user=viewer@pve"):
        assert await jobs(program, f"?vmid={guest['vmid']}&{none}") == [], none
    assert [job["id"] for job in await jobs(program, f"?limit=1&before={stop['id']}")] == [made["id"]]
    assert stop["id"] in [job["id"] for job in await jobs(viewer)]
    assert await jobs(blind) == []
    for wrong, field in (("state=odd", "state"), ("vmid=12", "vmid"), ("before=x", "before"), ("other=1", "other")):
        answer = await program.get(f"{routes.API_JOBS}?{wrong}")
        assert (answer.status_code, set(answer.json()["error"]["fields"])) == (422, {field}), wrong


async def test_a_job_that_does_not_exist_is_not_there(program: Program) -> None:
    for path in (uuid4(), "no-uuid"):
        assert (await program.get(routes.api_job(path))).status_code == 404
        assert (await program.post(f"{routes.api_job(path)}/cancel")).status_code == 404


async def test_an_act_with_parameters_names_each_field_that_is_wrong(program: Program, node: NodeSide) -> None:
    found = node.get("/cluster/resources?type=vm")
    guest = next(guest for guest in found if guest["type"] == "lxc" and guest["status"] == "stopped")
    path = routes.api_act(guest["vmid"], "snapshots")
    wrong = [
        ({}, {"name": "Is required"}),
        ({"name": "1st"}, {"name": "Is invalid: Expected `str` matching regex"}),
        ({"name": "before", "size": 1}, {"size": "There is no such field"}),
        (
            {"name": "before", "description": "x" * 4097},
            {"description": "Is invalid: Expected `str` of length <= 4096"},
        ),
    ]
    for body, fields in wrong:
        answer = await program.post(path, json=body)
        faults = answer.json()["error"]["fields"]
        assert (answer.status_code, faults.keys()) == (422, fields.keys()), answer.text
        assert all(faults[name].startswith(start) for name, start in fields.items()), faults
    assert (await program.post(path, content=b"name=before")).status_code == 415
    made = await program.post(path, json={"name": "before", "description": "Before the upgrade"})
    assert (made.status_code, made.json()["kind"]) == (202, "snapshot.create")
