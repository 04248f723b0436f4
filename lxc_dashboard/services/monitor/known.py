"""What the product itself knows of the guests that are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxc_dashboard.services.monitor.rows import Known

if TYPE_CHECKING:
    from lxc_dashboard.db.repositories.monitor import KnownGuest


def known_of(guest: KnownGuest) -> Known:
    """Lifecycle, address, template with revision, and the latest creation."""
    return Known(
        lifecycle=guest.lifecycle,
        address=guest.address,
        recipe=f"{guest.template} r{guest.revision}" if guest.template else "",
        job_id=str(guest.job_id) if guest.job_id else "",
    )
