"""Every route of the app requires a session, and accepts only pages of this site."""

from __future__ import annotations

import base64
import hashlib
import re

import aiohttp
import pytest
from starlette.routing import Mount, Route

from lxc_dashboard import frontend, routes
from lxc_dashboard.api.middleware.access import PUBLIC, is_api, is_public_file, is_webhook
from lxc_dashboard.api.site import site_routes
from lxc_dashboard.app import app
from lxc_dashboard.services.auth import sessions
from tests.integration.web.conftest import Visitor, tab

A_UUID = "01a20ac9-09fe-7108-a38a-673353762100"


def all_routes() -> list[tuple[str, str]]:
    """Method and path of each route of ours and of Reflex's, with path parameters filled in."""
    theirs = app._api.routes if app._api else []
    found = []
    for route in [*site_routes(), *theirs]:
        if isinstance(route, Route):
            found += [(method, filled(route.path)) for method in sorted(route.methods or {"GET"})]
        elif isinstance(route, Mount) and route.path:
            found.append(("GET", f"{route.path}/"))
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", A_UUID, path)


def page_paths() -> list[str]:
    if not app._unevaluated_pages:
        app._apply_decorated_pages()  # type: ignore[no-untyped-call]
    return [re.sub(r"\[[^]]*\]", "x", f"/{route}".replace("/index", "/")) for route in app._unevaluated_pages]


def test_the_routes_are_known() -> None:
    assert len(all_routes()) > 10
    assert ("POST", routes.SIGN_OUT) in all_routes()
    assert "/templates" in page_paths()


async def test_signed_out_every_route_is_closed(visitor: Visitor) -> None:
    for method, path in all_routes():
        answer = await visitor.ask(method, path, headers={"Accept": "application/json"})
        expected = path in PUBLIC
        assert (answer.status_code != 401) is expected, (method, path, answer.status_code)


async def test_a_plain_client_is_led_to_sign_in_from_a_page_and_refused_elsewhere(visitor: Visitor) -> None:
    page = await visitor.get(routes.DASHBOARD, headers={"Accept": "*/*"})
    assert (page.status_code, page.headers["location"]) == (303, routes.SIGN_IN)
    for feed in (routes.FEED, routes.NODES_FEED):
        assert (await visitor.get(feed, headers={"Accept": "*/*"})).status_code == 401


async def test_signed_out_every_page_leads_to_sign_in(visitor: Visitor) -> None:
    for path in page_paths():
        if path not in PUBLIC:
            answer = await visitor.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, routes.SIGN_IN), path


async def test_what_may_change_something_must_come_from_a_page_of_ours(signed_in: Visitor) -> None:
    changing = [(method, path) for method, path in all_routes() if method not in {"GET", "HEAD", "OPTIONS"}]
    assert changing
    for method, path in changing:
        for origin in ("https://evil.example", "null", "", "http://127.0.0.1:1"):
            # A git server sends no origin with its webhook, and proves itself by its signature.
            # A program proves itself by its token; the API ignores the cookie that is sent here.
            expected = 401 if is_api(path) or (is_webhook(path) and not origin) else 403
            assert (await signed_in.ask(method, path, origin=origin)).status_code == expected, (method, path, origin)
    assert (await signed_in.get("/api/session", headers={"Accept": "application/json"})).status_code == 200


@pytest.mark.parametrize("path", ["/api/nothing", "/templates/x/y/z", "/%2e%2e/etc/passwd", "/assets/../index.html"])
async def test_signed_out_nobody_learns_what_is_there(visitor: Visitor, path: str) -> None:
    assert (await visitor.get(path, headers={"Accept": "application/json"})).status_code == 401


async def test_every_answer_carries_the_security_headers(visitor: Visitor, signed_in: Visitor) -> None:
    answers = [
        await visitor.get(routes.SIGN_IN),
        await visitor.get("/"),
        await visitor.get("/api/nothing", headers={"Accept": "application/json"}),
        await visitor.get("/dashboard.css"),
        await visitor.post(routes.SIGN_IN, origin="https://evil.example"),
        await signed_in.get("/"),
        await signed_in.get("/nowhere"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe-eval" not in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers


async def test_strict_transport_is_asked_for_behind_tls(visitor: Visitor) -> None:
    secured = await visitor.get(routes.SIGN_IN, headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" in secured.headers
    assert "strict-transport-security" not in (await visitor.get(routes.SIGN_IN)).headers


async def test_the_policy_names_each_inline_script_of_each_page(signed_in: Visitor) -> None:
    for path in ("/", "/templates", "/templates/x"):
        answer = await signed_in.get(path)
        assert answer.status_code == 200
        for attributes, script in re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.DOTALL):
            if "src=" not in attributes:
                digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
                assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


async def test_bundled_files_are_for_everybody_and_kept(visitor: Visitor) -> None:
    script = next((frontend.static_folder() / "assets").glob("root-*.js")).name
    answer = await visitor.get(f"/assets/{script}", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert not is_public_file("/assets/.env")


async def test_health_tells_nothing_but_health(visitor: Visitor) -> None:
    assert (await visitor.get(routes.LIVE)).json() == {"live": True}
    assert (await visitor.get(routes.READY)).json() == {"database": True, "redis": True}


@pytest.mark.parametrize("origin", ["https://evil.example", "", "null"])
async def test_a_websocket_of_another_origin_is_refused(signed_in: Visitor, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with tab(signed_in, origin=origin):
            pytest.fail("let in")


async def test_a_websocket_without_a_session_is_refused(visitor: Visitor) -> None:
    visitor.cookies[sessions.COOKIE_NAME] = "A" * 43
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with tab(visitor):
            pytest.fail("let in")
