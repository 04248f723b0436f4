from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from redis.asyncio import Redis

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.errors import InvalidCredentialsError, UnreachableError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import limits, sessions
from lxc_dashboard.settings import Settings
from pve_sandbox.api.access import sign_in
from tests.e2e.stack import Stack, free_port
from tests.integration.web.conftest import Visitor


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


@pytest.fixture(autouse=True)
async def no_tries_yet(settings: Settings) -> None:
    """Reset the limits of sign-in attempts before each test."""
    async with Redis.from_url(settings.REDIS_URL.get_secret_value()) as redis:
        for key in [key async for key in redis.scan_iter("auth:tries:*")]:
            await redis.delete(key)


async def test_who_is_not_signed_in_is_led_to_sign_in_and_back(visitor: Visitor) -> None:
    refused = await visitor.get("/templates?tab=files")
    assert refused.status_code == 303
    where = urlsplit(refused.headers["location"])
    assert (where.path, parse_qs(where.query)) == (routes.SIGN_IN, {"next": ["/templates?tab=files"]})
    page = await visitor.get(refused.headers["location"])
    assert 'name="next" value="/templates?tab=files"' in page.text
    entered = await visitor.sign_in(next="/templates?tab=files")
    assert (entered.status_code, entered.headers["location"]) == (303, "/templates?tab=files")
    assert (await visitor.get("/templates?tab=files")).status_code == 200


async def test_the_cookie_is_for_this_site_over_tls_and_no_script(visitor: Visitor) -> None:
    entered = await visitor.sign_in()
    (line,) = [line for line in entered.headers.get_list("set-cookie") if line.startswith(sessions.COOKIE_NAME)]
    assert line.startswith("__Host-"), "no other host of the domain, and none without TLS, may put one in its place"
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)
    assert len(visitor.cookie) == sessions.COOKIE_CHARS


