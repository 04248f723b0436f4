"""The files that take longest begin first, so that no worker sits over one at the end while the others have nothing to do."""

from __future__ import annotations

from tests.conftest import LONGEST, TESTS, begins


def test_each_of_the_longest_is_there() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []


def test_the_longest_begin_then_what_has_servers_and_what_is_quick_comes_last() -> None:
    first, second, *_ = LONGEST
    backwards = ["unit/test_crypto.py", "integration/db/test_leases.py", second, first]
    assert sorted(backwards, key=lambda name: begins(TESTS / name)) == backwards[::-1]
