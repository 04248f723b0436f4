"""The running API against its own description: no request of schemathesis breaks it or creates a job by mistake."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID, uuid4

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.jobs.acts import ACTS as KNOWN_ACTS
from lxc_dashboard.services.kinds import KINDS
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack

ANSWER_S = 60
# The description lists no existing nodes, names and states. ``test_api`` tests invalid tokens: they are rate-limited.
LEFT_OUT = ("positive_data_acceptance", "ignored_auth", "missing_required_header", "ensure_resource_availability")
OPERATIONS = (
    ("GET", routes.API_CREATIONS),
    ("POST", routes.API_CREATIONS),
    ("GET", f"{routes.API_CREATIONS}/{{job_id}}"),
    ("DELETE", f"{routes.API_CREATIONS}/{{job_id}}"),
    ("GET", f"{routes.API_CREATIONS}/{{job_id}}/log"),
    ("POST", f"{routes.API_CREATIONS}/{{job_id}}/credentials"),
    ("POST", f"{routes.API_CREATIONS}/{{job_id}}/cancel"),
    ("POST", f"{routes.API_CREATIONS}/{{job_id}}/go-on"),
    ("POST", f"{routes.API_CREATIONS}/{{job_id}}/retry"),
    ("GET", routes.API_JOBS),
    ("GET", f"{routes.API_JOBS}/{{job_id}}"),
    ("GET", f"{routes.API_JOBS}/{{job_id}}/log"),
    ("POST", f"{routes.API_JOBS}/{{job_id}}/cancel"),
    ("POST", f"{routes.API_JOBS}/{{job_id}}/retry"),
)
assert KINDS  # its import registers all acts
ACTS_ON_CONTAINERS = sorted((act.method, routes.api_act("{vmid}", act.route)) for act in KNOWN_ACTS.values())
QUICK_ACT = ("POST", routes.api_act("{vmid}", "snapshots"))
TRIED = [
    *OPERATIONS,
    *(pytest.param(each, marks=() if each == QUICK_ACT else pytest.mark.full) for each in ACTS_ON_CONTAINERS),
]


@dataclass(frozen=True)
class Fuzzed:
    """The API, its description and a valid token."""

    stack: Stack
    description: Any
    headers: dict[str, str]

    def create(self) -> str:
        body = {"hostname": f"fuzzed-{uuid4().hex[:8]}"}
        answer = requests.post(
            f"{self.stack.url}{routes.API_CREATIONS}", json=body, headers=self.headers, timeout=ANSWER_S
        )
        assert answer.status_code == 202
        return str(answer.json()["id"])


@pytest.fixture(scope="module")
def api(stack: Stack) -> Fuzzed:
    load_all_checks()
    document = requests.get(f"{stack.url}{routes.API_DOCUMENT}", timeout=ANSWER_S).json()
    headers = {"Authorization": f"PVEAPIToken={NodeSide(stack).new_token()}"}
    return Fuzzed(stack, schemathesis.openapi.from_dict(document), headers)


def made(settings: Settings) -> set[UUID]:
    """The ids of all jobs."""

    async def read() -> set[UUID]:
        async with Runtime.open(settings) as rt, rt.db.transaction() as tx:
            endpoint = await tx.nodes.default()
            assert endpoint is not None
            return {creation.id for creation in await tx.jobs.list(endpoint.id, limit=100_000)}

    return asyncio.run(read())


def arrives(case: Any) -> bool:
    """Whether the request reaches the API as generated.

    Reflex's router itself answers paths with a line end. A parameter with an empty list is not sent.
    """
    meant = case.query or {}
    sent = urlsplit(requests.Request("GET", "http://pve.example/", params=meant).prepare().url or "")
    path = unquote(unquote(case.formatted_path))
    return path.isprintable() and set(meant) <= set(parse_qs(str(sent.query), keep_blank_values=True))


def fuzz(api: Fuzzed, method: str, path: str, mode: GenerationMode, **fixed: Any) -> list[requests.Response]:
    """Send generated requests, check each answer against the description, and return the answers."""
    excluded = [CHECKS.get_one(name) for name in LEFT_OUT]
    answers = []

    @hypothesis.given(case=api.description[path][method].as_strategy(generation_mode=mode, **fixed))
    @hypothesis.settings(suppress_health_check=list(HealthCheck), database=None, print_blob=False)
    def ask(case: Any) -> None:
        hypothesis.assume(arrives(case))
        answer = case.call(base_url=api.stack.url, headers=api.headers, timeout=ANSWER_S)
        answers.append(answer)
        case.validate_response(answer, excluded_checks=excluded, headers=api.headers)

    ask()
    return answers


def test_every_operation_that_is_described_is_tried(stack: Stack) -> None:
    paths = requests.get(f"{stack.url}{routes.API_DOCUMENT}", timeout=ANSWER_S).json()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described - {("GET", routes.API_DOCUMENT)} == {*OPERATIONS, *ACTS_ON_CONTAINERS}


@pytest.mark.parametrize("operation", TRIED, ids=" ".join)
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.timeout(400)
def test_every_answer_is_as_described_and_only_what_was_accepted_is_made(
    api: Fuzzed, settings: Settings, operation: tuple[str, str], mode: GenerationMode
) -> None:
    before = made(settings)
    answers = fuzz(api, *operation, mode)
    assert len(answers) > 1
    accepted = {UUID(answer.json()["id"]) for answer in answers if answer.status_code == 202}
    assert made(settings) - before == accepted


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/log"),
        ("POST", "/credentials"),
        ("POST", "/cancel"),
        ("POST", "/go-on"),
        ("POST", "/retry"),
    ],
)
@pytest.mark.timeout(400)
def test_acts_on_a_run_that_is_there_are_as_described(api: Fuzzed, method: str, act: str) -> None:
    fixed: dict[str, Any] = {"path_parameters": {"job_id": api.create()}}
    if act == "/log":
        fixed["query"] = {"follow": "false"}
    found = fuzz(api, method, f"{routes.API_CREATIONS}/{{job_id}}{act}", GenerationMode.POSITIVE, **fixed)
    assert {answer.status_code for answer in found} <= {200, 202, 404, 409, 422}


@pytest.mark.timeout(400)
def test_acts_on_a_container_that_is_there_are_as_described(api: Fuzzed) -> None:
    # 101 may have a job of another test.
    path = routes.api_act("{vmid}", "stop")
    found = fuzz(api, "POST", path, GenerationMode.POSITIVE, path_parameters={"vmid": 102})
    assert {202, 409} <= {answer.status_code for answer in found} <= {200, 202, 409, 422}


@pytest.mark.parametrize(("method", "act"), [("GET", ""), ("GET", "/log"), ("POST", "/cancel"), ("POST", "/retry")])
@pytest.mark.timeout(400)
def test_requests_about_a_job_that_is_there_are_as_described(api: Fuzzed, method: str, act: str) -> None:
    fixed: dict[str, Any] = {"path_parameters": {"job_id": api.create()}}
    if act == "/log":
        fixed["query"] = {"follow": "false"}
    found = fuzz(api, method, f"{routes.API_JOBS}/{{job_id}}{act}", GenerationMode.POSITIVE, **fixed)
    assert {answer.status_code for answer in found} <= {200, 202, 409, 422}
