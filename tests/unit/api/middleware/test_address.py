from __future__ import annotations

from typing import Any

import pytest

from lxc_dashboard.api.middleware.address import (
    Trust,
    client_address,
    headers_of,
    host_of,
    is_https,
    is_own_origin,
    keeps_cookie,
    wants_secure,
)
from lxc_dashboard.services.auth.sessions import cookie_name

PROXY = Trust.of("127.0.0.1, ::1, 10.0.0.0/8", "")


def scope(client: str = "127.0.0.1", scheme: str = "http", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": (client, 1), "scheme": scheme, "headers": raw}


def address(client: str, forwarded: str, trust: Trust = PROXY) -> str:
    asked = scope(client, x_forwarded_for=forwarded)
    return client_address(asked, headers_of(asked), trust)


def test_a_stranger_is_not_believed_about_where_he_comes_from() -> None:
    assert address("192.0.2.7", "198.51.100.1") == "192.0.2.7"


def test_a_proxy_of_ours_is_believed_about_the_last_hop_only() -> None:
    assert address("127.0.0.1", "6.6.6.6, 198.51.100.1") == "198.51.100.1"
    assert address("127.0.0.1", "198.51.100.1, 10.1.2.3") == "198.51.100.1"
    assert address("127.0.0.1", "") == "127.0.0.1"
    assert address("127.0.0.1", "10.1.2.3, 10.1.2.4") == "10.1.2.3"


def test_nonsense_in_the_header_is_an_address_like_any_other_but_short() -> None:
    assert address("127.0.0.1", "x" * 500) == "x" * 64


def test_a_request_without_a_client_has_no_address() -> None:
    assert client_address({"headers": []}, {}, PROXY) == ""


def test_headers_that_come_twice_are_joined() -> None:
    asked = {"headers": [(b"Cookie", b"a=1"), (b"cookie", b"b=2"), (b"X-A", b"1"), (b"x-a", b"2")]}
    assert headers_of(asked) == {"cookie": "a=1; b=2", "x-a": "1, 2"}


@pytest.mark.parametrize(
    ("origin", "host", "public_url", "ours"),
    [
        ("http://localhost:3001", "localhost:3001", "", True),
        ("https://lxc.example.org:8443", "lxc.example.org:8443", "", True),
        ("https://lxc.example.org", "127.0.0.1:3001", "https://lxc.example.org", True),
        ("http://localhost:3001", "localhost:3001", "https://lxc.example.org", True),
        ("https://evil.example", "lxc.example.org", "https://lxc.example.org", False),
        ("http://lxc.example.org", "lxc.example.org", "https://lxc.example.org", False),
        ("https://rebound.example", "rebound.example", "https://lxc.example.org", False),
        ("https://192.0.2.1:3001", "192.0.2.1:3001", "https://lxc.example.org", False),
        ("https://lxc.example.org", "lxc.example.org", "https://LXC.Example.org:443/", True),
        ("http://lxc.example.org", "10.0.0.1", "http://lxc.example.org:80", True),
        ("https://lxc.example.org:8443", "10.0.0.1", "https://lxc.example.org:8443", True),
        ("https://[2001:db8::1]", "10.0.0.1", "https://[2001:db8::1]", True),
        ("https://lxc.example.org.evil.example", "lxc.example.org", "", False),
        ("http://localhost:3002", "localhost:3001", "", False),
        ("null", "localhost:3001", "", False),
        ("", "localhost:3001", "", False),
        ("http://", "", "", False),
        ("ftp://localhost:3001", "localhost:3001", "", False),
        ("http://localhost:3001/x", "localhost:3001", "", False),
    ],
)
def test_only_this_sites_own_origin_is_ours(origin: str, host: str, public_url: str, ours: bool) -> None:
    assert is_own_origin(origin, {"host": host}, Trust.of("", public_url)) is ours


def test_tls_is_seen_here_or_through_a_proxy_of_ours() -> None:
    forwarded = {"x-forwarded-proto": "https"}
    assert is_https(scope(scheme="https"), {}, PROXY)
    assert is_https(scope(scheme="wss"), {}, PROXY)
    assert is_https(scope("127.0.0.1"), forwarded, PROXY)
    assert not is_https(scope("192.0.2.7"), forwarded, PROXY)
    assert not is_https({"headers": []}, forwarded, PROXY)


@pytest.mark.parametrize(
    ("host", "scheme", "public_url", "kept"),
    [
        ("localhost:3001", "http", "", True),
        ("127.0.0.1:3001", "http", "", True),
        ("[::1]:3001", "http", "", True),
        ("192.0.2.1:3001", "http", "", False),
        ("192.0.2.1:3001", "https", "", True),
        ("192.0.2.1:3001", "http", "http://192.0.2.1:3001", True),
        ("192.0.2.1:3001", "http", "https://lxc.example.org", False),
    ],
)
def test_where_a_browser_keeps_the_cookie(host: str, scheme: str, public_url: str, kept: bool) -> None:
    assert keeps_cookie(scope("192.0.2.7", scheme), {"host": host}, Trust.of("127.0.0.1", public_url)) is kept


def test_the_cookie_is_for_tls_unless_told_otherwise() -> None:
    assert wants_secure("")
    assert wants_secure("https://lxc.example.org")
    assert not wants_secure("http://lxc.example.org")


@pytest.mark.parametrize("public_url", ["", "https://lxc.example.org", "http://lxc.example.org"])
def test_the_cookies_name_promises_what_its_flags_keep(public_url: str) -> None:
    assert cookie_name(public_url).startswith("__Host-") is wants_secure(public_url)


def test_the_host_of_an_authority() -> None:
    assert host_of("a.example:1") == "a.example"
    assert host_of("[::1]:80") == "[::1]"
    assert host_of("[::1]") == "[::1]"
    assert host_of("localhost") == "localhost"


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Trust.of("nonsense", "")
    assert not PROXY.trusts("unix:")
