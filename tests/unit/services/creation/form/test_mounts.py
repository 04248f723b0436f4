"""Which mount points are valid, and in which order PVE gets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.spec import Mount
from lxc_dashboard.services.creation.form.validation import validate
from tests.unit.services.creation.form.test_spec import LEAST

VOLUME: dict[str, Any] = {"source": "local-lvm", "path": "/srv/data", "size_gib": "4"}
BIND: dict[str, Any] = {"source": "/tank/media", "path": "/media"}


def faults(*rows: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputError) as raised:
        validate(LEAST | {"mounts": list(rows)})
    return raised.value.fields


@pytest.mark.parametrize("as_sent", [lambda rows: rows, json.dumps, tuple])
def test_a_list_and_its_json_say_the_same(as_sent: Any) -> None:
    rows = [VOLUME | {"backup": True}, BIND | {"read_only": "on", "size_gib": "8"}]
    assert validate(LEAST | {"mounts": as_sent(rows)}).mounts == (
        Mount("local-lvm", "/srv/data", 4, backup=True),
        Mount("/tank/media", "/media", read_only=True),
    )


@pytest.mark.parametrize("nothing", [None, "", " ", [], "[]"])
def test_none_is_none(nothing: Any) -> None:
    assert validate(LEAST | {"mounts": nothing}).mounts == ()


def test_what_validate_gave_it_takes_again() -> None:
    mounts = validate(LEAST | {"mounts": [VOLUME, BIND]}).mounts
    assert validate(LEAST | {"mounts": mounts}).mounts == mounts


@pytest.mark.parametrize("value", ["{", "7", [1], "[[]]", {"source": "x"}, "[" * 100_000, [VOLUME] * 257])
def test_what_is_no_list_of_mount_points_is_named(value: Any) -> None:
    with pytest.raises(InvalidInputError) as raised:
        validate(LEAST | {"mounts": value})
    assert "mounts" in raised.value.fields


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({**VOLUME, "source": ""}, "source"),
        ({**VOLUME, "source": "a b"}, "source"),
        ({**BIND, "source": "/"}, "source"),
        ({**BIND, "source": "/tank/../etc"}, "source"),
        ({**BIND, "source": "/tank,ro=1"}, "source"),
        ({**BIND, "source": "/tank/a=b"}, "source"),
        ({**VOLUME, "path": ""}, "path"),
        ({**VOLUME, "path": "srv"}, "path"),
        ({**VOLUME, "path": "/"}, "path"),
        ({**VOLUME, "path": "//"}, "path"),
        ({**VOLUME, "path": "/srv/./data"}, "path"),
        ({**VOLUME, "path": "/srv,backup=1"}, "path"),
        ({**VOLUME, "path": "/srv\nlxc.mount: x"}, "path"),
        ({**VOLUME, "path": "/proc/x"}, "path"),
        ({**VOLUME, "path": "/" + "x" * 5000}, "path"),
        ({**VOLUME, "size_gib": "0"}, "size_gib"),
        ({**VOLUME, "size_gib": ""}, "size_gib"),
        ({**VOLUME, "size_gib": "x"}, "size_gib"),
        ({**VOLUME, "backup": "perhaps"}, "backup"),
        ({**BIND, "backup": True}, "backup"),
        ({**BIND, "read_only": 7}, "read_only"),
    ],
)
def test_a_wrong_part_is_named_by_its_place(row: dict[str, Any], part: str) -> None:
    assert list(faults({**VOLUME, "path": "/first"}, row)) == [f"mounts.1.{part}"]


def test_two_cannot_be_in_one_place() -> None:
    assert list(faults(VOLUME, {**BIND, "path": "/srv//data/"})) == ["mounts.1.path"]


def test_pve_mounts_a_folder_before_what_lies_in_it() -> None:
    rows = [{**VOLUME, "path": path} for path in ("/srv/a/b", "/opt/x", "/srv", "/srv/a", "/srv-b")]
    values = pve_parameters(validate(LEAST | {"mounts": rows}), 101, None)
    order = [values[f"mp{number}"] for number in range(5)]
    assert order == [f"local-lvm:4,mp={path}" for path in ("/opt/x", "/srv", "/srv-b", "/srv/a", "/srv/a/b")]
