"""Messages that a page may send: each handler's own arguments, in their declared types."""

from __future__ import annotations

import inspect
from types import NoneType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reflex_base.registry import RegistrationContext

from lxc_dashboard.app import app
from lxc_dashboard.state.base import PageState
from lxc_dashboard.state.guard import access_of
from lxc_dashboard.state.socket.messages import CheckedNamespace, _parameters, as_declared, connecting_events, fault_of
from tests.unit.state.test_page_states import page_states

VALUES: dict[Any, Any] = {str: "text", int: 7, bool: True, dict: {"a": "b"}, list: ["a"], NoneType: None}
# The values that each declared type accepts, as ``repr``.
READ_AS: dict[Any, set[str]] = {
    (str,): {"'7'", "'x'", "7", "7.5", repr(10**30), "True", "None"},
    (str, bool): {"'7'", "'x'", "7", "7.5", repr(10**30), "True", "None"},
    (int,): {"'7'", "7"},
    (bool,): {"True", "None"},
    (dict,): set(),
    (dict, NoneType): {"None"},
    (list, NoneType): {"None"},
}
PLACE = {"pathname": "/templates", "asPath": "/templates?q=a#b", "query": {"q": "a", "page": "2"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
HYDRATE = next(name for name in connecting_events() if name.endswith("hydrate_and_load"))


def handlers() -> dict[str, Any]:
    """Handlers that a browser may call, by name."""
    assert app
    events = RegistrationContext.get().event_handlers
    return {name: events[name].handler.fn for name in events if "tests___" not in name and access_of(name)}


def test_every_handler_has_declared_arguments() -> None:
    kinds = {kind for function in handlers().values() for _, types in _parameters(function).values() for kind in types}
    assert kinds == set(VALUES)
    assert all(types for function in handlers().values() for _, types in _parameters(function).values())


@pytest.mark.parametrize("name", sorted(set(handlers()) - connecting_events()))
def test_a_handler_is_sent_its_own_arguments_and_no_others(name: str) -> None:
    known = _parameters(handlers()[name])
    payload: dict[str, Any] = {argument: VALUES[types[0]] for argument, (_, types) in known.items()}

    def fault(**changes: Any) -> str:
        return fault_of({"name": name, "payload": {**payload, **changes}, "router_data": PLACE})

    assert fault() == ""
    assert fault(more=1) == f"payload of {name}"
    for argument, (needed, types) in known.items():
        without = {other: value for other, value in payload.items() if other != argument}
        missing = fault_of({"name": name, "payload": without, "router_data": PLACE})
        assert missing == (f"payload of {name}" if needed else "")
        assert fault(**{argument: [{}]}) == f"payload of {name}"
        read = {repr(given): fault(**{argument: given}) == "" for given in ("7", "x", 7, 7.5, 10**30, True, None)}
        assert {given for given, is_read in read.items() if is_read} == READ_AS[types]


@pytest.mark.parametrize(
    ("given", "kind", "read"), [("7", int, 7), (7.0, int, 7), (7, str, "7"), (None, str, ""), (None, bool, False)]
)
def test_a_handler_gets_the_kind_of_value_that_it_declares(given: Any, kind: type, read: Any) -> None:
    name, argument = next(
        (name, argument)
        for name, function in handlers().items()
        for argument, (_, types) in _parameters(function).items()
        if types == (kind,) and len(_parameters(function)) == 1
    )
    event = as_declared({"name": name, "payload": {argument: given}, "router_data": PLACE})
    assert (event["payload"], type(event["payload"][argument]), event["router_data"]) == ({argument: read}, kind, PLACE)


def test_a_page_connects_with_its_hashes_and_brings_no_vars() -> None:
    payloads: list[dict[str, Any]] = [{}, {"vars": {}}, {"vars": None, "hashes": ["0a", "1b"]}, {"hashes": None}]
    for payload in payloads:
        assert fault_of({"name": HYDRATE, "payload": payload, "router_data": {"pathname": "/", "asPath": "/"}}) == ""
    assert fault_of({"name": HYDRATE}) == ""


def test_an_address_that_names_no_page_comes_in_pieces() -> None:
    place = {"pathname": "*", "asPath": "/no/such/page?a=b", "query": {"a": "b", "splat": ["no", "such", "page"]}}
    assert fault_of({"name": HYDRATE, "router_data": place}) == ""
    odds: list[list[Any]] = [["no", None], [["no"]], [{}], ["no"] * 20_000]
    for odd in odds:
        assert fault_of({"name": HYDRATE, "router_data": {**place, "query": {"splat": odd}}}) == f"address of {HYDRATE}"


@pytest.mark.parametrize(
    "odd",
    [
        {"more": "x"},
        {"token": "another's"},
        {"headers": {"cookie": "another's"}},
        {"query": {"q": "x" * 40_000}},
        {"query": {f"q{number}": "x" * 1000 for number in range(50)}},
        {"query": {"x" * 40_000: ""}},
    ],
)
def test_an_address_with_anything_that_a_state_would_keep_for_nothing_is_refused(odd: dict[str, Any]) -> None:
    assert fault_of({"name": HYDRATE, "router_data": {**PLACE, **odd}}) == f"address of {HYDRATE}"


@given(JSON, st.sampled_from(sorted(handlers())), JSON, JSON)
def test_any_message_is_judged_without_an_error_and_never_quoted(
    whole: Any, name: str, payload: Any, place: Any
) -> None:
    for said in (whole, {"name": whole}, {"name": name, "payload": payload, "router_data": place}):
        assert fault_of(said) in {"", "not an event", "unknown handler", f"address of {name}", f"payload of {name}"}


@pytest.mark.parametrize("state", page_states(), ids=lambda state: state.__name__)
async def test_a_page_that_is_filled_again_is_filled_as_it_was(state: type[PageState]) -> None:
    again = await inspect.unwrap(state.event_handlers["fill_again"].fn)(state(_reflex_internal_init=True))  # type: ignore[call-arg]
    assert again is state.event_handlers["load"]


def test_reflexs_own_namespace_is_checked() -> None:
    assert app.sio is not None
    assert isinstance(app.sio.namespace_handlers["/_event"], CheckedNamespace)
