"""The HTTP API for programs: a PVE API token on each request, PVE's answer to it, and every error as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.integration.web.conftest import Visitor
from tests.integration.web.programs import Program

WRONG = "root@pam!ghost=01a20ac9-09fe-7108-a38a-673353762100"


@pytest.fixture(scope="module")
def node(stack: Stack) -> NodeSide:
    return NodeSide(stack)


@pytest.fixture
def program(stack: Stack, node: NodeSide) -> Program:
    """A program with a token that has all rights of root@pam."""
    return Program(stack, node.new_token())


def error_of(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    assert found["message"]
    return found


@pytest.mark.parametrize("token", ["", WRONG, "nonsense"])
async def test_without_a_token_that_pve_takes_nothing_is_told(stack: Stack, token: str) -> None:
    for path in (routes.API_CREATIONS, routes.api_creation(uuid4()), f"{routes.API_V1}/nothing"):
        answer = await Program(stack, token).get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "PVEAPIToken")
        assert error_of(answer)["message"] == "The API token is missing, wrong or no longer valid"
        assert "ghost" not in answer.text


async def test_a_cookie_opens_nothing_here_and_a_token_nothing_elsewhere(signed_in: Visitor, program: Program) -> None:
    assert (await signed_in.get(routes.API_CREATIONS)).status_code == 401
    assert (await signed_in.post(routes.API_CREATIONS, json={"hostname": "forged"})).status_code == 401
    assert (await program.get(routes.FEED)).status_code == 401
    assert (await program.get(routes.DASHBOARD, headers={"Accept": "application/json"})).status_code == 401


async def test_a_container_is_asked_for_in_a_few_words_and_the_rest_is_as_in_the_wizard(program: Program) -> None:
    answer = await program.create(hostname="few-words", cores="3", tags=["ci"])
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert answer.headers["location"] == routes.api_creation(made["id"])
    assert (made["state"], made["hostname"], made["userid"]) == ("queued", "few-words", "root@pam")
    spec = made["spec"]
    assert (spec["cores"], spec["tags"], spec["password_mode"]) == (3, ["ci"], "generated")
    assert spec["ostemplate"]
    assert spec["storage"]
    assert (await program.get(answer.headers["location"])).json() == made
    listed = (await program.get(routes.API_CREATIONS, params={"unfinished": "true"})).json()["creations"]
    assert made["id"] in [one["id"] for one in listed]


async def test_the_same_idempotency_key_makes_one(program: Program) -> None:
    key = str(uuid4())
    first = await program.create(key, hostname="only-one")
    again = await program.create(key, hostname="only-one")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"] == key
    assert first.json()["vmid"] == again.json()["vmid"]
    wrong = await program.create("not-a-uuid", hostname="only-one")
    assert error_of(wrong)["fields"] == {"Idempotency-Key": "Must be a UUID"}


async def test_somebody_elses_key_is_a_conflict_and_tells_nothing(program: Program, node: NodeSide) -> None:
    key = str(uuid4())
    await program.create(key, hostname="theirs")
    other = await Program(program.stack, node.new_token("operator@pve")).create(key, hostname="mine")
    assert other.status_code == 409
    assert "theirs" not in other.text


async def test_everything_that_is_wrong_is_named_by_its_field(program: Program) -> None:
    answer = await program.create(
        template="no-such", hostname="-", cores=[], memory_mib="lots", colour="red", ipv4_mode="auto", password="abc"
    )
    assert answer.status_code == 422
    wrong = error_of(answer)["fields"]
    assert set(wrong) == {"template", "hostname", "cores", "memory_mib", "colour", "ipv4_mode", "password"}
    assert wrong["colour"] == "There is no such field"
    assert "abc" not in answer.text


async def test_what_preflight_finds_is_told_with_cause_and_remedy(program: Program) -> None:
    answer = await program.create(hostname="nowhere", storage="no-such-storage", keyctl=True)
    assert answer.status_code == 422
    found = {finding["field"]: finding for finding in error_of(answer)["findings"]}
    assert "You see no storage no-such-storage" in found["storage"]["cause"]
    assert "Only root@pam may switch on keyctl" in found["keyctl"]["cause"]
    assert found["keyctl"]["remedy"]
    assert {finding["severity"] for finding in found.values()} == {"error"}


async def test_a_token_with_few_rights_is_refused_with_each_privilege_named(program: Program, node: NodeSide) -> None:
    few = Program(program.stack, node.new_token(privsep=1))
    answer = await few.create(
        hostname="no-rights",
        vmid=7777,
        node="pve1",
        storage="local-lvm",
        bridge="vmbr0",
        ostemplate="local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst",
    )
    assert answer.status_code == 422, answer.text
    causes = [finding["cause"] for finding in error_of(answer)["findings"]]
    assert any(cause.startswith("You lack VM.Allocate, ") and cause.endswith(" at /vms/7777") for cause in causes)
    assert (await few.get(routes.API_CREATIONS)).json() == {"creations": []}


async def test_a_run_that_a_token_may_not_see_is_not_there(program: Program, node: NodeSide) -> None:
    made = (await program.create(hostname="unseen")).json()
    few = Program(program.stack, node.new_token(privsep=1))
    at = routes.api_creation(made["id"])
    for method, path in (
        ("GET", at),
        ("GET", f"{at}/log"),
        ("POST", f"{at}/cancel"),
        ("POST", f"{at}/retry"),
        ("DELETE", f"{at}?vmid={made['vmid']}"),
    ):
        assert (await few.ask(method, path)).status_code == 404, (method, path)


async def test_acts_that_do_not_fit_the_state_say_so(program: Program) -> None:
    made = (await program.create(hostname="too-early")).json()
    at = routes.api_creation(made["id"])
    assert (await program.post(f"{at}/retry")).status_code == 409
    unnamed = await program.ask("DELETE", at)
    assert error_of(unnamed)["fields"] == {"vmid": f"Confirm the container to destroy: ?vmid={made['vmid']}"}
    assert (await program.ask("DELETE", at, params={"vmid": made["vmid"]})).status_code == 409
    cancelled = await program.post(f"{at}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelling")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 422),
        (b"{", "application/json", 422),
        (b'{"hostname": "\\ud800"}', "application/json", 422),
        (b'{"hostname": "nul\\u0000"}', "application/json", 422),
        (b'{"cores": ' + b"9" * 5000 + b"}", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b'{"hostname": "' + b"a" * (1 << 20) + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_is_no_small_json_object_is_refused(
    program: Program, body: bytes, kind: str, status: int
) -> None:
    answer = await program.post(routes.API_CREATIONS, content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    error_of(answer)


async def test_the_same_request_twice_at_once_makes_one(program: Program) -> None:
    key = str(uuid4())
    answers = await asyncio.gather(*(program.create(key, hostname="at-once") for _ in range(2)))
    assert {answer.status_code for answer in answers} <= {200, 202}, [answer.text for answer in answers]
    assert {answer.json()["id"] for answer in answers} == {key}
    assert len({answer.json()["vmid"] for answer in answers}) == 1
    listed = (await program.get(routes.API_CREATIONS, params={"limit": "500"})).json()["creations"]
    assert [one["id"] for one in listed if one["hostname"] == "at-once"] == [key]


async def test_a_key_as_long_as_a_body_may_be_is_refused_by_its_length(program: Program) -> None:
    answer = await program.create(hostname="keyed", ssh_keys=["ssh-rsa A " * 100_000 + "\nx"])
    assert answer.status_code == 422
    assert error_of(answer)["fields"] == {"ssh_keys": "Key 1 is longer than 16,384 characters"}


async def test_a_token_without_rights_can_do_nothing_with_anothers_run(
    program: Program, stack: Stack, node: NodeSide
) -> None:
    made = (await program.create(hostname="not-yours", pause_after_create=True)).json()
    blind, viewer = Program(stack, node.new_token(privsep=1)), Program(stack, node.new_token("viewer@pve"))
    at, vmid = routes.api_creation(made["id"]), {"vmid": str(made["vmid"])}
    assert ((await blind.get(at)).status_code, (await viewer.get(at)).status_code) == (404, 200)
    seen = (await viewer.get(at)).json()
    assert not any(seen[may] for may in ("may_cancel", "may_retry", "may_go_on", "may_destroy"))
    acts: list[tuple[str, str, dict[str, Any], set[int]]] = [
        ("POST", "/credentials", {"json": {"name": "root"}}, {403}),
        ("POST", "/go-on", {}, {409}),
        ("POST", "/retry", {}, {409}),
        ("POST", "/cancel", {}, {403}),
        ("DELETE", "", {"params": vmid}, {403, 409}),
    ]
    for method, act, sent, refused in acts:
        assert (await blind.ask(method, f"{at}{act}", **sent)).status_code == 404, act
        answer = await viewer.ask(method, f"{at}{act}", **sent)
        assert answer.status_code in refused, (act, answer.text)
        error_of(answer)
    assert (await program.get(at)).json() == made


async def test_other_methods_and_paths_are_told_as_json(program: Program) -> None:
    other = await program.ask("PUT", routes.API_CREATIONS, json={})
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD, POST")
    error_of(other)
    assert error_of(await program.get(f"{routes.API_V1}/nothing"))
    for path in ("no-uuid", "%C2%85/log", "%00", "a/b/c"):
        answer = await program.get(routes.api_creation(path))
        assert answer.headers["content-type"] == "application/json", (path, answer.status_code, answer.text)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "x"},
        {"before": "x"},
        {"unfinished": "maybe"},
        {"unfinish": "true"},
        {"endpoint": "elsewhere"},
    ],
)
async def test_a_query_that_means_nothing_is_refused(program: Program, query: dict[str, str]) -> None:
    answer = await program.get(routes.API_CREATIONS, params=query)
    assert answer.status_code == 422
    assert set(error_of(answer)["fields"]) == set(query)


async def test_the_head_of_a_log_that_goes_on_comes_at_once(program: Program) -> None:
    made = (await program.create(hostname="headed")).json()
    answer = await program.ask("HEAD", f"{routes.api_creation(made['id'])}/log")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")


async def test_the_endpoint_is_named_in_the_query(program: Program, stack: Stack, settings: Settings) -> None:
    async with Runtime.open(settings) as rt, rt.db.transaction() as tx:
        names = [node.name for node in await tx.nodes.list()]
    for name in names:
        assert (await program.get(routes.API_CREATIONS, params={"endpoint": name})).status_code == 200


async def test_the_description_is_for_everybody_and_names_every_route(stack: Stack) -> None:
    answer = await Program(stack).get(routes.API_DOCUMENT)
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"][routes.API_CREATIONS]) == {"get", "post"}


async def test_refused_tokens_are_limited_without_harm_to_a_good_one(stack: Stack, program: Program) -> None:
    assert (await program.get(routes.API_CREATIONS)).status_code == 200
    wrong = Program(stack, f"root@pam!limited={uuid4()}")
    statuses = [(await wrong.get(routes.API_CREATIONS)).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    answer = await wrong.get(routes.API_CREATIONS)
    assert int(answer.headers["retry-after"]) > 0
    assert (await program.get(routes.API_CREATIONS)).status_code == 200


@pytest.mark.full
async def test_a_pve_that_is_away_is_told_from_a_token_that_is_wrong(stack: Stack, program: Program) -> None:
    sandbox = stack.children["sandbox"]
    sandbox.pause()
    try:
        answer = await program.get(routes.API_CREATIONS)
    finally:
        sandbox.resume()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "PVE" in error_of(answer)["message"]
    async with asyncio.timeout(60):
        while (await program.get(routes.API_CREATIONS)).status_code != 200:
            await asyncio.sleep(0.1)


async def test_no_secret_of_a_caller_stands_in_the_logs_or_the_rows(
    program: Program, stack: Stack, settings: Settings
) -> None:
    made = (await program.create(hostname="secretive", password="Planted-secret-1")).json()
    secret = program.token.partition("=")[2]
    async with Runtime.open(settings) as rt, rt.db.transaction() as tx:
        creation = await tx.jobs.get(made["id"])
        written = json.dumps([creation.params, creation.ticket_enc, creation.secrets_enc, creation.checkpoint])
    said = "".join(child.said() for child in stack.children.values())
    for planted in (secret, "Planted-secret-1"):
        assert planted not in written
        assert planted not in said
        assert planted not in json.dumps(made)
