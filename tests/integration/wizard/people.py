"""Users at endpoints."""

from __future__ import annotations

from collections.abc import Callable

from lxc_dashboard.services.auth.model import Session

# Makes a session at the endpoint ``sandbox`` or ``other``, without a sign-in at PVE.
People = Callable[..., Session]
