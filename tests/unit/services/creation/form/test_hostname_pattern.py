"""Hostnames from a pattern, compared with bash where it has the same braces."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.batch import NAMES_MAX, hostnames


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web-{01..03}", ("web-01", "web-02", "web-03")),
        ("{1..5}.lan.example", tuple(f"{n}.lan.example" for n in range(1, 6))),
        ("db{3..1}", ("db3", "db2", "db1")),
        ("{a,b,c}", ("a", "b", "c")),
        ("web-{a, b}", ("web-a", "web-b")),
        ("{db,web}-{1..2}", ("db-1", "db-2", "web-1", "web-2")),
        ("n{08..11}", ("n08", "n09", "n10", "n11")),
        ("n{8..11}", ("n8", "n9", "n10", "n11")),
        ("WEB-{1..1}", ("web-1",)),
    ],
)
def test_a_pattern_names_each_container(pattern: str, names: tuple[str, ...]) -> None:
    assert hostnames(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "cause"),
    [
        ("", "Enter a pattern such as web-{01..20}"),
        ("web", "Say in braces what differs"),
        ("web-{1..101}", "At most 100 at once; these are 101"),
        ("{1..20}-{1..20}", "At most 100 at once; these are 400"),
        ("{1..999999}-{1..999999}", "At most 100 at once; these are 999,999"),
        ("web-{1..", "Each { has a } of its own"),
        ("web-{a,{b,c}}", "Each { has a } of its own"),
        ("web-{}", "neither a span"),
        ("web-{a}", "neither a span"),
        ("web-{a,}", "neither a span"),
        ("web-{1..5..2}", "neither a span"),
        ("web-{a..e}", "neither a span"),
        ("web-{a,a}", "web-a comes twice"),
        ("web_{1..2}", "web_1: Letters, digits and hyphens"),
        ("web.{1..2}", "web.1: The last part cannot be a number alone"),
        ("x" * 300 + "{1..2}", "At most 255 characters"),
        ("x" * 63 + "{1..2}", "63 at most"),
        ("web-{1..2}\0", "web-1\0: Only characters that can be typed"),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_cause(pattern: str, cause: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        hostnames(pattern)
    assert cause in refused.value.fields["hostname_pattern"]


@given(st.text(max_size=60) | st.text("web-{}.,0123456789 ", max_size=60))
def test_any_text_is_a_bounded_list_of_different_names_or_a_fault(pattern: str) -> None:
    with suppress(InvalidInputError):
        names = hostnames(pattern)
        assert 1 <= len(names) == len(set(names)) <= NAMES_MAX


@given(st.integers(0, 120), st.integers(0, 120), st.integers(0, 2), st.integers(0, 2))
def test_numbers_are_counted_and_filled_as_bash_does_it(first: int, last: int, zeros: int, more: int) -> None:
    pattern = f"n{{{'0' * zeros}{first}..{'0' * more}{last}}}"
    bash = subprocess.run(["bash", "-c", f"echo {pattern}"], check=True, capture_output=True, text=True)
    if abs(last - first) < NAMES_MAX:
        assert " ".join(hostnames(pattern)) == bash.stdout.strip()
