"""Which fields of a form the wizard stores, and which of them it restores."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.filled import MAX_FIELDS, NAME_CHARS, VALUE_CHARS, Filled

ID = UUID("01a20ae5-30aa-739f-abd0-a0eb36cdf133")
NAMES = st.text(max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(
    st.builds(
        Filled,
        form=st.dictionaries(NAMES.filter(lambda name: name != "password"), st.text(max_size=50), max_size=5),
        template_id=st.none() | st.uuids(),
        template_name=NAMES,
        packages_off=st.lists(NAMES, max_size=3).map(tuple),
        extras=st.lists(st.tuples(NAMES, NAMES), max_size=3).map(tuple),
        scripts=st.lists(NAMES, max_size=3).map(tuple),
        scripts_off=st.lists(NAMES, max_size=3).map(tuple),
    )
)
def test_what_is_kept_comes_back_as_it_was(filled: Filled) -> None:
    assert Filled.from_json(json.loads(json.dumps(filled.to_json()))) == filled


def test_a_password_is_neither_kept_nor_taken_back() -> None:
    filled = Filled(form={"hostname": "web", "password": "secret"})
    assert filled.to_json() == {"form": {"hostname": "web"}}
    assert Filled.from_json({"form": {"hostname": "web", "password": "secret"}}).form == {"hostname": "web"}


@given(ANYTHING)
def test_anything_else_is_refused_or_read_never_a_crash(raw: Any) -> None:
    with contextlib.suppress(InvalidInputError):
        found = Filled.from_json(raw)
        assert Filled.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "raw",
    [
        {"form": {"hostname": "x" * (VALUE_CHARS + 1)}},
        {"form": {f"f{n}": "" for n in range(MAX_FIELDS + 1)}},
        {"scripts": ["x" * (NAME_CHARS + 1)]},
        {"extras": [["apt", "a", "b"]]},
        {"template_id": "no id"},
    ],
)
def test_what_is_beyond_its_bounds_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Filled.from_json(raw)
