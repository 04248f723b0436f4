"""The wizard's input as part of a URL, short enough for every browser and for the redirect after sign-in."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from lxc_dashboard.services.creation.form.fields import FIELDS
from lxc_dashboard.services.creation.form.filled import Filled, without_secrets

log = structlog.get_logger(__name__)

LINK_CHARS: Final = 1800
MAX_BYTES: Final = 64 << 10
VERSION: Final = "1"
# Left out first if the link is too long.
_LONG: Final = tuple(row.name for row in FIELDS if row.is_long)
_LISTS: Final = ("packages_off", "scripts_off", "scripts", "extras")
_CODED: Final = re.compile(rf"{VERSION}[A-Za-z0-9_-]{{1,{LINK_CHARS - 1}}}")
_DECODER: Final = msgspec.json.Decoder(Filled)


@dataclass(frozen=True, slots=True)
class Link:
    """``coded``: letters, digits, ``-`` and ``_``, at most ``LINK_CHARS``. ``left_out``: parts that did not fit."""

    coded: str
    left_out: tuple[str, ...] = ()


def encode(filled: Filled) -> Link:
    """Encode without secrets. Drop whole fields and lists, in the order of ``_by_length``, until the link fits."""
    left_out: list[str] = []
    kept = without_secrets(filled)
    coded = _coded(kept)
    for name in _by_length(kept):
        if len(coded) <= LINK_CHARS:
            break
        kept = msgspec.structs.replace(kept, **{name: ()}) if name in _LISTS else kept.without(name)
        left_out.append(name)
        coded = _coded(kept)
    return Link(coded, tuple(left_out))


def decode(coded: str) -> Filled | None:
    """Decode a link. None if it is invalid, cut off, too long, or of another version."""
    if not _CODED.fullmatch(coded):
        return None
    try:
        return without_secrets(_DECODER.decode(_unpacked(coded[len(VERSION) :])))
    except (ValueError, zlib.error, binascii.Error) as error:
        log.info("link to the wizard cannot be read", why=str(error)[:200])
        return None


def _coded(filled: Filled) -> str:
    packed = zlib.compress(msgspec.json.encode(filled), 9)
    return VERSION + base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")


def _unpacked(text: str) -> bytes:
    """Decompress. Raises ``ValueError`` if the content is over ``MAX_BYTES`` or cut off."""
    packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    stream = zlib.decompressobj()
    content = stream.decompress(packed, MAX_BYTES)
    if not stream.eof or stream.unused_data:
        raise ValueError("cut off, or too long")
    return content


def _by_length(filled: Filled) -> Iterator[str]:
    """The order in which ``encode`` drops parts: long texts, then fields by length, then lists."""
    yield from (name for name in _LONG if filled.form.get(name))
    others = [name for name in filled.form if name not in _LONG]
    yield from sorted(others, key=lambda name: (-len(filled.form[name]), name))
    yield from (name for name in _LISTS if getattr(filled, name))
