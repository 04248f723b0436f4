"""Acts on guests in the list of containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.jobs.room import notices


class ContainersState(rx.State):
    """Holds no rows: ``FeedState`` sends them."""

    @requires(background=True)
    async def act(self, vmid: int, node: str, name: str, action: str) -> AsyncIterator[Any]:
        """Have a worker start, shut down or stop the guest, and show the result. The list shows the running job.

        ``node`` and ``name`` come from the browser and are not used. The audit gets those from PVE.
        """
        del node, name
        if action not in set(Power):
            raise InvalidInputError({"action": text.ACT_UNKNOWN.format(act=repr(action[:40]))})
        rt, who = runtime(), session()
        guest = await power.find(rt, who, int(vmid))
        job_id = await request(rt, who, Power(action).act, guest)
        async for notice in notices(rt, job_id):
            yield notice
