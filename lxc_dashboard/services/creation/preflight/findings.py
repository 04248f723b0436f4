"""What preflight says of a creation that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingSeverity(StrEnum):
    """The gravest first. An error stops the creation; a warning is shown and does not; a note says how it will be done."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """``field`` is the wizard's, empty where it is none's."""

    severity: FindingSeverity
    field: str
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.cause}. {self.remedy}" if self.remedy else self.cause


def error(field: str, cause: str, remedy: str = "") -> Finding:
    return Finding(FindingSeverity.ERROR, field, cause, remedy)


def warning(field: str, cause: str, remedy: str = "") -> Finding:
    return Finding(FindingSeverity.WARNING, field, cause, remedy)


def note(cause: str) -> Finding:
    return Finding(FindingSeverity.NOTE, "", cause)
