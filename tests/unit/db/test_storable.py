"""All output of a guest is storable."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models.base import storable, storable_text

any_text = st.text(st.characters())  # lone surrogates and NUL included
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@given(any_text)
def test_what_postgresql_refuses_is_replaced(text: str) -> None:
    cleaned = storable_text(text)
    cleaned.encode()
    assert "\0" not in cleaned


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_clean_text_stays_as_it_is(text: str) -> None:
    assert storable_text(text) == text


@given(any_text, st.integers(min_value=1, max_value=10))
def test_text_is_cut_to_its_column(text: str, max_chars: int) -> None:
    cut = storable_text(text, max_chars)
    assert len(cut) <= max_chars
    assert cut == storable_text(text) or cut.endswith("…")


@given(any_json)
def test_json_is_cleaned_all_the_way_down(value: object) -> None:
    def check(item: object) -> None:
        match item:
            case str():
                item.encode()
                assert "\0" not in item
            case dict():
                for key, inner in item.items():
                    check(key)
                    check(inner)
            case list():
                for inner in item:
                    check(inner)

    check(storable(value))


def test_tuples_become_lists() -> None:
    assert storable({"a": (1, "x\0")}) == {"a": [1, "x\N{REPLACEMENT CHARACTER}"]}
