"""A form for one container or a batch: the hostname pattern, the address ranges, and the spec that all share."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form import addresses, readers, validation
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode

PATTERN: Final = "hostname_pattern"
VMID_BY_HAND: Final = Message.of(FieldCode.VMID_OF_SEVERAL)
NEEDS_RANGE: Final = Message.of(FieldCode.ADDRESS_OF_SEVERAL)
NAMES_MAX: Final = 100
TEXT_MAX_CHARS: Final = 255
EXAMPLE: Final = "web-{01..20}"
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_NUMBERS: Final = re.compile(r"([0-9]{1,6})\.\.([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Several:
    """The arguments of ``request_batch`` that only a batch has. A range is empty unless its family is static."""

    pattern: str
    ipv4_range: str = ""
    ipv6_range: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, object]) -> Self | None:
        """None if the form is for one container."""
        pattern = _text(raw, PATTERN)
        return cls(pattern, _range(raw, "ipv4"), _range(raw, "ipv6")) if pattern else None


def count(raw: Mapping[str, object]) -> int:
    """The number of containers; 1 without a pattern or while it is invalid."""
    asked = Several.of(raw)
    with suppress(InvalidInputError):
        return len(hostnames(asked.pattern)) if asked else 1
    return 1


def validate(raw: Mapping[str, object]) -> ContainerSpec:
    """Validate a form that may have a ``hostname_pattern``. For a batch, return the spec of its first container.

    Raises ``InvalidInputError`` with every invalid field, also ``hostname_pattern``, ``ipv4_range`` and ``ipv6_range``.
    """
    asked = Several.of(raw)
    if asked is None:
        return validation.validate(raw)
    first: dict[str, object] = {"hostname": "first", "vmid": ""}
    faults = {"vmid": VMID_BY_HAND} if _text(raw, "vmid") else {}
    try:
        first["hostname"] = hostnames(asked.pattern)[0]
    except InvalidInputError as error:
        faults |= error.reasons
    for version, family in ((4, "ipv4"), (6, "ipv6")):
        if _is_static(raw, family):
            values, wrong = _first_address(_range(raw, family), version, _text(raw, f"{family}_gateway"))
            first |= values
            faults |= wrong
    return _validated({**raw, **first}, faults)


def _validated(raw: Mapping[str, object], faults: Mapping[str, Message]) -> ContainerSpec:
    try:
        spec = validation.validate(raw)
    except InvalidInputError as error:
        raise InvalidInputError({**error.reasons, **faults}) from None
    if faults:
        raise InvalidInputError(faults)
    return spec


def _first_address(text: str, version: int, gateway: str) -> tuple[dict[str, object], dict[str, Message]]:
    """The form's values for the first address of a range that is not the gateway, and the range's faults."""
    family, field = f"ipv{version}", f"ipv{version}_range"
    if not text:
        return {f"{family}_mode": IpMode.NONE.value}, {field: NEEDS_RANGE}
    try:
        found = addresses.parse_range(text, version=version, field=field)
    except InvalidInputError as error:
        return {f"{family}_mode": IpMode.NONE.value}, error.reasons
    first = next((address for address in found if str(address) != gateway), found.first)
    return {f"{family}_address": found.cidr(first)}, {}


def _is_static(raw: Mapping[str, object], family: str) -> bool:
    return _text(raw, f"{family}_mode") == IpMode.STATIC.value


def _range(raw: Mapping[str, object], family: str) -> str:
    return _text(raw, f"{family}_range") if _is_static(raw, family) else ""


def _text(raw: Mapping[str, object], name: str) -> str:
    value = raw.get(name)
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def hostnames(pattern: str, *, field: str = "hostname_pattern") -> tuple[str, ...]:
    """Expand a pattern to 1 to ``NAMES_MAX`` different names, in the pattern's order.

    ``{N..M}`` counts up or down. As in bash, a leading zero in either number pads all to the longer width.
    ``{a,b,c}`` lists words. Several braces give all combinations. Raises ``InvalidInputError`` for ``field``.
    """
    try:
        return _expanded(pattern.strip())
    except readers.WrongError as wrong:
        raise InvalidInputError({field: wrong.reason}) from None


def _expanded(pattern: str) -> tuple[str, ...]:
    if not pattern:
        raise readers.WrongError(Message.of(FieldCode.NO_PATTERN, example=EXAMPLE))
    if len(pattern) > TEXT_MAX_CHARS:
        raise readers.WrongError(Message.of(FieldCode.TOO_LONG, most=TEXT_MAX_CHARS))
    between, choices = _parts(pattern)
    if any(set(text) & set("{}") for text in between):
        raise readers.WrongError(Message.of(FieldCode.PATTERN_BRACES))
    if not choices:
        raise readers.WrongError(Message.of(FieldCode.PATTERN_SINGLE, example=EXAMPLE))
    many = 1
    for choice in choices:
        many *= len(choice)
    if many > NAMES_MAX:
        raise readers.WrongError(Message.of(FieldCode.PATTERN_TOO_MANY, most=NAMES_MAX, names=f"{many:,}"))
    names = [_joined(between, chosen) for chosen in itertools.product(*choices)]
    double = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if double is not None:
        raise readers.WrongError(Message.of(FieldCode.PATTERN_TWICE, name=double))
    return tuple(names)


def _parts(pattern: str) -> tuple[list[str], list[list[str]]]:
    """The texts around the braces, and the words of each brace."""
    pieces = _BRACES.split(pattern)
    return pieces[::2], [_choice(piece) for piece in pieces[1::2]]


def _choice(text: str) -> list[str]:
    if found := _NUMBERS.fullmatch(text):
        return _counted(*found.groups())
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1 or not all(words):
        raise readers.WrongError(Message.of(FieldCode.PATTERN_BAD_CHOICE, choice=text))
    return words


def _counted(first: str, last: str) -> list[str]:
    begin, end = int(first), int(last)
    many = abs(end - begin) + 1
    if many > NAMES_MAX:
        raise readers.WrongError(Message.of(FieldCode.PATTERN_TOO_MANY, most=NAMES_MAX, names=f"{many:,}"))
    is_filled = any(len(text) > 1 and text.startswith("0") for text in (first, last))
    width = max(len(first), len(last)) if is_filled else 0
    step = 1 if begin <= end else -1
    return [str(number).zfill(width) for number in range(begin, end + step, step)]


def _joined(between: list[str], chosen: tuple[str, ...]) -> str:
    text = "".join(part for pair in itertools.zip_longest(between, chosen, fillvalue="") for part in pair)
    try:
        return readers.hostname(text)
    except readers.WrongError as wrong:
        unnamed = Message.of(FieldCode.PATTERN_EMPTY_NAME, reason=wrong.reason)
        named = Message.of(FieldCode.PATTERN_BAD_NAME, name=text, reason=wrong.reason)
        raise readers.WrongError(named if text else unnamed) from None
