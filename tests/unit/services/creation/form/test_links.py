"""A link to the wizard is short and has no secrets. Any content gives a form or an error, never a crash."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard import routes
from lxc_dashboard.services.creation.form import filled
from lxc_dashboard.services.creation.form.filled import LINK_CHARS, VERSION, Filled, decode_link, encode_link

NAMES = st.text(max_size=30)
FILLED = st.builds(
    Filled,
    form=st.dictionaries(NAMES, st.text(max_size=400), max_size=8),
    template_id=st.none() | st.uuids(),
    template_name=NAMES,
    packages_off=st.lists(NAMES, max_size=5).map(tuple),
    extras=st.lists(st.tuples(NAMES, NAMES), max_size=5).map(tuple),
    scripts=st.lists(NAMES, max_size=5).map(tuple),
    scripts_off=st.lists(NAMES, max_size=5).map(tuple),
)
FULL = Filled(
    form={
        "node": "pve1",
        "hostname": "web-01",
        "cores": "2",
        "memory_mib": "1024",
        "disk_gib": "8",
        "storage": "local-lvm",
        "ostemplate": "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst",
        "ipv4_mode": "static",
        "ipv4_address": "10.0.0.5/24",
        "ipv4_gateway": "10.0.0.1",
        "unprivileged": "on",
        "mounts": '[{"source":"local-lvm","path":"/data","size_gib":"8","backup":false,"read_only":false}]',
    },
    template_id=uuid4(),
    template_name="nginx-web r3",
    scripts=("10-core.sh", "20-site.sh", "90-check.sh"),
)


def noise(chars: int) -> str:
    """Text that compression does not shorten, the same in each run."""
    return base64.b64encode(hashlib.shake_256(str(chars).encode()).digest(chars)).decode()[:chars]


def packed(content: bytes) -> str:
    return VERSION + base64.urlsafe_b64encode(zlib.compress(content)).rstrip(b"=").decode()


@given(FILLED)
def test_a_link_is_bounded_and_says_what_was_filled_in_but_for_what_it_names_as_left_out(filled: Filled) -> None:
    link = encode_link(filled)
    assert len(link.coded) <= LINK_CHARS
    assert routes.safe_next(routes.shared_creation(link.coded)) == routes.shared_creation(link.coded)
    found = decode_link(link.coded)
    assert found is not None
    assert found.form == {
        name: value for name, value in filled.form.items() if name not in {*link.left_out, "password"}
    }
    for name in ("packages_off", "extras", "scripts", "scripts_off"):
        assert getattr(found, name) == (() if name in link.left_out else getattr(filled, name))
    assert (found.template_id, found.template_name) == (filled.template_id, filled.template_name)


def test_a_usual_form_fits_with_a_key() -> None:
    filled = Filled(**FULL.to_json() | {"form": {**FULL.form, "ssh_keys": f"ssh-ed25519 {noise(68)} ann@work"}})
    assert encode_link(filled).left_out == ()
    assert len(encode_link(filled).coded) < 1000


def test_long_keys_are_left_out_before_anything_else_and_named() -> None:
    keys = "\n".join(f"ssh-rsa {noise(720 + n)} ann" for n in range(4))
    filled = Filled(**FULL.to_json() | {"form": {**FULL.form, "ssh_keys": keys, "description": "short"}})
    link = encode_link(filled)
    assert link.left_out == ("ssh_keys",)
    found = decode_link(link.coded)
    assert found is not None
    assert found.form == {**FULL.form, "description": "short"}


def test_lists_are_left_out_last() -> None:
    link = encode_link(Filled(form={"hostname": "web"}, scripts=tuple(noise(60 + n) for n in range(60))))
    assert link.left_out == ("hostname", "scripts")


def test_a_password_is_never_in_a_link_nor_taken_from_one() -> None:
    assert encode_link(Filled(form={"password": "secret"})).coded == encode_link(Filled()).coded
    found = decode_link(packed(json.dumps({"form": {"password": "x", "cores": "2"}}).encode()))
    assert found == Filled(form={"cores": "2"})


def test_half_a_character_hinders_no_link() -> None:
    link = encode_link(Filled(form={"description": "cut in the middle \ud83d", "cores": "2"}))
    assert decode_link(link.coded) == Filled(form={"description": "cut in the middle ?", "cores": "2"})


@given(st.text(max_size=300) | st.text("0123456789abcdefABCDEF-_", max_size=300).map(lambda text: VERSION + text))
def test_what_is_no_link_is_none(text: str) -> None:
    assert decode_link(text) is None


@given(st.binary(max_size=300))
def test_whatever_is_packed_is_read_or_none(content: bytes) -> None:
    found = decode_link(packed(content))
    assert found is None or encode_link(found).coded


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b'{"form": {"cores": 4}}',
        b'{"form": {"cores": "' + b"4" * 40_000 + b'"}}',
        b'{"scripts": 1}',
        b'{"template_id": "../.."}',
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_what_is_of_another_shape_is_none(content: bytes) -> None:
    assert decode_link(packed(content)) is None


def test_what_would_grow_too_large_is_none_and_is_not_unpacked() -> None:
    bomb = packed(b'{"form": {"a": "' + b"x" * 1_000_000 + b'"}}')
    assert len(bomb) <= LINK_CHARS
    assert decode_link(bomb) is None


def test_a_link_that_was_cut_off_or_has_more_at_its_end_is_none() -> None:
    coded = encode_link(FULL).coded
    assert decode_link(coded) == FULL
    assert [decode_link(coded[:length]) for length in range(len(coded) - 1)] == [None] * (len(coded) - 1)
    assert decode_link(coded + "A" * 8) is None
    assert filled.decode_link("2" + coded[1:]) is None
