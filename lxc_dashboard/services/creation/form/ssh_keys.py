"""Public SSH keys as lines of an ``authorized_keys`` file. PVE refuses what ``ssh-keygen -l`` cannot read, and so do we.

Everything is bounded before it is looked at, and read in one pass: keys come from anybody who may sign in.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form import readers
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.readers import WrongError

KEYS_MAX: Final = 100
KEY_MAX_CHARS: Final = 16 * 1024
ALL_MAX_CHARS: Final = 128 * 1024  # PVE takes a body of 512 KiB at most
_RSA_BITS: Final = range(1024, 16_384 + 1)  # OpenSSH's own
_FORMER: Final = "ssh-dss"
_ED25519_BYTES: Final = 32
_UNCOMPRESSED: Final = b"\x04"
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}


def ssh_keys(value: object) -> tuple[str, ...]:
    """Keys in one text, one a line, or a list of them. Comments and empty lines are left out."""
    lines = [line for line in _lines(value) if not line.startswith("#")]
    if len(lines) > KEYS_MAX:
        raise WrongError(Message.of(FieldCode.TOO_MANY_KEYS, most=KEYS_MAX))
    if any("PRIVATE KEY" in line for line in lines):
        raise WrongError(Message.of(FieldCode.KEY_PRIVATE))
    for number, line in enumerate(lines, 1):
        if len(line) > KEY_MAX_CHARS:
            raise WrongError(Message.of(FieldCode.KEY_TOO_LONG, number=number, most=f"{KEY_MAX_CHARS:,}"))
        if _is_former_kind(line):
            raise WrongError(Message.of(FieldCode.KEY_DSA, number=number))
        if not line.isprintable() or not _is_key(line):
            raise WrongError(Message.of(FieldCode.BAD_KEY, number=number))
    if sum(map(len, lines)) > ALL_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.KEYS_TOO_LONG, most=f"{ALL_MAX_CHARS:,}"))
    return tuple(dict.fromkeys(lines))


def _lines(value: object) -> Iterator[str]:
    parts: Sequence[object] = value.splitlines() if isinstance(value, str) else readers.sequence(value)
    for part in parts:
        if text := readers.plain(part).replace("\t", " "):
            yield text


def _is_key(line: str) -> bool:
    """Whether a key stands at the line's begin, or behind options for whoever signs in with it."""
    return _begins_with_key(line) or _begins_with_key(line[_options_end(line) + 1 :])


def _is_former_kind(line: str) -> bool:
    return any(text.partition(" ")[0] == _FORMER for text in (line, line[_options_end(line) + 1 :]))


def _begins_with_key(text: str) -> bool:
    kind, _, rest = text.partition(" ")
    if kind not in _READERS:
        return False
    encoded = rest.lstrip(" ").partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
        parts = _parts(blob)
        return base64.b64encode(blob).decode() == encoded and parts[0] == kind.encode() and _READERS[kind](parts[1:])
    except (binascii.Error, ValueError, IndexError):
        return False


def _options_end(line: str) -> int:
    """Where the first space outside of quotes is."""
    is_quoted = False
    for at, char in enumerate(line):
        if char == " " and not is_quoted:
            return at
        if char == '"' and line[at - 1 : at] != "\\":
            is_quoted = not is_quoted
    return len(line)


def _parts(blob: bytes) -> list[bytes]:
    """The fields of a key: each has its length in four bytes before it."""
    parts, at = [], 0
    while at < len(blob):
        start = at + 4
        at = start + int.from_bytes(blob[at:start])
        if start > len(blob) or at > len(blob):
            raise ValueError(at)
        parts.append(blob[start:at])
    return parts


def _is_rsa(parts: list[bytes]) -> bool:
    exponent, modulus = map(_positive, parts)
    return exponent > 0 and modulus.bit_length() in _RSA_BITS


def _positive(part: bytes) -> int:
    number = int.from_bytes(part, signed=True)
    if number < 0:
        raise ValueError(number)
    return number


def _is_ed25519(parts: list[bytes]) -> bool:
    (point,) = parts
    return len(point) == _ED25519_BYTES


def _is_sk_ed25519(parts: list[bytes]) -> bool:
    point, application = parts
    return len(point) == _ED25519_BYTES and bool(application)


def _is_sk_ecdsa(parts: list[bytes]) -> bool:
    curve, point, application = parts
    return bool(application) and _on_curve("nistp256")([curve, point])


def _on_curve(name: str) -> Callable[[list[bytes]], bool]:
    def is_key(parts: list[bytes]) -> bool:
        curve, point = parts
        if curve != name.encode() or point[:1] != _UNCOMPRESSED:
            return False
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[name], point)  # raises for a point beside the curve
        return True

    return is_key


_READERS: Final[Mapping[str, Callable[[list[bytes]], bool]]] = {
    "ssh-rsa": _is_rsa,
    "ssh-ed25519": _is_ed25519,
    **{f"ecdsa-sha2-{name}": _on_curve(name) for name in _CURVES},
    "sk-ssh-ed25519@openssh.com": _is_sk_ed25519,
    "sk-ecdsa-sha2-nistp256@openssh.com": _is_sk_ecdsa,
}
