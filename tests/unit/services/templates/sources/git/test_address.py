"""Which addresses are valid, and to which of them the reader may connect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError, SourceError
from lxc_dashboard.services.templates.sources.git.address import check_ref, check_subfolder, parse_address
from lxc_dashboard.services.templates.sources.git.network import is_refused, resolve


@pytest.mark.parametrize(
    ("typed", "shown", "server"),
    [
        ("https://git.example.org/team/recipes.git", None, ("https", "git.example.org", 443)),
        ("https://git.example.org:8443/recipes", None, ("https", "git.example.org", 8443)),
        ("https://Git.Example.org:443/r", "https://git.example.org/r", ("https", "git.example.org", 443)),
        ("https://[2001:db8::1]/r", None, ("https", "2001:db8::1", 443)),
        ("ssh://git@git.example.org/srv/r.git", None, ("ssh", "git.example.org", 22)),
        ("ssh://git.example.org:2222/r", "ssh://git@git.example.org:2222/r", ("ssh", "git.example.org", 2222)),
        ("git@git.example.org:team/r.git", None, ("ssh", "git.example.org", 22)),
        ("git.example.org:r", "git@git.example.org:r", ("ssh", "git.example.org", 22)),
        ("ssh://me@git.example.org:2222/~/r", None, ("ssh", "git.example.org", 2222)),
        ("file:///srv/git/r.git/", "file:///srv/git/r.git", ("file", "", 0)),
    ],
)
def test_what_may_be_typed(typed: str, shown: str | None, server: tuple[str, str, int]) -> None:
    address = parse_address(typed)
    assert (address.text, address.server) == (shown or typed, server)
    assert parse_address(address.text) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "recipes",
        "http://git.example.org/r",
        "git://git.example.org/r",
        "ftp://git.example.org/r",
        "https://user@git.example.org/r",
        "https://user:planted-secret@git.example.org/r",
        "ssh://git:planted-secret@git.example.org/r",
        "ssh://-oProxyCommand=x/r",
        "-oProxyCommand=x:r",
        "ext::sh -c touch% /tmp/x",
        "https://git.example.org",
        "https://git.example.org/",
        "https://git.example.org/r?x=1",
        "https://git.example.org/r#x",
        "https://git.example.org:99999/r",
        "https://git.example.org:0/r",
        "ssh://git@git.example.org:0/r",
        "https://a b/r",
        "https://git.example.org/r\n",
        "git@git.example.org:it's",
        "git@git.example.org:-x",
        "ssh://git@git.example.org/--upload-pack=x",
        "file://other/srv/r",
        "file:///srv/../etc",
        "file:///srv/%2e%2e/etc",
        "https://git.example.org/" + "x" * 2000,
    ],
)
def test_what_may_not_be_typed(typed: str) -> None:
    if typed.endswith("\n"):
        typed = typed.replace("/r\n", "/r\nx")
    with pytest.raises(InvalidInputError) as caught:
        parse_address(typed)
    assert list(caught.value.fields) == ["location"]
    assert "planted" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(typed: str) -> None:
    for prefix in ("", "https://", "ssh://", "file:///", "git@"):
        try:
            address = parse_address(prefix + typed)
        except InvalidInputError:
            continue
        assert parse_address(address.text) == address
        assert address.name
        assert "/" not in address.name


@pytest.mark.parametrize("ref", ["", "main", "feature/x", "v1.2.3", "refs/tags/v1", "größe"])
def test_refs_that_may_be_named(ref: str) -> None:
    assert check_ref(f" {ref} ") == ref


@pytest.mark.parametrize(
    "ref",
    [
        "-x",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "a//b",
        "/a",
        "a/",
        "a.",
        "a.lock",
        "@",
        "a@{1",
        "x" * 300,
    ],
)
def test_refs_that_may_not_be_named(ref: str) -> None:
    with pytest.raises(InvalidInputError):
        check_ref(ref)


def test_subfolders_stay_inside() -> None:
    assert check_subfolder(" /a//b/./c/ ") == "a/b/c"
    for outside in ("..", "a/../b", "a/..", "a\\b", "a\x00b", "x" * 300):
        with pytest.raises(InvalidInputError):
            check_subfolder(outside)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104 an address that must be refused
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "fd00:ec2::254",
    ],
)
def test_addresses_of_this_machine_and_its_link_are_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "10.0.0.5", "192.168.1.2", "172.16.0.9", "1.1.1.1", "2606:4700::1", "fd12::5"]
)
def test_others_are_let_through(address: str) -> None:
    assert not is_refused(address)


def test_a_name_is_refused_for_what_it_stands_for() -> None:
    with pytest.raises(SourceError, match="TEMPLATE_GIT_ALLOW_LOCAL"):
        resolve("localhost", 443, allow_local=False)
    assert set(resolve("localhost", 443, allow_local=True)) <= {"127.0.0.1", "::1"}
