"""A patch has the same content packed and plain."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.services.monitor.replica import PACKED_FROM_ROWS, changed_fields, changed_rows, patch_of
from lxc_dashboard.services.monitor.rows import MIB

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=5),
        "cpu": st.floats(0, 1),
        "mem": st.integers(0, 1 << 20).map(lambda size: size * MIB),
        "tags": st.lists(st.text(max_size=3), max_size=2),
    },
)


@given(st.dictionaries(st.integers(100, 999_999_999), FIELDS, max_size=2 * PACKED_FROM_ROWS))
def test_the_changed_rows_come_as_they_were(changed: dict[int, dict[str, Any]]) -> None:
    patch = json.loads(json.dumps(patch_of(2, 1, changed, [], {"at": 1})))
    assert ("packed" in patch) == (len(changed) >= PACKED_FROM_ROWS)
    found = {vmid: {name: row[name] for name in row if name != "vmid"} for vmid, row in changed_rows(patch).items()}
    assert found == changed
    assert changed_fields(patch) - {"vmid"} == {name for row in changed.values() for name in row}
