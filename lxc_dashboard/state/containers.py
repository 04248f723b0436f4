"""What the list of containers can have done to a guest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.containers import lifecycle
from lxc_dashboard.services.containers.lifecycle import Act
from lxc_dashboard.state.base import requires, runtime, said, session


class ContainersState(rx.State):
    """The rows are no vars: ``state/feed`` sends them."""

    @requires(background=True)
    async def act(self, vmid: int, node: str, name: str, action: str) -> AsyncIterator[Any]:
        """Start, shut down or stop; tells the result when it is known. The list shows what runs meanwhile.

        What a browser says of the guest beside its number would stand in the audit: PVE is asked instead.
        """
        del node, name
        if action not in {act.value for act in Act}:
            raise InvalidInputError({"action": f"{action[:40]!r} is not something to do to a container"})
        rt, who = runtime(), session()
        guest = await lifecycle.find(rt, who, int(vmid))
        yield said(await lifecycle.act(rt, who, guest, Act(action)))
