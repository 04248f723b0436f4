"""Messages as codes and parameters. ``text`` turns them into text where they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeAlias


class MessageCode(StrEnum):
    """Base of all codes, each with a text of the same key in ``text``. A feature declares its own."""


@dataclass(frozen=True, slots=True)
class Message:
    """A code with its parameters. Without a code, ``text`` quotes PVE or a guest. The hash ignores parameters."""

    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    text: str = ""

    @classmethod
    def of(cls, code: MessageCode, /, **params: Param) -> Self:
        """Return a message. Converts ``params`` to JSON values, messages among them as ``to_json``."""
        return cls(code.value, {name: _stored(value) for name, value in params.items()})

    def to_json(self) -> dict[str, Any]:
        """Return ``{"code", "params"}``, or ``{"message"}`` without a code, for rows and checkpoints."""
        return {"code": self.code, "params": dict(self.params)} if self.code else {"message": self.text}

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | str) -> Self:
        """Read ``to_json``, or the plain string of an older version's row."""
        if isinstance(values, str):
            return cls(text=values)
        return cls(values.get("code", ""), values.get("params", {}), values.get("message", ""))


# Values that JSON can store and ``text`` can show
Param: TypeAlias = str | int | float | Message | Sequence[str] | Sequence[Message]


def _stored(value: Param) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    return value if isinstance(value, str | int | float) else [_stored(each) for each in value]
