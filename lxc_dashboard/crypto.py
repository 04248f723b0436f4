"""Encrypts stored secrets with AES-256-GCM. The place of a secret is associated data.

A token is ``v1.<key id>.<nonce>.<ciphertext>``, the last two in unpadded URL-safe base64. Version, key id, table,
column and row are authenticated: a token copied to another place does not decrypt there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lxc_dashboard.errors import InvalidInputError, TamperedError, WrongKeyError
from lxc_dashboard.messages import Message, MessageCode

VERSION: Final = "v1"
KEY_HEX_CHARS: Final = 64
KEY_ID_CHARS: Final = 12
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_HEX = re.compile(r"[0-9a-fA-F]+")
_KEY_ID = re.compile(rf"[0-9a-f]{{{KEY_ID_CHARS}}}")


class KeyCode(MessageCode):
    """Why an encryption key is invalid."""

    INVALID = "key.invalid"
    EMPTY = "key.empty"
    NOT_HEX = "key.not_hex"
    BAD_LENGTH = "key.bad_length"


class _Token(NamedTuple):
    key_id: str
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Keyring:
    """The key that encrypts, and older keys that only decrypt. Its ``repr`` shows ids only."""

    key_id: str
    _keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def from_hex(cls, primary: str, *older: str) -> Self:
        """Return the keyring for keys of 64 hex characters.

        Raises ``InvalidInputError`` with the fields ``primary`` and ``older 1``, ``older 2``, ...
        """
        keys_by_name = {"primary": primary, **{f"older {n}": key for n, key in enumerate(older, 1)}}
        problems = {name: problem for name, key in keys_by_name.items() if (problem := _problem_of(key.strip()))}
        if problems:
            raise InvalidInputError(problems, Message.of(KeyCode.INVALID))
        keys = [bytes.fromhex(key.strip()) for key in keys_by_name.values()]
        return cls(_id_of(keys[0]), MappingProxyType({_id_of(key): key for key in keys}))

    def encrypt(self, plaintext: bytes, *, table: str, column: str, row: UUID | str) -> str:
        """Encrypt for one table, column and row. Two calls never return the same token."""
        nonce = os.urandom(NONCE_BYTES)
        bound_to = _associated_data(self.key_id, table, column, row)
        ciphertext = AESGCM(self._keys[self.key_id]).encrypt(nonce, plaintext, bound_to)
        return ".".join((VERSION, self.key_id, _to_base64(nonce), _to_base64(ciphertext)))

    def decrypt(self, token: str, *, table: str, column: str, row: UUID | str) -> bytes:
        """Decrypt a token.

        Raises ``WrongKeyError`` (the ring does not have its key), ``TamperedError`` (changed, or from another place).
        """
        parsed = _parse(token)
        key = self._keys.get(parsed.key_id)
        if key is None:
            raise WrongKeyError(detail=f"{table}.{column} needs the key {parsed.key_id}")
        bound_to = _associated_data(parsed.key_id, table, column, row)
        try:
            return AESGCM(key).decrypt(parsed.nonce, parsed.ciphertext, bound_to)
        except InvalidTag as error:
            raise TamperedError(detail=f"{table}.{column} of {row}") from error

    def needs_rotation(self, token: str) -> bool:
        """Return whether an older key encrypted the token. Raises ``TamperedError`` for an invalid token."""
        return _parse(token).key_id != self.key_id

    def rotate(self, token: str, *, table: str, column: str, row: UUID | str) -> str:
        """Return ``token``, re-encrypted if an older key encrypted it. Raises as ``decrypt``."""
        plaintext = self.decrypt(token, table=table, column=column, row=row)
        if not self.needs_rotation(token):
            return token
        return self.encrypt(plaintext, table=table, column=column, row=row)


def _problem_of(key: str) -> Message | None:
    if not key:
        return Message.of(KeyCode.EMPTY)
    if not _HEX.fullmatch(key):
        return Message.of(KeyCode.NOT_HEX)
    if len(key) != KEY_HEX_CHARS:
        return Message.of(KeyCode.BAD_LENGTH, chars=len(key), expected=KEY_HEX_CHARS)
    return None


def _id_of(key: bytes) -> str:
    """Return the id of a key, from which the key cannot be derived."""
    return hmac.new(key, b"lxc-dashboard key id", hashlib.sha256).hexdigest()[:KEY_ID_CHARS]


def _associated_data(key_id: str, table: str, column: str, row: UUID | str) -> bytes:
    """Join the parts with their lengths, so that no two places give the same bytes."""
    parts = [part.encode() for part in (VERSION, key_id, table, column, str(row))]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _parse(token: str) -> _Token:
    parts = token.split(".")
    if len(parts) != len(_Token._fields) + 1 or parts[0] != VERSION or not _KEY_ID.fullmatch(parts[1]):
        raise TamperedError(detail="not a token of a known version")
    nonce, ciphertext = _from_base64(parts[2]), _from_base64(parts[3])
    if len(nonce) != NONCE_BYTES or len(ciphertext) < TAG_BYTES:
        raise TamperedError(detail="a part of the token is missing")
    return _Token(parts[1], nonce, ciphertext)


def _to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64(text: str) -> bytes:
    """Decode strictly: the spare bits of the last character must be zero, so that a secret has one spelling."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TamperedError(detail="not base64") from error
    if _to_base64(data) != text:
        raise TamperedError(detail="not canonical base64")
    return data


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """An encrypted column, bound to its row. ``None`` is an empty column.

    Reading raises ``WrongKeyError``, ``TamperedError``.
    """

    keyring: Keyring
    table: str
    column: str

    def seal_text(self, text: str | None, row: UUID) -> str | None:
        if text is None:
            return None
        return self.keyring.encrypt(text.encode(), table=self.table, column=self.column, row=row)

    def open_text(self, token: str | None, row: UUID) -> str | None:
        if token is None:
            return None
        return self.keyring.decrypt(token, table=self.table, column=self.column, row=row).decode()

    def seal_json(self, value: Any, row: UUID) -> str | None:
        return None if value is None else self.seal_text(json.dumps(value), row)

    def open_json(self, token: str | None, row: UUID) -> Any:
        text = self.open_text(token, row)
        return None if text is None else json.loads(text)
