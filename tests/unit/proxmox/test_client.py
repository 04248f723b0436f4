"""HTTP requests: retries, deadlines, one pool for all identities, one write per request."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from lxc_dashboard.errors import ApiError, PrivilegeError, SessionExpiredError, UnreachableError
from lxc_dashboard.proxmox import Endpoint, ProxmoxPool, TicketAuth, TokenAuth, client
from lxc_dashboard.proxmox.auth import Ticket
from lxc_dashboard.proxmox.caller import Form
from tests.unit.proxmox.replay import HANG_UP, UPID, Answer, Identity, RawServer, Seen, data, refusal

TOKEN = TokenAuth("root@pam!test", "secret")
NAMED_WITHIN_S = 20


class Script:
    """Returns the answers in order, the last one repeatedly."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def __call__(self, _: Seen) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize("failure", [HANG_UP, refusal("595 Connection refused"), refusal("599 Too slow")])
async def test_a_get_is_repeated_until_it_is_answered(failure: Answer, pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, Script(failure, failure, data({"version": "9.1.4"}))) as server:
        assert (await pool.client(server.endpoint, TOKEN).version()).version == "9.1.4"
        assert len(server.seen) == 3


async def test_a_get_is_given_up_after_three_attempts(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, Script(refusal("596 Broken"))) as server:
        with pytest.raises(UnreachableError):
            await pool.client(server.endpoint, TOKEN).version()
        assert len(server.seen) == 3


@pytest.mark.parametrize("failure", [refusal("500 no"), refusal("401 No ticket"), refusal("403 no")])
async def test_a_get_that_pve_refuses_is_not_repeated(failure: Answer, pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, Script(failure)) as server:
        with pytest.raises((ApiError, SessionExpiredError, PrivilegeError)):
            await pool.client(server.endpoint, TOKEN).version()
        assert len(server.seen) == 1


@pytest.mark.parametrize("failure", [HANG_UP, refusal("595 Connection refused")])
async def test_no_write_is_ever_repeated(failure: Answer, pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, Script(failure, data(UPID))) as server:
        lxc = pool.client(server.endpoint, TOKEN).lxc
        for number, write in enumerate(
            (lxc.start("pve1", 1), lxc.set_config("pve1", 1, {"memory": 1}), lxc.delete("pve1", 1))
        ):
            server.respond = Script(failure, data(UPID))
            with pytest.raises(UnreachableError):
                await write
            assert len(server.seen) == number + 1


