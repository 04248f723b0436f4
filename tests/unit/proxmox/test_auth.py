from __future__ import annotations

import asyncio
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import (
    InvalidCredentialsError,
    ServiceUnavailableError,
    SessionExpiredError,
    TfaRequiredError,
    UnreachableError,
)
from lxc_dashboard.proxmox import ProxmoxPool, Ticket, TicketAuth, TokenAuth, answer_tfa, login
from lxc_dashboard.proxmox.auth import RENEW_AGAIN_AFTER_S, TICKET_LIFETIME_S, TICKET_RENEW_AFTER_S, challenge_kinds
from tests.unit.proxmox.replay import UPID, Answer, Identity, RawServer, Respond, Seen, data, refusal

SIGNED_IN_AT = 1_795_470_000.0
TICKET = Ticket("alice@pve", "PVE:alice@pve:6B04B46C::old+sig/==", "6B04B46C:old", SIGNED_IN_AT, "labcluster")
RENEWED = {"username": "alice@pve", "ticket": "PVE:alice@pve:6B04C000::new", "CSRFPreventionToken": "6B04C000:new"}


class Clock:
    def __init__(self, age_s: float = 0.0) -> None:
        self.now = SIGNED_IN_AT + age_s

    def __call__(self) -> float:
        return self.now


def renewing(answer: Answer) -> Respond:
    def respond(seen: Seen) -> Answer:
        if seen.path == "/access/ticket":
            return answer
        return data(UPID if seen.method == "POST" else {"version": "9.1.4"})

    return respond


def renewals(server: RawServer) -> list[Seen]:
    return [seen for seen in server.seen if seen.path == "/access/ticket"]


async def test_a_ticket_goes_as_cookie_and_the_csrf_token_on_writes_only(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, renewing(refusal("500 no"))) as server:
        client = pool.client(server.endpoint, TicketAuth(TICKET, clock=Clock()))
        await client.version()
        await client.lxc.start("pve1", 101)
    read, write = server.seen
    assert read.headers["cookie"] == write.headers["cookie"] == f"PVEAuthCookie={TICKET.ticket}"
    assert "csrfpreventiontoken" not in read.headers
    assert write.headers["csrfpreventiontoken"] == "6B04B46C:old"


async def test_a_token_goes_in_its_header_and_needs_no_csrf_token(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, renewing(refusal("500 no"))) as server:
        auth = TokenAuth("root@pam!dash", "1234")
        await pool.client(server.endpoint, auth).lxc.start("pve1", 101)
    assert auth.userid == "root@pam"
    assert server.seen[0].headers["authorization"] == "PVEAPIToken=root@pam!dash=1234"
    assert {"cookie", "csrfpreventiontoken"}.isdisjoint(server.seen[0].headers)


async def test_an_old_ticket_is_renewed_with_itself_before_the_next_call(pool: ProxmoxPool, identity: Identity) -> None:
    stored: list[tuple[str, str]] = []

    async def store(ticket: str, csrf_token: str) -> None:
        stored.append((ticket, csrf_token))

    clock = Clock(TICKET_RENEW_AFTER_S)
    async with RawServer(identity, renewing(data(RENEWED))) as server:
        auth = TicketAuth(TICKET, store, clock=clock)
        client = pool.client(server.endpoint, auth)
        await client.lxc.start("pve1", 101)
        await client.lxc.start("pve1", 101)
    renewal, first, second = server.seen
    assert (renewal.call, renewal.query) == ("POST /access/ticket", {})
    assert renewal.form == {"username": "alice@pve", "password": TICKET.ticket}
    assert "cookie" not in renewal.headers
    assert first.headers["cookie"] == second.headers["cookie"] == f"PVEAuthCookie={RENEWED['ticket']}"
    assert first.headers["csrfpreventiontoken"] == RENEWED["CSRFPreventionToken"]
    assert stored == [(RENEWED["ticket"], RENEWED["CSRFPreventionToken"])]
    assert auth.ticket == Ticket(
        "alice@pve", RENEWED["ticket"], RENEWED["CSRFPreventionToken"], clock.now, "labcluster"
    )


