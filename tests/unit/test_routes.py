from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard import routes

SITE = "https://lxc.example.org"


@pytest.mark.parametrize(
    "path", ["/", "/containers", "/jobs/01a2", "/templates/nginx%20web?tab=files", "/containers?q=a%26b"]
)
def test_a_page_of_ours_is_kept(path: str) -> None:
    assert routes.safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "containers",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "/a" * 1100,
        "/sign-in?next=/",
        "/sign-out",
        "/containers\u2028",
    ],
)
def test_anything_else_leads_to_the_dashboard(path: str) -> None:
    assert routes.safe_next(path) == routes.DASHBOARD


@given(st.text() | st.text(alphabet="/\\.:@?#%\t\n ae").map(lambda text: f"/{text}"))
def test_no_text_leads_off_this_site(text: str) -> None:
    led = urljoin(f"{SITE}/sign-in", routes.safe_next(text))
    assert urlsplit(led)[:2] == urlsplit(SITE)[:2]


@given(st.text(alphabet="/ab?=&%20.", max_size=40).map(lambda text: f"/{text}"))
def test_what_is_safe_stays_as_it_is(text: str) -> None:
    once = routes.safe_next(text)
    assert routes.safe_next(once) == once


def test_the_sign_in_address_carries_the_way_back() -> None:
    address = routes.sign_in("/jobs/1?follow=1&x=a b")
    assert routes.sign_in("/") == "/sign-in"
    assert routes.sign_in("//evil.example") == "/sign-in"
    assert parse_qs(urlsplit(routes.sign_in("/jobs/1?follow=1")).query) == {"next": ["/jobs/1?follow=1"]}
    assert address == "/sign-in"


def test_names_are_quoted_in_addresses() -> None:
    assert routes.template("a/b c") == "/templates/a%2Fb%20c"
    assert routes.create("a&b") == "/containers/new?template=a%26b"
    assert routes.create() == "/containers/new"
    assert routes.create("a", "review", edit="b") == "/containers/new?template=a&step=review&edit=b"
    assert routes.job("01") == "/jobs/01"
