"""The type of a text with a cause and a remedy."""

from __future__ import annotations

from typing import NamedTuple


class WithRemedy(NamedTuple):
    """``{remedy}`` in ``remedy`` stands for the remedy of a message among the parameters."""

    cause: str
    remedy: str
