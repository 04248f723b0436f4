"""Other versions of PVE, and servers that imitate it, write the same values in other notations."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.proxmox import schemas
from lxc_dashboard.proxmox.decoding import MAYBE_UPID, NOTHING, Shape, convert, decoded, many, one, plain, whole
from lxc_dashboard.proxmox.schemas import (
    Appliance,
    Guest,
    LogPage,
    NodeStatus,
    NodeStorage,
    Resource,
    TaskInfo,
    Version,
)
from tests.unit.proxmox.replay import UPID

LISTED: list[type[msgspec.Struct]] = [
    Resource,
    Guest,
    TaskInfo,
    NodeStorage,
    Appliance,
    schemas.Node,
    schemas.Content,
    schemas.RrdPoint,
]
RESOURCES, GUESTS = many(Resource), many(Guest)


def body(value: Any) -> bytes:
    return json.dumps({"data": value}).encode()


def value_of(annotation: Any) -> st.SearchStrategy[Any]:
    kind = next((each for each in get_args(annotation) if each is not type(None)), annotation)
    strategies: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=12) | st.integers(0, 999).map(str),
        int: st.integers(0, 2**53),
        float: st.floats(0, 1e12),
        bool: st.booleans(),
    }
    return strategies[getattr(kind, "__origin__", kind)]


def written_otherwise(value: Any) -> st.SearchStrategy[Any]:
    """The notations that a server may use for ``value``."""
    ways: list[Any] = [value]
    if isinstance(value, bool):
        ways += [int(value), str(int(value)), "true" if value else "false", "on" if value else "off", float(value)]
        ways += [] if value else [""]
    elif isinstance(value, int | float):
        ways += [str(value)]
        ways += [float(value)] if float(value) == value else []
    elif value.isdecimal() and str(int(value)) == value:
        ways += [int(value)]
    return st.sampled_from(ways)


@st.composite
def messy_objects(draw: st.DrawFn) -> tuple[type[msgspec.Struct], dict[str, Any], msgspec.Struct]:
    """A type, a JSON object in other notations, and the value that it must decode to."""
    kind = draw(st.sampled_from(LISTED))
    found: dict[str, Any] = {"a-field-of-tomorrow": draw(st.none() | st.lists(st.integers(), max_size=2))}
    meant: dict[str, Any] = {}
    for each in msgspec.structs.fields(kind):
        fate = draw(st.sampled_from(["there", "there", "null", "missing"])) if not each.required else "there"
        if fate == "there":
            meant[each.name] = draw(value_of(each.type))
            found[each.encode_name] = draw(written_otherwise(meant[each.name]))
        elif fate == "null":
            found[each.encode_name] = None
    return kind, found, kind(**meant)


@given(messy_objects(), messy_objects())
def test_an_object_means_the_same_however_it_is_written(
    first: tuple[type[msgspec.Struct], dict[str, Any], msgspec.Struct],
    second: tuple[type[msgspec.Struct], dict[str, Any], msgspec.Struct],
) -> None:
    for kind, found, meant in (first, second):
        assert one(kind).decode(body(found)) == meant
        assert many(kind).decode(body([found, found])) == [meant, meant]
        assert convert(found, kind) == meant


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "type", "vmid", "n"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_value_or_a_decode_error(found: Any) -> None:
    for shape in (RESOURCES, one(NodeStatus), plain(dict[str, dict[str, int]]), plain(int), plain(str), whole(LogPage)):
        try:
            value = shape.decode(body(found))
        except msgspec.DecodeError:
            continue
        assert value is not None


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_an_error_that_the_client_knows(found: bytes) -> None:
    shapes: tuple[Shape[Any], ...] = (RESOURCES, plain(str), MAYBE_UPID)
    for shape in shapes:
        try:
            value = decoded(found, shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        assert isinstance(value, list | str | None)


def test_an_item_without_an_identity_is_left_out_and_the_others_stay() -> None:
    found = [{"vmid": 101, "name": 7}, {"name": "no vmid"}, "no object", None, {"vmid": "102"}, {"vmid": "x"}]
    assert [(guest.vmid, guest.name) for guest in GUESTS.decode(body(found))] == [(101, "7"), (102, "")]


def test_a_value_that_cannot_be_read_keeps_its_default() -> None:
    found = {"vmid": 101, "cpu": "fast", "mem": "1e400", "uptime": {}, "template": "maybe", "tags": ["a"], "name": None}
    assert GUESTS.decode(body([found])) == [Guest(vmid=101)]


def test_null_is_an_empty_list_but_no_object() -> None:
    assert GUESTS.decode(body(None)) == []
    with pytest.raises(msgspec.DecodeError):
        one(Version).decode(body(None))
    with pytest.raises(msgspec.DecodeError):
        GUESTS.decode(body("a string"))
    NOTHING.decode(b"anything")


def test_nested_objects_and_lists_are_mended_too() -> None:
    found = {
        "loadavg": ["1.68", 2, None, "high"],
        "memory": {"total": "100", "used": None, "free": 12.0},
        "cpuinfo": {"cpus": "8", "model": 9},
        "swap": None,
        "rootfs": "full",
    }
    status = one(NodeStatus).decode(body(found))
    assert status.loadavg == [1.68, 2.0]
    assert (status.memory.total, status.memory.used, status.memory.free) == (100, 0, 12)
    assert (status.cpuinfo.cpus, status.cpuinfo.model) == (8, "9")
    assert (status.swap.total, status.rootfs.total) == (0, 0)


@pytest.mark.parametrize("word", ["nan", "NaN", "-inf", "Infinity", "1e400"])
def test_what_is_written_for_no_figure_is_none(word: str) -> None:
    (guest,) = GUESTS.decode(body([{"vmid": 101, "cpu": word, "pressurecpusome": word, "mem": 5}]))
    assert (guest.cpu, guest.pressurecpusome, guest.mem) == (0.0, None, 5)
    assert one(NodeStatus).decode(body({"loadavg": [1.5, word], "cpu": word})) == NodeStatus(loadavg=[1.5])


@pytest.mark.parametrize(
    ("found", "guests"),
    [
        (b'{"data":[{"vmid":101,"cpu":NaN},{"vmid":102,"cpu":-Infinity}]}', [Guest(101), Guest(102)]),
        (b'{"data":[{"vmid":101,"cpu":1e400,"mem":7}]}', [Guest(101, mem=7)]),
        (b'{"data":[{"vmid":101,"name":"caf\xe9"}]}', [Guest(101, name="caf\N{REPLACEMENT CHARACTER}")]),
        (b'{"data":[{"vmid":101,"name":"\\ud800x"}]}', [Guest(101, name="?x")]),
    ],
)
def test_json_only_nearly_is_read_all_the_same(found: bytes, guests: list[Guest]) -> None:
    assert decoded(found, GUESTS) == guests


def test_permissions_may_be_flags_or_numbers() -> None:
    shape = plain(dict[str, dict[str, int]])
    assert shape.decode(body({"/": {"VM.Audit": True, "VM.Console": "0", "Sys.Audit": None}})) == {
        "/": {"VM.Audit": 1, "VM.Console": 0}
    }


@pytest.mark.parametrize(("found", "major"), [("9.1.4", 9), ("8.4-1", 8), (9.1, 9), ("unknown", 0), ("", 0)])
def test_a_version_has_a_major_number(found: str | float, major: int) -> None:
    assert one(Version).decode(body({"version": found})).major == major


@pytest.mark.parametrize(("found", "upid"), [(UPID, UPID), (None, None), ("OK", None), ("", None)])
def test_what_is_no_upid_is_none_where_there_need_be_none(found: str | None, upid: str | None) -> None:
    assert MAYBE_UPID.decode(body(found)) == upid


def test_a_storage_says_what_it_holds() -> None:
    storage = NodeStorage(storage="local", content="rootdir,vztmpl")
    assert storage.holds("vztmpl")
    assert not storage.holds("root")


def test_a_negative_or_odd_figure_is_taken_as_it_is() -> None:
    (guest,) = GUESTS.decode(body([{"vmid": 1, "cpu": -0.0045, "maxmem": 2**63}]))
    assert math.isclose(guest.cpu, -0.0045)
    assert guest.maxmem == 2**63
