"""The wizard's mount points, from inputs to the spec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.services.creation.form.choices import defaults
from lxc_dashboard.services.creation.form.spec import Mount
from lxc_dashboard.services.creation.form.validation import validate
from lxc_dashboard.state.creation import form as wizard
from lxc_dashboard.state.creation import mount_rows
from lxc_dashboard.state.creation.mount_rows import MountRow
from tests.unit.state.creation.test_form import OFFERED, raw, summary

VOLUME = MountRow("fast", "/srv/data", "4", backup=True)
BIND = MountRow("/tank", "/media", read_only=True)
KEPT = mount_rows.format_rows([VOLUME, BIND])


def test_rows_are_kept_as_text_and_shown_with_their_places() -> None:
    assert mount_rows.parse_rows(KEPT) == [VOLUME, BIND]
    assert [(row.key, row.number, row.is_bind) for row in mount_rows.shown_rows(KEPT)] == [
        ("mounts.0", 1, False),
        ("mounts.1", 2, True),
    ]
    assert mount_rows.format_rows([]) == ""


@given(st.one_of(st.text(), st.from_regex(r"\[(\{.*\}|[0-9]*)\]", fullmatch=True)))
def test_any_other_text_is_rows_or_none(kept: str) -> None:
    assert isinstance(mount_rows.parse_rows(kept), list)


def test_a_form_with_mount_points_asks_for_them() -> None:
    spec = validate(raw({**defaults(summary(), OFFERED), "mounts": KEPT}))
    assert spec.mounts == (Mount("fast", "/srv/data", 4, backup=True), Mount("/tank", "/media", read_only=True))


def test_what_inputs_hold_is_taken_and_boxes_that_are_not_sent_are_off() -> None:
    data = {
        "mounts.0.from": "slow",
        "mounts.0.path": "/var/www",
        "mounts.0.size_gib": "9",
        "mounts.1.from": "/",
        "mounts.1.source": "/pool",
        "mounts.1.backup": "on",
        "mounts.2.path": "/nowhere",
    }
    assert mount_rows.parse_rows(mount_rows.merge_inputs(KEPT, data)) == [
        MountRow("slow", "/var/www", "9"),
        MountRow("/pool", "/media"),
    ]
    taken = wizard.merge_inputs({"mounts": KEPT}, {}, data)
    assert taken == {"mounts": mount_rows.merge_inputs(KEPT, data)}
    assert wizard.merge_inputs({"mounts": KEPT}, {"mounts": 1}, data) == {}


@pytest.mark.parametrize(
    ("row", "part", "value", "after"),
    [
        (VOLUME, "from", "/", replace(VOLUME, source="/", backup=False)),
        (BIND, "from", "/", BIND),
        (BIND, "from", "fast", replace(BIND, source="fast")),
        (BIND, "backup", True, BIND),
        (VOLUME, "read_only", True, replace(VOLUME, read_only=True)),
        (VOLUME, "size_gib", "x", replace(VOLUME, size_gib="x")),
        (VOLUME, "key", "x", VOLUME),
    ],
)
def test_a_part_is_changed(row: MountRow, part: str, value: Any, after: MountRow) -> None:
    assert mount_rows.change_row(row, part, value) == after


def test_another_node_takes_its_own_storage_and_leaves_folders_alone() -> None:
    refitted = mount_rows.replace_missing(KEPT, {"other"}, "other")
    assert [row.source for row in mount_rows.parse_rows(refitted)] == ["other", "/tank"]
    assert mount_rows.replace_missing(KEPT, {"fast"}, "other") == KEPT
    form = {"node": "pve1", "storage": "fast", "bridge": "vmbr0", "ostemplate": OFFERED.ostemplates[0].value}
    gone = mount_rows.format_rows([replace(VOLUME, source="gone")])
    changed = wizard.replace_missing({**form, "mounts": gone}, OFFERED, {"storage": "slow"})
    assert changed == {"mounts": mount_rows.format_rows([replace(VOLUME, source="slow")])}


def test_they_are_told_in_few_words_and_counted_by_storage() -> None:
    assert mount_rows.in_words(KEPT) == "/srv/data: 4 GiB on fast, backup; /media: /tank, read-only"
    assert mount_rows.gib_on(mount_rows.format_rows([VOLUME, VOLUME, replace(VOLUME, size_gib="?")]), "fast") == 8


def test_what_is_said_of_a_row_goes_with_it_and_what_is_said_of_the_next_ones_moves_up() -> None:
    said = {"storage": "a", "mounts": "b", "mounts.0.source": "c", "mounts.1.source": "d", "mounts.2.path": "e"}
    assert mount_rows.close_gap(said, 1) == {
        "storage": "a",
        "mounts": "b",
        "mounts.0.source": "c",
        "mounts.1.path": "e",
    }
    assert mount_rows.close_gap(said, 7) == said
