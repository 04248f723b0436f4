"""A form that may ask for several containers: what they share, as a spec, and what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.batches import NEEDS_RANGE, PATTERN, VMID_BY_HAND
from lxc_dashboard.services.creation.form import addresses, validation
from lxc_dashboard.services.creation.form.hostname_pattern import hostnames
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode


@dataclass(frozen=True, slots=True)
class Several:
    """``request_batch``'s own arguments. A range counts only where the addresses are static ones."""

    pattern: str
    ipv4_range: str = ""
    ipv6_range: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, object]) -> Self | None:
        """None where the form asks for one container."""
        pattern = _text(raw, PATTERN)
        return cls(pattern, _range(raw, "ipv4"), _range(raw, "ipv6")) if pattern else None


def count(raw: Mapping[str, object]) -> int:
    """How many containers the form asks for; 1 as long as its pattern is none."""
    asked = Several.of(raw)
    with suppress(InvalidInputError):
        return len(hostnames(asked.pattern)) if asked else 1
    return 1


def validate(raw: Mapping[str, object]) -> ContainerSpec:
    """``validation.validate``, where ``hostname_pattern`` is given too: then of what the first of them is.

    Raises ``InvalidInputError`` naming every wrong field, ``hostname_pattern``, ``ipv4_range`` and ``ipv6_range`` too.
    """
    asked = Several.of(raw)
    if asked is None:
        return validation.validate(raw)
    first: dict[str, object] = {"hostname": "first", "vmid": ""}
    faults = {"vmid": VMID_BY_HAND} if _text(raw, "vmid") else {}
    try:
        first["hostname"] = hostnames(asked.pattern)[0]
    except InvalidInputError as error:
        faults |= error.fields
    for version, family in ((4, "ipv4"), (6, "ipv6")):
        if _is_static(raw, family):
            values, wrong = _first_address(_range(raw, family), version, _text(raw, f"{family}_gateway"))
            first |= values
            faults |= wrong
    return _validated({**raw, **first}, faults)


def _validated(raw: Mapping[str, object], faults: Mapping[str, str]) -> ContainerSpec:
    try:
        spec = validation.validate(raw)
    except InvalidInputError as error:
        raise InvalidInputError({**error.fields, **faults}) from None
    if faults:
        raise InvalidInputError(faults)
    return spec


def _first_address(text: str, version: int, gateway: str) -> tuple[dict[str, object], dict[str, str]]:
    """A range's first address but the gateway's in the place of one that is typed, or what is wrong with the range."""
    family, field = f"ipv{version}", f"ipv{version}_range"
    if not text:
        return {f"{family}_mode": IpMode.NONE.value}, {field: NEEDS_RANGE}
    try:
        found = addresses.parse_range(text, version=version, field=field)
    except InvalidInputError as error:
        return {f"{family}_mode": IpMode.NONE.value}, error.fields
    first = next((address for address in found if str(address) != gateway), found.first)
    return {f"{family}_address": found.cidr(first)}, {}


def _is_static(raw: Mapping[str, object], family: str) -> bool:
    return _text(raw, f"{family}_mode") == IpMode.STATIC.value


def _range(raw: Mapping[str, object], family: str) -> str:
    return _text(raw, f"{family}_range") if _is_static(raw, family) else ""


def _text(raw: Mapping[str, object], name: str) -> str:
    value = raw.get(name)
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)
