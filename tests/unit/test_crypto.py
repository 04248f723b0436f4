"""A secret can be decrypted only with its key, in its place, and unaltered."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lxc_dashboard.crypto import KEY_HEX_CHARS, Keyring
from lxc_dashboard.errors import CryptoError, InvalidInputError, TamperedError, WrongKeyError

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

keys = st.binary(min_size=32, max_size=32).map(bytes.hex)
two_keys = st.lists(keys, min_size=2, max_size=2, unique=True).map(lambda two: (two[0], two[1]))
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rows = st.one_of(st.uuids(), names)
places = st.fixed_dictionaries({"table": names, "column": names, "row": rows})

RING = Keyring.from_hex("a1" * 32)
PLACE = {"table": "proxmox_node", "column": "token_secret_enc", "row": "7"}


@given(key=keys, plaintext=st.binary(max_size=300), place=places)
def test_what_was_encrypted_comes_back(key: str, plaintext: bytes, place: dict[str, str]) -> None:
    ring = Keyring.from_hex(key)
    assert ring.decrypt(ring.encrypt(plaintext, **place), **place) == plaintext


@given(place=places, other=places)
def test_a_token_decrypts_at_its_own_place_only(place: dict[str, str], other: dict[str, str]) -> None:
    assume({k: str(v) for k, v in place.items()} != {k: str(v) for k, v in other.items()})
    token = RING.encrypt(b"secret", **place)
    with pytest.raises(TamperedError):
        RING.decrypt(token, **other)


def test_parts_of_the_place_do_not_run_into_each_other() -> None:
    token = RING.encrypt(b"secret", table="ab", column="c", row="d")
    with pytest.raises(TamperedError):
        RING.decrypt(token, table="a", column="bc", row="d")


def test_a_uuid_and_its_text_are_the_same_row() -> None:
    row = uuid4()
    token = RING.encrypt(b"secret", table="t", column="c", row=row)
    assert RING.decrypt(token, table="t", column="c", row=str(row)) == b"secret"


@given(plaintext=st.binary(max_size=60), at=st.integers(min_value=0), put=st.sampled_from(ALPHABET + ".=+/ é\n"))
def test_any_altered_character_is_noticed(plaintext: bytes, at: int, put: str) -> None:
    token = RING.encrypt(plaintext, **PLACE)
    at %= len(token)
    altered = token[:at] + put + token[at + 1 :]
    assume(altered != token)
    with pytest.raises(CryptoError):
        RING.decrypt(altered, **PLACE)


@given(garbage=st.text(max_size=120))
def test_garbage_is_tampered_and_nothing_else(garbage: str) -> None:
    with pytest.raises(TamperedError):
        RING.decrypt(garbage, **PLACE)
    with pytest.raises(TamperedError):
        RING.needs_rotation(garbage)


@given(cut=st.integers(min_value=1, max_value=60))
def test_a_truncated_token_is_noticed(cut: int) -> None:
    token = RING.encrypt(b"secret", **PLACE)
    with pytest.raises(TamperedError):
        RING.decrypt(token[:-cut], **PLACE)


def test_a_ciphertext_shorter_than_its_tag_is_noticed() -> None:
    version, key_id, nonce, _ = RING.encrypt(b"", **PLACE).split(".")
    with pytest.raises(TamperedError, match="missing"):
        RING.decrypt(f"{version}.{key_id}.{nonce}.AAAA", **PLACE)


def test_one_secret_has_one_spelling() -> None:
    token = RING.encrypt(b"x", **PLACE)  # 17 bytes: the last character has unused bits
    last = token[-1]
    respelled = token[:-1] + ALPHABET[ALPHABET.index(last) + 1]
    with pytest.raises(TamperedError, match="canonical"):
        RING.decrypt(respelled, **PLACE)


def test_another_version_is_refused() -> None:
    token = RING.encrypt(b"secret", **PLACE)
    with pytest.raises(TamperedError, match="known version"):
        RING.decrypt("v2" + token[2:], **PLACE)


def test_the_key_id_is_authenticated() -> None:
    both = Keyring.from_hex("b2" * 32, "a1" * 32)
    version, key_id, nonce, ciphertext = RING.encrypt(b"secret", **PLACE).split(".")
    assert key_id == RING.key_id != both.key_id
    with pytest.raises(TamperedError):
        both.decrypt(f"{version}.{both.key_id}.{nonce}.{ciphertext}", **PLACE)


@given(two=two_keys)
def test_an_unknown_key_is_told_from_tampering(two: tuple[str, str]) -> None:
    key, other = two
    token = Keyring.from_hex(key).encrypt(b"secret", **PLACE)
    with pytest.raises(WrongKeyError, match=Keyring.from_hex(key).key_id):
        Keyring.from_hex(other).decrypt(token, **PLACE)


@given(two=two_keys, plaintext=st.binary(max_size=60), place=places)
def test_rotation_moves_a_secret_to_the_primary_key(
    two: tuple[str, str], plaintext: bytes, place: dict[str, str]
) -> None:
    old, new = two
    before, during, after = Keyring.from_hex(old), Keyring.from_hex(new, old), Keyring.from_hex(new)
    token = before.encrypt(plaintext, **place)
    assert during.needs_rotation(token)
    assert during.decrypt(token, **place) == plaintext
    rotated = during.rotate(token, **place)
    assert not during.needs_rotation(rotated)
    assert during.rotate(rotated, **place) == rotated
    assert after.decrypt(rotated, **place) == plaintext


def test_rotation_does_not_launder_an_altered_token() -> None:
    token = RING.encrypt(b"secret", **PLACE)
    with pytest.raises(TamperedError):
        RING.rotate(token, **{**PLACE, "row": "8"})


def test_the_same_secret_never_gives_the_same_token() -> None:
    tokens = {RING.encrypt(b"secret", **PLACE) for _ in range(100)}
    assert len(tokens) == 100


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("ab" * 31, "has 62 characters, not 64"),
        ("ab" * 33, "has 66 characters, not 64"),
        ("zz" * 32, "hex digits"),
        ("٣" * KEY_HEX_CHARS, "hex digits"),
    ],
)
def test_a_bad_key_is_named_with_what_is_wrong(key: str, problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Keyring.from_hex(key)
    assert problem in caught.value.fields["primary"]
    with pytest.raises(InvalidInputError) as caught:
        Keyring.from_hex("ab" * 32, "cd" * 32, key)
    assert list(caught.value.fields) == ["older 2"]


def test_a_bad_key_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Keyring.from_hex("deadbeef" * 7)
    assert "deadbeef" not in str(caught.value)


def test_a_key_read_from_a_file_may_end_with_a_newline() -> None:
    token = RING.encrypt(b"secret", **PLACE)
    assert Keyring.from_hex("A1" * 32 + "\n").decrypt(token, **PLACE) == b"secret"


def test_a_keyring_shows_no_key() -> None:
    shown = repr(RING)
    assert RING.key_id in shown
    assert "a1a1" not in shown
    assert "\\xa1" not in shown
