"""A thousand invalid containers: each is refused with the invalid field, and none is created."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import hypothesis
import pytest
import requests
from hypothesis import HealthCheck
from hypothesis import strategies as st

from lxc_dashboard import routes
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.integration.web.test_api_fuzz import made

ANSWER_S: Final = 60
PRIVATE_KEY: Final = "-----BEGIN OPENSSH PRIVATE KEY-----"
WORDS: Final = st.text(string.ascii_letters, min_size=1, max_size=12)
NO_TEXT: Final = st.one_of(st.integers(), st.booleans(), st.none(), st.lists(st.integers()), st.just({"a": 1}))
NO_FLAG: Final = st.one_of(
    WORDS.filter(lambda word: word.lower() not in {"on", "off", "yes", "no", "true", "false"}),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.booleans()),
)
HOSTNAMES: Final = st.one_of(
    st.sampled_from(["", " ", "-", "a..b", ".a", "a_b", "a b", "über", "12", "web.12", "a/b", "a\n", "$(id)"]).filter(
        lambda name: name.strip() != "a"
    ),
    st.integers(64, 200).map(lambda length: "a" * length),
    WORDS.map(lambda word: f"-{word}"),
    WORDS.map(lambda word: f"{word}-"),
    NO_TEXT,
)


def number_not_in(least: int, most: int) -> st.SearchStrategy[Any]:
    out = st.one_of(st.integers(max_value=least - 1), st.integers(min_value=most + 1))
    return st.one_of(
        out,
        out.map(str),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.none(),
        WORDS,
        st.sampled_from(["1.5", "0x10", "1e3", "++1", "1 2", "--"]),
    )


def address(version: int) -> st.SearchStrategy[dict[str, Any]]:
    """A static address that no interface can have."""
    mode, name, gateway = f"ipv{version}_mode", f"ipv{version}_address", f"ipv{version}_gateway"
    wrong = {
        4: ["", "10.0.0.5", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.300/24", "10.0.0.5/33", "10.0.0.5/7", "fd00::5/64"],
        6: ["", "fd00::5", "fd00::/64", "fd00::zz/64", "fd00::5/129", "fd00::5%x/64", "10.0.0.5/24", "fd00::5/64/64"],
    }[version]
    right = {4: "10.0.0.5/24", 6: "fd00::5/64"}[version]
    gateways = {4: ["10.0.0.5", "10.0.0.1/24", "fd00::1"], 6: ["fd00::5", "fe80::1%eth0", "10.0.0.1"]}[version]
    return st.one_of(
        st.sampled_from(wrong).map(lambda given: {mode: "static", name: given}),
        st.sampled_from(gateways).map(lambda given: {mode: "static", name: right, gateway: given}),
        WORDS.filter(lambda word: word not in {"dhcp", "static", "auto", "none"}).map(lambda given: {mode: given}),
    )


def mount(**changes: Any) -> dict[str, Any]:
    return {"mounts": [{"source": "local-lvm", "path": "/srv", "size_gib": 1, **changes}]}


WRONG: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "hostname": HOSTNAMES,
    "cores": number_not_in(1, 8192),
    "memory_mib": number_not_in(16, 16_777_216),
    "swap_mib": number_not_in(0, 16_777_216),
    "disk_gib": number_not_in(1, 131_072),
    "vmid": st.one_of(number_not_in(100, 999_999_999), st.integers(101, 112)),
    "vlan": number_not_in(1, 4094),
    "mtu": number_not_in(576, 65_535),
    "start_order": number_not_in(0, 1_000_000),
    "node": st.one_of(WORDS.map(lambda word: f"no-{word}"), st.sampled_from(["pve 1", "-", "../x"]), NO_TEXT),
    "storage": st.one_of(WORDS.map(lambda word: f"no-{word}"), st.sampled_from(["1", "a b", "-"]), NO_TEXT),
    "bridge": st.one_of(WORDS.map(lambda word: f"x{word[:8]}"), st.sampled_from(["1", "a b", "x" * 16]), NO_TEXT),
    "ostemplate": st.one_of(WORDS.map(lambda word: f"local:vztmpl/{word}.tar.zst"), WORDS, NO_TEXT),
    "nameserver": st.one_of(WORDS, st.just("10.0.0.1/24"), NO_TEXT),
    "searchdomain": st.one_of(st.just("a..b"), st.just("-x"), st.integers(64, 99).map(lambda n: "d" * n), NO_TEXT),
    "tags": st.one_of(st.sampled_from(["a!", "-a", "ü", "a/b"]), st.lists(st.integers(), min_size=1), st.none()),
    "ssh_keys": st.one_of(WORDS, st.just(PRIVATE_KEY), st.just(["ssh-ed25519"]), st.lists(st.integers(), min_size=1)),
    "description": st.one_of(st.integers(7801, 9000).map(lambda length: "d" * length), NO_TEXT),
    "pool": st.one_of(st.sampled_from(["a b", "a/b/c/d", "ü", "no-such-pool"]), NO_TEXT),
    "password": st.one_of(
        st.text(string.ascii_letters, max_size=4), st.just("p" * 501), st.just("tab\tbed-in"), NO_TEXT
    ),
    "password_mode": st.one_of(WORDS.filter(lambda word: word not in {"given", "generated", "none"}), NO_TEXT),
    "template": st.one_of(WORDS.map(lambda word: f"no-{word}"), NO_TEXT),
    "scripts": st.one_of(st.just(["10-x.sh"]), WORDS, st.lists(st.integers(), min_size=1)),
    "packages_off": st.one_of(st.just([{"bucket": "b", "manager": "apt", "spec": "vim"}]), WORDS),
    "packages_extra": st.one_of(
        st.sampled_from(["; id", "-rf", "a b", "$(id)", ""]).map(lambda spec: [{"manager": "apt", "spec": spec}]),
        st.just([{"manager": "custom", "spec": "x"}]),
        st.just([{"manager": "brew", "spec": "x"}]),
    ),
    **dict.fromkeys(("firewall", "unprivileged", "nesting", "onboot", "pause_after_create"), NO_FLAG),
    **dict.fromkeys(("keyctl", "fuse"), st.one_of(NO_FLAG, st.just(True))),
    "colour": st.one_of(WORDS, NO_TEXT),
}
WHOLE: Final = {
    "password": st.just({"password_mode": "given"}),
    "ipv4": address(4),
    "ipv6": address(6),
    "mounts": st.one_of(
        st.sampled_from(["", "srv", "/", "/proc/x", "/a/../b", "/a,b"]).map(lambda path: mount(path=path)),
        st.sampled_from(["", "no-such", "/srv/host", "1"]).map(lambda source: mount(source=source)),
        st.integers(max_value=0).map(lambda size: mount(size_gib=size)),
    ),
}


def wrong_bodies() -> list[st.SearchStrategy[tuple[str, dict[str, Any]]]]:
    """For each kind of error: the invalid field, and a body that is otherwise valid."""

    def of(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        return values.map(lambda value: (name, {"hostname": "sound", name: value}))

    def whole(name: str, parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        return parts.map(lambda part: (name, {"hostname": "sound", **part}))

    return [*(of(*one) for one in WRONG.items()), *(whole(*one) for one in WHOLE.items())]


def named(answer: requests.Response) -> Iterator[str]:
    error = answer.json()["error"]
    yield from error["fields"]
    yield from (found["field"] for found in error["findings"] if found["severity"] == "error")


@pytest.mark.timeout(900)
def test_wrong_containers_are_refused_by_field_and_none_is_made(stack: Stack, settings: Settings) -> None:
    node = NodeSide(stack)
    before, guests = made(settings), node.guests("sound")
    seen: Counter[str] = Counter()
    with requests.Session() as session:
        session.headers["Authorization"] = f"PVEAPIToken={node.new_token()}"

        def ask(wrong: tuple[str, dict[str, Any]]) -> None:
            name, body = wrong
            answer = session.post(f"{stack.url}{routes.API_CREATIONS}", json=body, timeout=ANSWER_S)
            assert answer.status_code == 422, (body, answer.text)
            found = set(named(answer))
            assert found, (body, answer.text)
            assert all(field.startswith(name) for field in found), (body, answer.text)
            seen[name] += 1

        of_a_kind = max(1, hypothesis.settings().max_examples // 10)
        few = hypothesis.settings(max_examples=of_a_kind, suppress_health_check=list(HealthCheck), database=None)
        for kind in wrong_bodies():
            few(hypothesis.given(kind)(ask))()
    assert set(seen) == {*WRONG, *WHOLE}
    assert (made(settings), node.guests("sound")) == (before, guests)
