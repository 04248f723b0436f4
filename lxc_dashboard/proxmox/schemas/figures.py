"""Figures that are figures: what calculates and draws with them expects no NaN."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

LARGEST: Final = 1e300

Figure = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
"""Some doubles write ``"nan"`` or ``"inf"`` into a field, which msgspec takes for a float: here it is no value."""
