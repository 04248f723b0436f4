"""Helpers that request a batch and read it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lxc_dashboard.services.creation import batches
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from tests.integration.creation.conftest import Lab, spec_of

NO_NETWORK = IpSettings(IpMode.NONE)


async def ask(lab: Lab, pattern: str = "web-{1..3}", **given: Any) -> UUID:
    changes = {name: given.pop(name) for name in ("ipv4", "ipv6", "disk_gib", "vmid", "password_mode") if name in given}
    spec = spec_of(None, **{"ipv4": NO_NETWORK, **changes})
    return await batches.request_batch(lab.rt, lab.session, pattern, spec, **given)


async def view(lab: Lab, batch_id: UUID) -> batches.BatchView:
    return await batches.get_batch(lab.rt, lab.session, batch_id)