async def test_a_renewal_without_a_csrf_token_leaves_the_old_one(pool: ProxmoxPool, identity: Identity) -> None:
    renewed = data({"ticket": RENEWED["ticket"], "username": "alice@pve"})
    async with RawServer(identity, renewing(renewed)) as server:
        auth = TicketAuth(TICKET, clock=Clock(TICKET_RENEW_AFTER_S))
        await pool.client(server.endpoint, auth).lxc.start("pve1", 101)
    assert server.seen[-1].headers["csrfpreventiontoken"] == TICKET.csrf_token
    assert auth.ticket.ticket == RENEWED["ticket"]


async def test_many_calls_at_once_renew_once(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, renewing(data(RENEWED))) as server:
        client = pool.client(server.endpoint, TicketAuth(TICKET, clock=Clock(TICKET_RENEW_AFTER_S + 5)))
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(client.version())
    assert len(renewals(server)) == 1
    assert len(server.seen) == 21
    others = [seen for seen in server.seen if seen.path != "/access/ticket"]
    assert {seen.headers["cookie"] for seen in others} == {f"PVEAuthCookie={RENEWED['ticket']}"}


@pytest.mark.parametrize("age_s", [-10_000.0, 0.0, TICKET_RENEW_AFTER_S - 1, TICKET_LIFETIME_S, 10 * TICKET_LIFETIME_S])
async def test_a_ticket_too_young_or_already_dead_is_not_renewed(
    age_s: float, pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, renewing(data(RENEWED))) as server:
        await pool.client(server.endpoint, TicketAuth(TICKET, clock=Clock(age_s))).version()
        assert renewals(server) == []


@pytest.mark.parametrize(
    "answer",
    [
        refusal("401 authentication failure", "authentication failure\n"),
        refusal("595 Connection refused"),
        data({"NeedTFA": 1, "ticket": "PVE:!tfa!x", "username": "alice@pve"}),
        data({"no": "ticket"}),
        Answer(body=b"<html>"),
        Answer(body=b'{"data":{"ticket":' + b"[" * 100_000),
        Answer(body=b"\xff"),
    ],
)
async def test_a_renewal_that_fails_leaves_the_old_ticket_and_is_tried_again_later(
    answer: Answer, pool: ProxmoxPool, identity: Identity
) -> None:
    clock = Clock(TICKET_RENEW_AFTER_S)
    async with RawServer(identity, renewing(answer)) as server:
        client = pool.client(server.endpoint, TicketAuth(TICKET, clock=clock))
        await client.version()
        await client.version()
        assert len(renewals(server)) == 1
        clock.now += RENEW_AGAIN_AFTER_S
        server.respond = renewing(data(RENEWED))
        await client.version()
    assert len(renewals(server)) == 2
    cookies = [seen.headers["cookie"] for seen in server.seen if seen.path == "/version"]
    old, new = f"PVEAuthCookie={TICKET.ticket}", f"PVEAuthCookie={RENEWED['ticket']}"
    assert cookies == [old, old, new]


