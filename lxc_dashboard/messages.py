"""What the product tells, as codes and parameters: ``text`` puts them into words where they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeAlias


class MessageCode(StrEnum):
    """Base of all codes, each with a text of the same key in ``text``. A feature declares its own."""


@dataclass(frozen=True, slots=True)
class Message:
    """A code with its parameters. Without a code: ``text``, what PVE or a guest said."""

    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def of(cls, code: MessageCode, /, **params: Param) -> Self:
        """``params`` as JSON stores them: a message in it as its code and parameters."""
        return cls(code.value, {name: _stored(value) for name, value in params.items()})

    def to_json(self) -> dict[str, Any]:
        """``{"code", "params"}``, or ``{"message"}`` where there is no code, as rows and checkpoints keep it."""
        return {"code": self.code, "params": dict(self.params)} if self.code else {"message": self.text}

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | str) -> Self:
        """A plain string is what a row of an older version holds."""
        if isinstance(values, str):
            return cls(text=values)
        return cls(values.get("code", ""), values.get("params", {}), values.get("message", ""))


# As JSON stores it and ``text`` shows it
Param: TypeAlias = str | int | float | Message | Sequence[str] | Sequence[Message]


def _stored(value: Param) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    return value if isinstance(value, str | int | float) else [_stored(each) for each in value]
