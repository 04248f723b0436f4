"""The shape of a text that says what is wrong and what to do."""

from __future__ import annotations

from typing import NamedTuple


class WithRemedy(NamedTuple):
    """``remedy`` may quote, as ``{remedy}``, that of a message among its parameters."""

    cause: str
    remedy: str