@pytest.mark.parametrize("leading", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
async def test_no_next_leads_to_another_site(visitor: Visitor, leading: str) -> None:
    assert (await visitor.sign_in(next=leading)).headers["location"] == "/"


async def test_a_wrong_password_keeps_what_was_typed_but_the_password(visitor: Visitor) -> None:
    refused = await visitor.sign_in("operator@pve", "not-the-password", next="/jobs")
    assert refused.status_code == 401
    assert InvalidCredentialsError().user_message in refused.text
    assert 'value="operator"' in refused.text
    assert '<option value="pve" selected>' in refused.text
    assert 'name="next" value="/jobs"' in refused.text
    assert "not-the-password" not in refused.text
    assert not visitor.cookie


async def test_empty_fields_are_named_beside_them(visitor: Visitor) -> None:
    refused = await visitor.post(routes.SIGN_IN, data={"endpoint": "x", "user": " ", "password": "", "realm": "pam"})
    assert refused.status_code == 422
    assert text.PASSWORD_MISSING in refused.text


@pytest.mark.parametrize("body", [b"user=%", b"x" * 20_000, b"\xff", b"&".join(b"a=1" for _ in range(100))])
async def test_a_form_that_is_none_is_refused(visitor: Visitor, body: bytes) -> None:
    assert (await visitor.post(routes.SIGN_IN, content=body)).status_code == 422


async def test_an_endpoint_that_is_not_registered_is_not_asked(visitor: Visitor, stack: Stack) -> None:
    for endpoint in ("127.0.0.1:8006", "https://evil.example", "00000000-0000-0000-0000-000000000000"):
        refused = await visitor.sign_in(endpoint=endpoint)
        assert refused.status_code == 502
        assert not visitor.cookie


async def test_an_endpoint_that_cannot_be_reached_is_told_apart(visitor: Visitor, rt: Runtime) -> None:
    async with rt.db.transaction() as tx:
        node = await tx.nodes.add(ProxmoxNode(name="down", host="127.0.0.1", port=free_port(), verify_tls=False))
    try:
        refused = await visitor.sign_in(endpoint=str(node.id))
        assert refused.status_code == 502
        assert UnreachableError().user_message in refused.text
        assert InvalidCredentialsError().user_message not in refused.text
        listed = await visitor.get(f"{routes.REALMS}?endpoint={node.id}")
        assert listed.json() == {"realms": []}
    finally:
        async with rt.db.transaction() as tx:
            await tx.nodes.delete(node.id)


async def test_realms_of_a_registered_endpoint_are_listed(visitor: Visitor) -> None:
    listed = f"{routes.REALMS}?endpoint={await visitor.endpoint_id()}"
    async with asyncio.timeout(60):  # after one slow answer, PVE counts as silent for 10 s
        while not (found := (await visitor.get(listed)).json()["realms"]):
            await asyncio.sleep(0.2)
    assert {realm["name"] for realm in found} >= {"pam", "pve"}
    assert (await visitor.get(f"{routes.REALMS}?endpoint=x")).json() == {"realms": []}


async def test_the_second_step_is_a_form_of_its_own(visitor: Visitor, stack: Stack) -> None:
    asked = await visitor.sign_in("tfa@pve", next="/jobs")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fjobs")
    assert not visitor.cookie
    page = await visitor.get(asked.headers["location"])
    assert "tfa@pve" in page.text
    assert 'name="code"' in page.text
    empty = await visitor.post(routes.SIGN_IN, data={"kind": "totp", "code": " ", "next": "/jobs"})
    assert (empty.status_code, text.CODE_MISSING in empty.text) == (422, True)
    wrong = await visitor.post(routes.SIGN_IN, data={"kind": "totp", "code": "000000", "next": "/jobs"})
    assert (wrong.status_code, InvalidCredentialsError().user_message in wrong.text) == (401, True)
    right = await visitor.post(routes.SIGN_IN, data={"kind": "totp", "code": code_of(stack), "next": "/jobs"})
    assert (right.status_code, right.headers["location"]) == (303, "/jobs")
    assert visitor.cookie
    assert list(visitor.cookies) == [sessions.COOKIE_NAME]


def code_of(stack: Stack) -> str:
    import time

    return sign_in.code_at(stack.sandbox["tfa_secret"], int(time.time()) // sign_in.STEP_S)


async def test_the_second_step_can_be_left(visitor: Visitor) -> None:
    await visitor.sign_in("tfa@pve")
    assert 'name="code"' in (await visitor.get(routes.SIGN_IN)).text
    assert 'name="password"' in (await visitor.get(f"{routes.SIGN_IN}?again=1")).text
    assert 'name="password"' in (await visitor.get(routes.SIGN_IN)).text


async def test_a_code_without_a_first_step_opens_nothing(visitor: Visitor) -> None:
    refused = await visitor.post(routes.SIGN_IN, data={"kind": "totp", "code": "123456", "next": "/"})
    assert (refused.status_code, text.TFA_EXPIRED in refused.text) == (401, True)


async def test_signing_in_again_ends_the_session_before(visitor: Visitor, rt: Runtime) -> None:
    await visitor.sign_in()
    first = visitor.cookie
    await visitor.sign_in("operator@pve")
    assert visitor.cookie != first
    assert await sessions.find(rt, first) is None
    assert await sessions.find(rt, visitor.cookie)


async def test_who_is_signed_in_does_not_see_the_form(signed_in: Visitor) -> None:
    gone_on = await signed_in.get(f"{routes.SIGN_IN}?next=/templates")
    assert (gone_on.status_code, gone_on.headers["location"]) == (303, "/templates")


async def test_who_is_signed_in_may_sign_in_again_as_the_same_user_and_come_back(
    signed_in: Visitor, rt: Runtime
) -> None:
    before = signed_in.cookie
    form = await signed_in.get(routes.sign_in_again("/jobs"))
    assert form.status_code == 200
    assert 'value="root"' in form.text
    assert 'value="/jobs"' in form.text
    assert (await signed_in.get("/")).status_code == 200, "the form alone ends nothing"
    back = await signed_in.sign_in(next="/jobs")
    assert (back.status_code, back.headers["location"]) == (303, "/jobs")
    assert await sessions.find(rt, before) is None
    assert await sessions.find(rt, signed_in.cookie)


async def test_another_endpoint_is_asked_for_by_its_id_and_the_session_lasts(signed_in: Visitor, rt: Runtime) -> None:
    async with rt.db.transaction() as tx:
        node = await tx.nodes.add(ProxmoxNode(name="other", host="127.0.0.1", port=free_port(), verify_tls=False))
    try:
        form = await signed_in.get(routes.sign_in_at(node.id))
        assert f'<option value="{node.id}" selected>other' in form.text
        assert 'value="root"' not in form.text
        assert text.SIGN_IN_ELSEWHERE.format(userid="root@pam", endpoint="sandbox") in form.text
        assert (await signed_in.get("/templates")).status_code == 200
    finally:
        async with rt.db.transaction() as tx:
            await tx.nodes.delete(node.id)


async def test_signing_in_again_may_ask_for_a_second_factor(signed_in: Visitor, stack: Stack) -> None:
    asked = await signed_in.sign_in("tfa@pve", next="/jobs")
    assert 'name="code"' in (await signed_in.get(asked.headers["location"])).text
    again = await signed_in.get(routes.sign_in_again("/jobs"))
    assert 'name="password"' in again.text
    assert (await signed_in.get(asked.headers["location"])).headers["location"] == "/jobs"


async def test_a_cookie_is_dropped_with_the_flags_that_it_was_set_with(signed_in: Visitor) -> None:
    dropped = (await signed_in.post(routes.SIGN_OUT)).headers["set-cookie"]
    for flag in (f"{sessions.COOKIE_NAME}=", "Max-Age=0", "Path=/", "HttpOnly", "SameSite=lax", "Secure"):
        assert flag in dropped


async def test_hostile_names_are_refused_like_any_other(stack: Stack) -> None:
    users = ("r\0ot", "a" * 10_000, "root@pam", "..", "\U0001f600", "ro\not")
    refused = await asyncio.gather(*(Visitor(stack).sign_in(f"{user}@pam", "wrong") for user in users))
    assert [response.status_code for response in refused] == [401] * len(users)


async def test_signing_out_takes_cookie_and_session(signed_in: Visitor, rt: Runtime) -> None:
    before = signed_in.cookie
    left = await signed_in.post(routes.SIGN_OUT)
    assert (left.status_code, left.headers["location"]) == (303, routes.SIGN_IN)
    assert not signed_in.cookie
    assert await sessions.find(rt, before) is None
    signed_in.cookies[sessions.COOKIE_NAME] = before
    assert (await signed_in.get("/")).status_code == 303


async def test_too_many_tries_are_told_with_the_time_to_wait(visitor: Visitor, settings: Settings) -> None:
    of_both = limits._account_and_address(limits._account(UUID(await visitor.endpoint_id()), "victim@pam"), "127.0.0.1")
    async with Redis.from_url(settings.REDIS_URL.get_secret_value()) as redis:
        await redis.set(of_both, limits.TRIES_PER_ACCOUNT_AND_ADDRESS, ex=300)
    refused = await visitor.sign_in("victim@pam", "wrong")
    assert refused.status_code == 429
    assert "Too many attempts" in refused.text


async def test_the_page_says_that_it_is_a_sandbox(visitor: Visitor) -> None:
    assert text.SANDBOX_NOTE in (await visitor.get(routes.SIGN_IN)).text


async def test_where_the_cookie_would_be_lost_the_page_says_how_to_mend_it(visitor: Visitor) -> None:
    assert "plain http" not in (await visitor.get(routes.SIGN_IN)).text
    elsewhere = await visitor.get(routes.SIGN_IN, headers={"Host": "192.0.2.1:3001"})
    assert "plain http" in elsewhere.text