async def test_an_owner_that_cannot_store_the_renewed_ticket_does_not_stop_the_call(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async def store(ticket: str, csrf_token: str) -> None:
        raise ServiceUnavailableError(detail=f"{len(ticket)} {len(csrf_token)}")

    async with RawServer(identity, renewing(data(RENEWED))) as server:
        auth = TicketAuth(TICKET, store, clock=Clock(TICKET_RENEW_AFTER_S))
        assert (await pool.client(server.endpoint, auth).version()).version == "9.1.4"
    assert auth.ticket.ticket == RENEWED["ticket"]


async def test_a_call_cancelled_while_it_renews_lets_the_next_one_renew(pool: ProxmoxPool, identity: Identity) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def respond(seen: Seen) -> Answer:
        if seen.path == "/access/ticket":
            asked.set()
            await release.wait()
            return data(RENEWED)
        return data({"version": "9.1.4"})

    async with RawServer(identity, respond) as server:
        client = pool.client(server.endpoint, TicketAuth(TICKET, clock=Clock(TICKET_RENEW_AFTER_S)))
        first = asyncio.create_task(client.version())
        await asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        release.set()
        await client.version()
    assert len(renewals(server)) == 2


async def test_sign_in_tells_a_wrong_password_from_an_unreachable_endpoint(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(
        identity, lambda _: refusal("401 authentication failure", "authentication failure\n")
    ) as server:
        client = pool.client(server.endpoint)
        with pytest.raises(InvalidCredentialsError):
            await login(client, "root@pam", "wrong")
    with pytest.raises(UnreachableError):
        await login(client, "root@pam", "right")


async def test_the_second_step_sends_kind_and_code_with_the_challenge(pool: ProxmoxPool, identity: Identity) -> None:
    challenge = 'PVE:!tfa!{"totp"%3Atrue,"recovery"%3A[0,1]}:6B04B47B::sig'
    async with RawServer(identity, lambda seen: _two_steps(seen, challenge)) as server:
        client = pool.client(server.endpoint)
        with pytest.raises(TfaRequiredError) as caught:
            await login(client, "alice@pve", "secret")
        assert (caught.value.challenge, caught.value.kinds) == (challenge, ("totp", "recovery"))
        ticket = await answer_tfa(client, "alice@pve", caught.value.challenge, "totp", " 123 456 ")
        assert (ticket.userid, ticket.ticket) == ("alice@pve", RENEWED["ticket"])
        with pytest.raises(InvalidCredentialsError):
            await answer_tfa(client, "alice@pve", challenge, "recovery", "aaaa-bbbb")
    assert [seen.form["password"] for seen in server.seen] == ["secret", "totp:123456", "recovery:aaaa-bbbb"]


def _two_steps(seen: Seen, challenge: str) -> Answer:
    if "tfa-challenge" not in seen.form:
        return data({"NeedTFA": 1, "ticket": challenge, "username": "alice@pve", "CSRFPreventionToken": "x"})
    if seen.form == {"username": "alice@pve", "password": "totp:123456", "tfa-challenge": challenge}:
        return data(RENEWED)
    return refusal("401 authentication failure", "authentication failure\n")


async def test_a_dead_ticket_ends_the_session_with_the_cause(pool: ProxmoxPool, identity: Identity) -> None:
    reason = "permission denied - invalid PVE ticket"
    async with RawServer(identity, lambda _: refusal(f"401 {reason}")) as server:
        with pytest.raises(SessionExpiredError) as caught:
            await pool.client(server.endpoint, TicketAuth(TICKET, clock=Clock(TICKET_LIFETIME_S))).version()
    assert caught.value.detail == reason


@pytest.mark.parametrize(
    ("challenge", "kinds"),
    [
        ('PVE:!tfa!{"totp"%3Atrue}:6B04B47B::sig', ("totp",)),
        ("PVE:!tfa!%7B%22totp%22%3Afalse%2C%22recovery%22%3A%22available%22%7D:6B04B47B::sig", ("recovery",)),
        ("PVE:!tfa!%7B%22recovery%22%3A%22unavailable%22%2C%22yubico%22%3Atrue%7D:6B04B47B::sig", ("yubico",)),
        ("PVE:!tfa!{}:6B04B47B::sig", ("totp", "recovery")),
        ("PVE:!tfa!not json:6B04B47B::sig", ("totp", "recovery")),
        ("something else", ("totp", "recovery")),
    ],
)
def test_a_challenge_says_what_it_takes(challenge: str, kinds: tuple[str, ...]) -> None:
    assert challenge_kinds(challenge) == kinds


@given(st.text())
def test_no_challenge_breaks_the_sign_in(challenge: str) -> None:
    assert all(isinstance(kind, str) for kind in challenge_kinds(challenge))


@given(st.text(min_size=1))
def test_a_cookie_holds_any_ticket_and_nothing_that_ends_a_cookie(ticket: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in ticket):
        return
    _, _, value = TicketAuth(Ticket("a@pve", ticket, "c", 0.0)).cookie.partition("=")
    assert unquote(value) == ticket
    assert value.isascii()
    assert value.isprintable()
    assert not set(value) & set('; ",\\')


def test_secrets_are_not_in_what_is_printed() -> None:
    shown = repr(TICKET) + repr(TicketAuth(TICKET)) + repr(TokenAuth("root@pam!t", "my-secret"))
    assert not any(secret in shown for secret in (TICKET.ticket, TICKET.csrf_token, "my-secret"))
