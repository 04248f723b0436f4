"""The screen sizes and themes that pages are checked in."""

from __future__ import annotations

import pytest

SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
# For pages: ``make test`` runs each size and each theme once, ``make test-full`` all pairs.
each_screen = pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("desk", "light"),
        ("phone", "dark"),
        pytest.param("desk", "dark", marks=pytest.mark.full),
        pytest.param("phone", "light", marks=pytest.mark.full),
    ],
)
# For a part of a page that another test checks as a whole: ``make test`` runs the narrow screen only.
small_screen = pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("phone", "dark"),
        pytest.param("desk", "light", marks=pytest.mark.full),
        pytest.param("desk", "dark", marks=pytest.mark.full),
        pytest.param("phone", "light", marks=pytest.mark.full),
    ],
)
