"""Decode the bytes of an answer into a typed value.

msgspec decodes answers that follow PVE's schema. Other versions and stand-ins send a name of digits as a number, a
number as an empty string, a flag as ``"on"``, or null for any value. Then each value is converted to its field's type.
A field that cannot be converted keeps its default. A list item without a readable identity is left out. A single
unreadable value is an error.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import msgspec
import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


class Shape(Generic[T]):
    """The type of a call's ``data``. ``decode`` raises ``msgspec.DecodeError`` or its subclass ``ValidationError``."""

    def __init__(self, decode: Callable[[bytes], T]) -> None:
        self.decode = decode


def one(kind: type[S]) -> Shape[S]:
    """Expect a single object."""
    fast = _envelope(kind)
    slow = _envelope(Any)

    def decode(body: bytes) -> S:
        try:
            return fast.decode(body).data  # type: ignore[no-any-return] # the envelope is made at run time
        except msgspec.ValidationError:
            return convert(slow.decode(body).data, kind)

    return Shape(decode)


def many(kind: type[S]) -> Shape[list[S]]:
    """Expect a list of objects. Null is an empty list."""
    fast = _envelope(list[kind] | None)  # type: ignore[valid-type] # a type made at run time
    slow = _envelope(list[msgspec.Raw] | None)
    single = msgspec.json.Decoder(kind, strict=False)

    def decode(body: bytes) -> list[S]:
        try:
            return fast.decode(body).data or []
        except msgspec.ValidationError:
            items = (_item(raw, single) for raw in slow.decode(body).data or [])
            return [item for item in items if item is not None]

    return Shape(decode)


def plain(kind: type[T]) -> Shape[T]:
    """Expect a scalar, list or mapping of builtin types."""
    fast = _envelope(kind)
    slow = _envelope(Any)

    def decode(body: bytes) -> T:
        try:
            return fast.decode(body).data  # type: ignore[no-any-return] # the envelope is made at run time
        except msgspec.ValidationError:
            return _value(slow.decode(body).data, kind)  # type: ignore[no-any-return] # as above

    return Shape(decode)


def exact(kind: Any) -> Shape[Any]:
    """Expect what msgspec decodes. Converts nothing."""
    decoder = _envelope(kind)
    return Shape(lambda body: decoder.decode(body).data)


def whole(kind: type[S]) -> Shape[S]:
    """Expect an object that is the whole body, not only its ``data``: for calls that need ``total``."""
    fast = msgspec.json.Decoder(kind, strict=False)

    def decode(body: bytes) -> S:
        try:
            return fast.decode(body)
        except msgspec.ValidationError:
            return convert(msgspec.json.decode(body), kind)

    return Shape(decode)


def decoded(body: bytes, shape: Shape[T]) -> T:
    """Decode ``body``, even if it is not strict JSON. Raises as ``shape.decode``, and ``RecursionError``."""
    try:
        return shape.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return shape.decode(_to_strict_json(body))


def _plain(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:  # a number outside the range of floats
        return msgspec.json.decode(_to_strict_json(bytes(raw)))


def _to_strict_json(body: bytes) -> bytes:
    """Return ``body`` with null for NaN and infinity, and a replacement character for invalid UTF-8."""
    try:
        found = json.loads(body.decode(errors="replace"), parse_constant=lambda _: None, parse_float=_finite)
    except ValueError as error:
        raise msgspec.DecodeError(str(error)) from error
    return json.dumps(found, ensure_ascii=False).encode(errors="replace")


def _finite(text: str) -> float | None:
    figure = float(text)
    return figure if math.isfinite(figure) else None


def _nothing(body: bytes) -> None:
    del body


NOTHING: Shape[None] = Shape(_nothing)


def convert(found: Any, kind: type[S]) -> S:
    """Convert a mapping with wrong types to ``kind``. Raises ``msgspec.ValidationError``."""
    if not isinstance(found, Mapping):
        return msgspec.convert(found, kind, strict=False)  # raises
    fitting: dict[str, Any] = {}
    for name, as_python, annotation in _fields(kind):
        if name in found:
            try:
                fitting[as_python] = _value(found[name], annotation)
            except msgspec.ValidationError:
                log.debug("value does not fit", kind=kind.__name__, field=name)
    try:
        return kind(**fitting)
    except TypeError as error:
        raise msgspec.ValidationError(str(error)) from error


def _envelope(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", [("data", kind)]), strict=False)


def _item(raw: msgspec.Raw, single: msgspec.json.Decoder[S]) -> S | None:
    try:
        return single.decode(raw)
    except msgspec.ValidationError:
        kind: type[S] = single.type
        try:
            return convert(_plain(raw), kind)
        except msgspec.DecodeError as error:
            log.warning("item left out", kind=kind.__name__, reason=str(error))
            return None


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    return tuple((f.encode_name, f.name, f.type) for f in msgspec.structs.fields(kind))


def _value(found: Any, annotation: Any) -> Any:
    try:
        return msgspec.convert(found, annotation, strict=False)
    except msgspec.ValidationError as error:
        try:
            return _fitted(found, annotation)
        except (TypeError, ValueError, OverflowError):
            raise error from None  # the message names both types


def _fitted(found: Any, annotation: Any) -> Any:
    """Convert ``found``. Raises ``TypeError``, ``ValueError`` or ``OverflowError`` where that is impossible."""
    types = get_args(annotation) or (annotation,)
    origin = get_origin(annotation)
    if origin is list:
        return _list(found, types[0])
    if origin is dict:
        return _dict(found, types[1])
    kind = next(t for t in types if t is not type(None))
    return _scalar(found, getattr(kind, "__origin__", kind))  # a ``Figure`` is an annotated float


def _list(found: Any, kind: Any) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError
    values = []
    for item in found:
        try:
            values.append(_value(item, kind))
        except msgspec.ValidationError:
            log.warning("item left out", kind=str(kind))
    return values


def _dict(found: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise TypeError
    return {str(key): _value(value, kind) for key, value in found.items() if value is not None}


def _scalar(found: Any, kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return convert(found, kind)
    if isinstance(found, str | int | float):
        if kind is str:
            return str(int(found)) if isinstance(found, bool) else str(found)
        if kind is bool:
            return _flag(found)
        if kind in (int, float):
            return _number(found, kind)
    raise TypeError


def _number(found: str | float, kind: type[float]) -> float:
    number = kind(float(found))
    if not math.isfinite(number):
        raise ValueError
    return number


def _flag(found: str | float) -> bool:
    word = found.strip().lower() if isinstance(found, str) else ""
    if isinstance(found, str) and word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE if isinstance(found, str) else bool(found)


TEXT: Shape[str] = plain(str)
MAYBE_TEXT: Shape[str | None] = plain(str | None)  # type: ignore[arg-type] # a union is no type to mypy


def _maybe_upid(body: bytes) -> str | None:
    text = MAYBE_TEXT.decode(body)
    return text if text and text.startswith("UPID:") else None


UPID: Shape[str] = exact(Annotated[str, msgspec.Meta(pattern="^UPID:")])
"""A call that starts a task: its UPID."""

MAYBE_UPID: Shape[str | None] = Shape(_maybe_upid)
"""A call that starts a task in some versions only, or only where there is work to do."""
