"""Every request is refused while the process is not up. Also statuses of errors, caching and public files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.access import (
    PUBLIC_FILES,
    AccessMiddleware,
    accepts_origin,
    is_public_file,
    is_unattended,
)
from lxc_dashboard.api.v1.answers import refusal
from lxc_dashboard.errors import (
    ApiError,
    ConflictError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    PreflightError,
    PrivilegeError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionExpiredError,
    TokenRefusedError,
    UnreachableError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.creation.preflight.findings import FindingCode
from lxc_dashboard.services.creation.preflight.findings import error as finding
from lxc_dashboard.state.process import WebProcess

SITE = "http://localhost:3001"


@asynccontextmanager
async def never() -> AsyncIterator[Runtime]:
    raise AssertionError("opened")
    yield


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"{scope['type']} was let through")


def client(app: Any = inside) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(AccessMiddleware(app, WebProcess(never), ())), base_url=SITE)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_before_the_process_is_up_everything_is_503(method: str) -> None:
    async with client() as visitor:
        answer = await visitor.request(method, "/", headers={"Origin": SITE})
    assert answer.status_code == 503
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.json()["reference"]) == 8


async def test_before_the_process_is_up_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/_event/", "headers": [(b"origin", SITE.encode())]}
    await AccessMiddleware(inside, WebProcess(never), ())(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("public_url", "told"),
    [
        ("https://LXC.example.org:443", "https://lxc.example.org, the dashboard's address"),
        ("", "This form did not come from this site"),
    ],
)
async def test_who_typed_another_name_of_ours_is_told_the_one_to_use(public_url: str, told: str) -> None:
    settings = SimpleNamespace(TRUSTED_PROXIES="", PUBLIC_URL=public_url)
    process: Any = SimpleNamespace(runtime=SimpleNamespace(settings=settings), is_open=True)
    transport = httpx.ASGITransport(AccessMiddleware(inside, process, ()))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1:3001") as visitor:
        origin = "http://10.0.0.1:3001" if public_url else "http://elsewhere.example"
        answer = await visitor.post(routes.SIGN_IN, headers={"Origin": origin})
    assert answer.status_code == 403
    assert told in answer.json()["error"]


async def test_the_lifespan_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("asked")

    await AccessMiddleware(app, WebProcess(never), ())({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SessionExpiredError(), 401),
        (PrivilegeError("VM.Audit", "/vms/101"), 403),
        (NotFoundError(), 404),
        (ConflictError(), 409),
        (InvalidInputError({"a": "b"}), 422),
        (RateLimitedError(5), 429),
        (ServiceUnavailableError(), 503),
        (ApiError(500, "no"), 502),
    ],
)
async def test_an_error_of_a_route_becomes_its_status(error: DashboardError, status: int) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async with client(failing) as visitor:
        answer = await visitor.get("/assets/x.js")
    assert answer.status_code == status
    assert answer.json()["error"] == error.user_message


async def test_what_a_route_says_of_caching_stays() -> None:
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": b""})

    async with client(route) as visitor:
        assert (await visitor.get("/assets/x.js")).headers["cache-control"] == "no-store"


def test_a_process_without_an_app_has_no_sockets() -> None:
    process = WebProcess(never)
    with pytest.raises(RuntimeError):
        _ = process.sockets
    with pytest.raises(ServiceUnavailableError):
        accepts_origin(process)(SITE, {"HTTP_HOST": "localhost:3001"})
    assert routes.SIGN_IN


def test_every_file_of_the_pages_is_given_to_everybody() -> None:
    """Without its style sheet, the sign-in page renders only in part."""
    assets = Path(__file__).parents[4] / "assets"
    there = {f"/{file.name}" for file in assets.iterdir() if file.is_file()}
    assert {file for file in there if not is_public_file(file)} == set()
    assert PUBLIC_FILES - there == {"/favicon.ico"}


async def test_a_browser_that_goes_to_a_page_is_told_so_in_words_and_comes_again_by_itself() -> None:
    async with client() as browser:
        answer = await browser.get(routes.JOBS, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["refresh"]) == (503, "2")
    assert answer.headers["content-type"].startswith("text/html")
    assert f"The dashboard is starting. {text.AWAY_AGAIN}" in answer.text


async def test_a_program_is_told_so_in_the_api_s_own_shape_and_when_to_come_again() -> None:
    async with client() as program:
        answer = await program.get(routes.API_CREATIONS, headers={"Authorization": "PVEAPIToken=x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"]["message"] == "The dashboard is starting"


UNKNOWN_NODE = {
    "severity": "error",
    "field": "node",
    "code": "preflight.node.unknown",
    "params": {"node": "pve1"},
    "cause": "PVE does not know the state of node pve1",
    "remedy": "Choose another one, or wait until it is back",
}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TokenRefusedError(), 401),
        (SessionExpiredError(detail="invalid token value!"), 401),
        (PrivilegeError("VM.Audit", "/vms/101"), 403),
        (InvalidInputError({"a": "b"}), 422),
        (PreflightError([finding("node", FindingCode.NODE_UNKNOWN, node="pve1")]), 422),
        (RateLimitedError(5), 429),
        (UnreachableError(), 503),
        (ApiError(500, "no"), 502),
    ],
)
async def test_a_refusal_of_the_api_says_what_to_mend_and_nothing_of_a_token(
    error: DashboardError, status: int
) -> None:
    answer = refusal(error)
    assert answer.status_code == status
    told = json.loads(bytes(answer.body))["error"]
    assert set(told) == {"message", "fields", "findings", "reference"}
    assert "invalid token" not in str(told)
    assert told["fields"] == ({"a": "b"} if isinstance(error, InvalidInputError) else {})
    found = [UNKNOWN_NODE] if isinstance(error, PreflightError) else []
    assert told["findings"] == found


@pytest.mark.parametrize(
    ("path", "unattended"),
    [
        ("/_event/", True),
        ("/api/containers", True),
        ("/api/console/101", True),
        ("/api/ready", True),
        ("/api/live", True),
        ("/api/session", True),
        ("/api/nodes", True),
        ("/api/creations/x/events", True),
        ("/api/creations/x/log", True),
        ("/api/creations/x/log/phases", True),
        ("/api/creations/x/log/search", True),
        ("/api/creations/x/log.txt", False),
        ("/api/creations/x/credentials", False),
        ("/jobs/x", False),
        ("/", False),
    ],
)
def test_what_an_open_page_asks_for_by_itself_is_told_apart(path: str, *, unattended: bool) -> None:
    assert is_unattended(path) is unattended
