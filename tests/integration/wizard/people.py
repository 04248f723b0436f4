"""People at endpoints."""

from __future__ import annotations

from collections.abc import Callable

from lxc_dashboard.services.auth.model import Session

# A user at an endpoint, ``lab`` or ``other``.
People = Callable[..., Session]
