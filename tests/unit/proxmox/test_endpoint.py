from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError, TlsError, UnreachableError
from lxc_dashboard.proxmox import Endpoint, ProxmoxPool, normal_fingerprint, peer_fingerprint
from lxc_dashboard.proxmox.console import connect
from tests.unit.proxmox.replay import Identity, RawServer, data

VERSION = data({"version": "9.1.4"})


async def ask(pool: ProxmoxPool, server: RawServer, endpoint: Endpoint) -> str:
    assert endpoint.port == server.port
    return (await pool.client(endpoint).version()).version


@pytest.mark.parametrize("write", [str, str.lower, lambda fingerprint: fingerprint.replace(":", "")])
async def test_a_pinned_fingerprint_is_enough_however_it_is_written(
    write: type[str], pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        endpoint = Endpoint("localhost", server.port, fingerprint=write(identity.fingerprint))
        assert await ask(pool, server, endpoint) == "9.1.4"


async def test_another_certificate_than_the_pinned_one_gets_no_request(
    pool: ProxmoxPool, identity: Identity, other_identity: Identity
) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        pinned = Endpoint("127.0.0.1", server.port, fingerprint=other_identity.fingerprint)
        with pytest.raises(TlsError, match="pinned fingerprint") as caught:
            await ask(pool, server, pinned)
        assert server.seen == []
    assert identity.fingerprint in caught.value.detail
    assert not caught.value.retryable


async def test_the_nodes_own_certificate_may_be_given_instead_of_its_ca(pool: ProxmoxPool, identity: Identity) -> None:
    leaf = identity.chain_file.read_text().partition("-----BEGIN PRIVATE")[0]
    async with RawServer(identity, lambda _: VERSION) as server:
        assert await ask(pool, server, Endpoint("127.0.0.1", server.port, ca_pem=leaf)) == "9.1.4"


async def test_a_pin_decides_even_where_the_ca_is_the_right_one(
    pool: ProxmoxPool, identity: Identity, other_identity: Identity
) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        pinned = Endpoint(
            "127.0.0.1", server.port, fingerprint=other_identity.fingerprint, ca_pem=identity.ca_pem, verify_tls=False
        )
        with pytest.raises(TlsError):
            await ask(pool, server, pinned)


async def test_the_ca_that_signed_is_enough(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        assert await ask(pool, server, Endpoint("127.0.0.1", server.port, ca_pem=identity.ca_pem)) == "9.1.4"


async def test_another_ca_gets_no_request(pool: ProxmoxPool, identity: Identity, other_identity: Identity) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        with pytest.raises(TlsError):
            await ask(pool, server, Endpoint("127.0.0.1", server.port, ca_pem=other_identity.ca_pem))
        with pytest.raises(TlsError):
            await ask(pool, server, Endpoint("127.0.0.1", server.port, ca_pem=other_identity.ca_pem, verify_tls=False))
        assert server.seen == []


async def test_a_certificate_for_another_name_is_refused(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: VERSION, host="127.0.0.2") as server:
        with pytest.raises(TlsError, match=r"127\.0\.0\.2"):
            await ask(pool, server, Endpoint("127.0.0.2", server.port, ca_pem=identity.ca_pem))


async def test_without_pin_or_ca_the_systems_cas_are_asked(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        with pytest.raises(TlsError):
            await ask(pool, server, Endpoint("127.0.0.1", server.port))
        assert server.seen == []


async def test_verification_is_off_only_when_said_so(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        assert await ask(pool, server, Endpoint("127.0.0.1", server.port, verify_tls=False)) == "9.1.4"


async def test_a_server_that_speaks_no_tls_is_a_tls_error(pool: ProxmoxPool) -> None:
    async def speak_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak_http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(TlsError, match="TLS handshake"):
            await pool.client(Endpoint("127.0.0.1", port, verify_tls=False)).version()


async def test_a_server_that_leaves_during_the_handshake_is_unreachable(pool: ProxmoxPool) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(UnreachableError):
            await pool.client(Endpoint("127.0.0.1", port, verify_tls=False)).version()


async def test_a_handshake_that_never_ends_is_unreachable_within_the_deadline(pool: ProxmoxPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = pool.client(Endpoint("127.0.0.1", listening.getsockname()[1], verify_tls=False), get_deadline_s=0.3)
        with pytest.raises(UnreachableError, match="in time"):
            await client.version()


async def test_the_fingerprint_shown_for_confirmation_is_the_one_to_pin(identity: Identity) -> None:
    async with RawServer(identity, lambda _: VERSION) as server:
        assert await peer_fingerprint("127.0.0.1", server.port) == identity.fingerprint
        assert server.seen == []
    with pytest.raises(UnreachableError):
        await peer_fingerprint("127.0.0.1", server.port)


NO_NAMES = ["", "pve..example", "a" * 64 + ".example", "[::1]", "\0", "\u00e4" * 64]


@pytest.mark.parametrize("host", NO_NAMES)
async def test_a_host_that_is_no_name_is_unreachable(
    host: str, pool: ProxmoxPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_up(name: str, *_: object, **__: object) -> None:
        name.encode("idna")  # the real function does this first
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(UnreachableError):
        await peer_fingerprint(host)
    client = pool.client(Endpoint(host))
    with pytest.raises(UnreachableError):
        await client.version()
    with pytest.raises(UnreachableError):
        await connect(client)


async def test_an_unreadable_ca_is_a_tls_error(pool: ProxmoxPool) -> None:
    with pytest.raises(TlsError, match="CA certificate is invalid"):
        pool.client(Endpoint("pve1", ca_pem="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
    with pytest.raises(TlsError, match="CA certificate is invalid"):
        pool.client(Endpoint("pve1", ca_pem="no pem"))


@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_has_one_normal_form(digest: bytes) -> None:
    normal = normal_fingerprint(digest.hex())
    assert (
        normal == normal_fingerprint(normal) == normal_fingerprint(digest.hex(":").lower()) == digest.hex(":").upper()
    )


@given(st.text(max_size=70).filter(lambda text: len(text.replace(":", "").replace(" ", "").strip()) != 64))
def test_what_is_no_sha256_is_no_fingerprint(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Endpoint("pve1", fingerprint=text)
    assert "fingerprint" in caught.value.fields


def test_an_ipv6_host_is_bracketed_and_no_secret_of_ours_is_shown() -> None:
    assert Endpoint("::1", 8006).authority == "[::1]:8006"
    assert Endpoint("pve1").authority == "pve1:8006"
    assert "ca_pem" not in repr(Endpoint("pve1", ca_pem="pem"))


async def test_an_ipv6_endpoint_is_reached(pool: ProxmoxPool, identity: Identity) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    async with RawServer(identity, lambda _: VERSION, host="::1") as server:
        assert await ask(pool, server, Endpoint("::1", server.port, fingerprint=identity.fingerprint)) == "9.1.4"
