"""Address ranges as operators write them."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.addresses import RANGE_MAX, parse_range


@pytest.mark.parametrize(
    ("text", "first", "last", "many"),
    [
        ("10.0.0.10-10.0.0.40/24", "10.0.0.10", "10.0.0.40", 31),
        ("10.0.0.10-40/24", "10.0.0.10", "10.0.0.40", 31),
        (" 10.0.0.10 - 40 / 24 ", "10.0.0.10", "10.0.0.40", 31),
        ("10.0.0.7-10.0.0.7/24", "10.0.0.7", "10.0.0.7", 1),
        ("10.0.0.0-10.0.0.255/24", "10.0.0.0", "10.0.0.255", 254),
        ("10.0.0.0-1/31", "10.0.0.0", "10.0.0.1", 2),
        ("10.0.0.250-10.0.1.5/16", "10.0.0.250", "10.0.1.5", 12),
        ("fd00::10-fd00::40/64", "fd00::10", "fd00::40", 0x31),
        ("fd00::10-1f/64", "fd00::10", "fd00::1f", 16),
        ("fd00::-fd00::f/64", "fd00::", "fd00::f", 15),
    ],
)
def test_a_range_holds_all_that_a_machine_can_have(text: str, first: str, last: str, many: int) -> None:
    found = parse_range(text)
    assert (str(found.first), str(found.last)) == (first, last)
    assert len(list(found)) == many
    assert all(address in found for address in found)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "such as 10.0.0.10-10.0.0.40/24"),
        ("10.0.0.10", "such as"),
        ("10.0.0.0/24", "such as"),
        ("10.0.0.10-10.0.0.40", "with their prefix"),
        ("10.0.0.10-10.0.0.400/24", "10.0.0.400 is not an address"),
        ("10.0.0.10-f/24", "is not an address"),
        ("10.0.0.40-10/24", "comes before"),
        ("10.0.0.10-fd00::1/24", "different kinds"),
        ("10.0.0.10-40/33", "from /8 to /32"),
        ("10.0.0.1-2/7", "from /8 to /32"),
        ("fd00::1-2/7", "from /8 to /128"),
        ("fd00::1-2/129", "from /8 to /128"),
        ("10.0.0.10-10.0.1.40/24", "not in one network of /24"),
        ("10.0.0.0-10.0.255.255/8", "At most 4,096"),
        ("fd00::-fd00::ffff:ffff/64", "At most 4,096"),
        ("224.0.0.1-9/24", "cannot have"),
        ("127.0.0.1-9/8", "cannot have"),
        ("10.0.0.0-10.0.0.0/24", "network's own"),
        ("10.0.0.1-2/" + "9" * 200, "such as"),
        ("10.0.0.1-\0/24", "such as"),
    ],
)
def test_what_is_no_range_is_refused_with_its_cause(text: str, cause: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_range(text, field="ipv4_range")
    assert cause in refused.value.fields["ipv4_range"]


def test_where_one_family_is_asked_for_the_other_is_refused_with_an_example_of_the_right_one() -> None:
    with pytest.raises(InvalidInputError, match="Enter IPv6 addresses, such as fd00::10"):
        parse_range("10.0.0.1-9/24", version=6)
    assert parse_range("fd00::1-9/64", version=6).first == ipaddress.ip_address("fd00::1")


@given(st.text(max_size=60) | st.text("0123456789abcdef:.-/ ", max_size=60))
def test_any_text_is_a_bounded_range_or_a_fault(text: str) -> None:
    with suppress(InvalidInputError):
        assert 1 <= len(list(parse_range(text))) <= RANGE_MAX


@given(st.ip_addresses(), st.integers(0, RANGE_MAX - 1), st.integers(1, 128))
def test_what_a_range_says_of_itself_is_read_back_as_the_same(
    first: ipaddress.IPv4Address | ipaddress.IPv6Address, more: int, prefix: int
) -> None:
    last = type(first)(min(int(first) + more, 2**first.max_prefixlen - 1))
    try:
        found = parse_range(f"{first}-{last}/{prefix}")
    except InvalidInputError:
        return
    assert parse_range(str(found)) == found
    network = ipaddress.ip_network(f"{first}/{prefix}", strict=False)
    assert all(address in network for address in found)
