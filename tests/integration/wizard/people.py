"""People at endpoints."""

from __future__ import annotations

from collections.abc import Callable

from lxc_dashboard.services.auth.model import Session

# A user at an endpoint, ``sandbox`` or ``other``, whom PVE has not let in.
People = Callable[..., Session]
