"""Public SSH keys: valid if ``ssh-keygen -l`` reads them and PVE accepts them. Each error is at its field, and fast."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import asyncssh
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.readers import ALL_MAX_CHARS, KEY_MAX_CHARS, KEYS_MAX
from lxc_dashboard.services.creation.form.validation import validate
from tests.unit.services.creation.form.test_spec import KEY, LEAST

MAKEABLE: Final = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


def made(kind: str, **how: int) -> str:
    return asyncssh.generate_private_key(kind, comment="me", **how).export_public_key().decode().strip()


KEYS: Final = {kind: made(kind) for kind in MAKEABLE}


def packed(*parts: bytes) -> str:
    return base64.b64encode(b"".join(len(part).to_bytes(4) + part for part in parts)).decode()


def blob(key: str) -> bytes:
    return base64.b64decode(key.split()[1])


def parts(key: str) -> list[bytes]:
    rest, found = blob(key), []
    while rest:
        length = int.from_bytes(rest[:4])
        found.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    return found


SK_ED: Final = "sk-ssh-ed25519@openssh.com"
SK_EC: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
WITH_TOKENS: Final = (
    f"{SK_ED} {packed(SK_ED.encode(), parts(KEYS['ssh-ed25519'])[1], b'ssh:')} me",
    f"{SK_EC} {packed(SK_EC.encode(), *parts(KEYS['ecdsa-sha2-nistp256'])[1:], b'ssh:')} me",
)


def taken(value: Any) -> tuple[str, ...]:
    return validate(LEAST | {"ssh_keys": value}).ssh_keys


def fault(value: Any) -> str:
    with pytest.raises(InvalidInputError) as raised:
        taken(value)
    assert list(raised.value.fields) == ["ssh_keys"]
    return raised.value.fields["ssh_keys"]


@pytest.mark.parametrize("key", [*KEYS.values(), *WITH_TOKENS], ids=[*KEYS, SK_ED, SK_EC])
@pytest.mark.parametrize(
    "options",
    [
        "",
        "no-pty ",
        'from="10.0.0.0/8,!10.0.0.1" ',
        'command="/usr/bin/x --of \\"a b\\" | ssh-rsa",no-pty ',
        'environment="A=ä ö" ',
    ],
)
def test_keys_of_every_kind_are_taken_with_and_without_options(key: str, options: str) -> None:
    assert taken(options + key) == (options + key,)


def test_two_blanks_before_the_key_and_no_name_and_a_tab_are_taken() -> None:
    kind, encoded, _ = KEY.split()
    assert taken(f"{kind}  {encoded}") == (f"{kind}  {encoded}",)
    assert taken(f"{kind}\t{encoded}\tme") == (f"{kind} {encoded} me",)


@pytest.mark.parametrize("before", ["", 'from="10.0.0.1" '])
def test_a_dsa_key_is_refused_by_its_number_and_kind(before: str) -> None:
    dsa = f"{before}ssh-dss {packed(b'ssh-dss', b'7', b'7', b'7', b'7')} me"
    assert fault([KEY, dsa]).startswith("Key 2 is a DSA key, which OpenSSH no longer accepts")


def broken() -> dict[str, str]:
    kind, encoded, _ = KEY.split()
    ed, rsa, ec = (parts(KEYS[name]) for name in ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"))
    padded = packed(*ec)
    return {
        "cut off": f"{kind} AAAAC3Nz me",
        "no base64": f"{kind} {encoded[:-1]}! me",
        "cut by one": f"{kind} {encoded[:-1]} me",
        "loose bits": f"{ec[0].decode()} {padded[:-2]}{chr(ord(padded[-2]) + 1)}= me",
        "of another kind": f"ssh-rsa {encoded} me",
        "a length before nothing": f"{kind} {base64.b64encode(blob(KEY) + b'00').decode()} me",
        "a field too many": f"{kind} {packed(*ed, b'x')} me",
        "a short point": f"{kind} {packed(ed[0], bytes(31))} me",
        "too short an RSA key": f"ssh-rsa {packed(rsa[0], rsa[1], bytes([0, *b'x' * 100]))} me",
        "no exponent": f"ssh-rsa {packed(rsa[0], b'', rsa[2])} me",
        "a negative modulus": f"ssh-rsa {packed(rsa[0], rsa[1], rsa[2][1:])} me",
        "beside the curve": f"{ec[0].decode()} {packed(ec[0], ec[1], ec[2][:-1] + bytes([ec[2][-1] ^ 1]))} me",
        "a point in short": f"{ec[0].decode()} {packed(ec[0], ec[1], bytes([2]) + ec[2][1:33])} me",
        "another curve": f"{ec[0].decode()} {packed(ec[0], b'nistp384', ec[2])} me",
        "no application": f"{SK_ED} {packed(SK_ED.encode(), ed[1], b'')} me",
        "a quote that stays open": f'from="x {KEY}',
        "blanks outside of quotes": f"a b {KEY}",
        "no blob": kind,
        "no key": "not a key",
    }


@pytest.mark.parametrize("key", broken().values(), ids=broken())
def test_a_broken_key_is_refused_by_its_number(key: str) -> None:
    assert "Key 2 " in fault([KEY, key])


def test_a_private_key_and_what_cannot_be_printed_are_refused() -> None:
    assert "private key" in fault("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert "Key 1 " in fault([f"{KEY}\n{KEY}"])
    assert "Key 1 " in fault([f"{KEY} \x1b[2J"])


@pytest.mark.parametrize(
    "value",
    [
        ["ssh-rsa A " * 100_000 + "\nx"],
        "ssh-rsa A " * 100_000,
        ['" ' * (KEY_MAX_CHARS // 2)] * KEYS_MAX,
        ["ssh-rsa A " * (KEY_MAX_CHARS // 10)] * KEYS_MAX,
        [KEY] * 20_000,
        "#\n" * 100_000 + "x",
    ],
)
def test_whatever_is_sent_is_refused_within_a_moment(value: Any) -> None:
    before = time.process_time()
    assert fault(value)
    assert time.process_time() - before < 1  # a slow check takes minutes


def test_there_is_an_end_to_how_many_and_how_long_they_may_be() -> None:
    assert len(taken([KEY] * KEYS_MAX)) == 1
    assert str(KEYS_MAX) in fault([KEY] * (KEYS_MAX + 1))
    long = f"{KEY} {'x' * KEY_MAX_CHARS}"[:KEY_MAX_CHARS]
    assert taken(long) == (long,)
    assert f"{KEY_MAX_CHARS:,}" in fault(long + "x")
    assert f"{ALL_MAX_CHARS:,}" in fault([long] * 9)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*KEYS.values(), *WITH_TOKENS]), st.integers(0, 70), st.integers(0, 255), st.sampled_from("=~-+")
)
def test_openssh_says_the_same(tmp_path: Path, key: str, at: int, byte: int, how: str) -> None:
    """One byte is changed or appended, or the key is cut there. Sometimes the result is still a key."""
    kind, _, comment = key.split()
    changed = bytearray(blob(key))
    if how == "~":
        changed[at % len(changed)] = byte
    elif how == "-":
        del changed[at:]
    elif how == "+":
        changed.append(byte)
    line = f"{kind} {base64.b64encode(changed).decode()} {comment}"
    file = tmp_path / "key.pub"
    file.write_text(f"{line}\n")
    is_read = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True, check=False).returncode == 0
    if is_read:
        assert taken(line) == (line,)
    else:
        assert fault(line)
