"""Makes SSH keys, reads private keys, and compares host keys with pinned ones."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lxc_dashboard.errors import GuestError, HostKeyError
from lxc_dashboard.guest.codes import GuestCode
from lxc_dashboard.messages import Message

if TYPE_CHECKING:
    import paramiko

# An RSA host key signs with any of these. The pin names only the type of the key.
_SIGNATURES: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


@dataclass(frozen=True, slots=True)
class KeyPair:
    """``public`` is the line for ``authorized_keys``, ``private`` in OpenSSH form without passphrase."""

    public: str
    private: str = field(repr=False)

    @classmethod
    def make(cls, comment: str) -> KeyPair:
        """Make an Ed25519 key."""
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        return cls(f"{public} {comment}", _text(key, PrivateFormat.OpenSSH).getvalue())


def private_key_of(text: str) -> paramiko.PKey:
    """Read a private key in OpenSSH or PEM form, without passphrase. Raises ``GuestError``."""
    import paramiko

    data = text.strip().encode() + b"\n"
    load = serialization.load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else serialization.load_pem_private_key
    try:
        key = load(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise GuestError(Message.of(GuestCode.SSH_KEY_INVALID)) from error
    # paramiko reads one form of each type reliably, so write the key in that form.
    if isinstance(key, Ed25519PrivateKey):
        return paramiko.Ed25519Key.from_private_key(_text(key, PrivateFormat.OpenSSH))
    if isinstance(key, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey.from_private_key(_text(key, PrivateFormat.TraditionalOpenSSL))
    if isinstance(key, RSAPrivateKey):
        return paramiko.RSAKey.from_private_key(_text(key, PrivateFormat.TraditionalOpenSSL))
    raise GuestError(Message.of(GuestCode.SSH_KEY_INVALID))


def _text(key: Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey, form: PrivateFormat) -> io.StringIO:
    return io.StringIO(key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())


def pinned_algorithms(pinned: str) -> tuple[str, ...]:
    """Return the host key algorithms to request. Empty for a pinned fingerprint, which any key may match."""
    kind, _, _ = pinned.strip().partition(" ")
    if kind.startswith("SHA256:"):
        return ()
    return _SIGNATURES.get(kind, (kind,))


def check_host_key(offered: paramiko.PKey, pinned: str, where: str) -> None:
    """Compare the key with ``pinned``: ``ssh-ed25519 AAAA...`` or ``SHA256:...``. Raises ``HostKeyError``."""
    if not pinned.strip():
        raise HostKeyError(Message.of(GuestCode.HOST_KEY_NOT_PINNED, address=where))
    expected, actual = fingerprint_of_pin(pinned), fingerprint(offered)
    if not hmac.compare_digest(expected.encode(), actual.encode()):
        raise HostKeyError(
            Message.of(GuestCode.HOST_KEY_CHANGED, address=where),
            detail=f"pinned {expected}, offered {actual}",
        )


def fingerprint(key: paramiko.PKey) -> str:
    """Return the fingerprint as OpenSSH writes it: ``SHA256:`` and base64 without padding."""
    return _digest(key.asbytes())


def _digest(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def fingerprint_of_pin(pinned: str) -> str:
    """Return ``SHA256:...`` of a pinned key in either notation. Raises ``HostKeyError``."""
    words = pinned.split()
    if words[0].startswith("SHA256:"):
        return words[0].rstrip("=")
    try:
        return _digest(base64.b64decode(words[1], validate=True))
    except (IndexError, binascii.Error):
        raise HostKeyError(Message.of(GuestCode.PIN_INVALID), detail=words[0]) from None