async def test_a_write_whose_answer_never_ends_is_given_up(
    pool: ProxmoxPool, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WRITE_DEADLINE_S", 0.3)
    never = Answer(body=b'{"data":', headers=(("Content-Length", "1000"),))
    async with RawServer(identity, lambda _: never) as server, asyncio.timeout(NAMED_WITHIN_S):
        for write in (pool.client(server.endpoint, TOKEN).lxc.start, pool.client(server.endpoint, TOKEN).lxc.delete):
            with pytest.raises(UnreachableError, match="in time"):
                await write("pve1", 1)


async def test_an_endpoint_that_accepts_and_never_answers_is_named_within_the_deadline(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async def never(_: Seen) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with RawServer(identity, never) as server:
        client = pool.client(server.endpoint, TOKEN).within(0.4)
        async with asyncio.timeout(NAMED_WITHIN_S):
            with pytest.raises(UnreachableError, match="in time"):
                await client.cluster.resources()


async def test_the_deadline_does_not_hide_what_an_earlier_attempt_met(pool: ProxmoxPool, identity: Identity) -> None:
    async def respond(_: Seen) -> Answer:
        if len(server.seen) > 1:
            await asyncio.Event().wait()
        return refusal("595 No route to host")

    async with RawServer(identity, respond) as server:
        with pytest.raises(UnreachableError, match="Node pve2 does not answer"):
            await pool.client(server.endpoint, TOKEN).within(6).lxc.list("pve2")
        assert len(server.seen) == 2


async def test_an_answer_that_stops_halfway_is_unreachable(pool: ProxmoxPool, identity: Identity) -> None:
    half = Answer(body=b'{"data":', headers=(("Content-Length", "5000"),))

    async with RawServer(identity, lambda _: half) as server:
        with pytest.raises(UnreachableError):
            await pool.client(server.endpoint, TOKEN).within(0.4).version()


async def test_a_long_answer_arrives_whole(pool: ProxmoxPool, identity: Identity) -> None:
    guests = [{"vmid": vmid, "name": f"guest-{vmid}", "tags": "x" * 500} for vmid in range(10_000)]
    body = data(guests)
    assert len(body.body) > 5_000_000
    async with RawServer(identity, lambda _: body) as server:
        found = await pool.client(server.endpoint, TOKEN).lxc.list("pve1")
    assert [guest.name for guest in found] == [guest["name"] for guest in guests]


async def test_one_connection_serves_one_call_after_another(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data({"version": "9"})) as server:
        client = pool.client(server.endpoint, TOKEN)
        for _ in range(5):
            await client.version()
        assert server.connections == 1


async def test_a_connection_that_pve_closed_meanwhile_is_not_used_for_a_write(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: data(UPID)) as server:
        lxc = pool.client(server.endpoint, TOKEN).lxc
        assert await lxc.start("pve1", 101) == UPID
        await server.hang_up_all()
        assert await lxc.start("pve1", 101) == UPID
        assert server.connections == 2


async def test_a_restarted_endpoint_is_reached_again(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data({"version": "8"})) as first:
        client = pool.client(first.endpoint, TOKEN)
        assert (await client.version()).major == 8
    async with RawServer(identity, lambda _: data({"version": "9"}), port=first.port):
        assert (await client.version()).major == 9


async def test_many_calls_at_once_share_a_bounded_pool(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data({"version": "9"})) as server:
        client = pool.client(server.endpoint, TOKEN)
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(client.version())
        assert len(server.seen) == 100
        assert server.connections <= 32


async def test_identities_share_the_connection_and_nothing_else(pool: ProxmoxPool, identity: Identity) -> None:
    cookie = (("Set-Cookie", "PVEAuthCookie=of-the-first; path=/"), ("Content-Type", "application/json"))
    version = Answer(body=data({"version": "9"}).body, headers=cookie)
    async with RawServer(identity, lambda _: version) as server:
        tickets = [Ticket(f"user{i}@pve", f"PVE:user{i}@pve:6B04B46C::sig==", f"csrf{i}", time.time()) for i in (1, 2)]
        for ticket in tickets:
            await pool.client(server.endpoint, TicketAuth(ticket)).version()
        await pool.client(server.endpoint, TOKEN).version()
        await pool.client(server.endpoint).version()
    cookies = [seen.headers.get("cookie") for seen in server.seen]
    assert cookies == [*(f"PVEAuthCookie={ticket.ticket}" for ticket in tickets), None, None]
    assert [seen.headers.get("authorization") for seen in server.seen][1:] == [
        None,
        "PVEAPIToken=root@pam!test=secret",
        None,
    ]
    assert server.connections == 1


async def test_a_dropped_endpoint_is_connected_anew(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data({"version": "9"})) as server:
        await pool.client(server.endpoint).version()
        await pool.drop(server.endpoint)
        await pool.drop(server.endpoint)
        await pool.client(server.endpoint).version()
        assert server.connections == 2


async def test_proxies_of_the_environment_are_not_used(
    pool: ProxmoxPool, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with RawServer(identity, lambda _: data({"version": "9"})) as server:
        assert (await pool.client(server.endpoint).version()).major == 9


async def test_cancelling_a_call_leaves_the_pool_usable(pool: ProxmoxPool, identity: Identity) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def respond(_: Seen) -> Answer:
        asked.set()
        await release.wait()
        return data({"version": "9"})

    async with RawServer(identity, respond) as server:
        client = pool.client(server.endpoint)
        call = asyncio.create_task(client.version())
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        release.set()
        assert (await client.version()).major == 9


@pytest.fixture
def records(identity: Identity) -> Iterator[tuple[Endpoint, list[bytes]]]:
    """An endpoint, and the TLS records of its first request. A blocking SSL read returns one record at a time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.chain_file)
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.settimeout(60)
            received.append(secured.recv(1 << 16))
            body = data(UPID).body
            secured.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            secured.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Endpoint("127.0.0.1", listening.getsockname()[1], fingerprint=identity.fingerprint), received
        thread.join()


async def test_head_and_body_of_a_post_leave_in_one_tls_record(records: tuple[Endpoint, list[bytes]]) -> None:
    endpoint, received = records
    async with ProxmoxPool() as pool:
        form: Form = {"hostname": "web-01", "memory": 512}
        await pool.client(endpoint, TOKEN).lxc.create("pve1", 101, "local:vztmpl/x", unprivileged=True, options=form)
    (record,) = received
    head, _, body = record.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api2/json/nodes/pve1/lxc HTTP/1.1\r\n")
    assert body == b"hostname=web-01&memory=512&vmid=101&ostemplate=local%3Avztmpl%2Fx&unprivileged=1"
