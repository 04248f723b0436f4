"""The page of a guest's console. The terminal itself connects to ``api/console``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.containers import console
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.state.base import PageState, id_in, requires, runtime, session
from lxc_dashboard.state.jobs.room import barred_from, notices

VMID_DIGITS = 9


class ConsoleState(PageState, rx.State):
    """``url``: the address of the terminal's websocket; empty while the guest does not run.

    ``barred``: text about the privilege that the user lacks to start the guest.
    """

    vmid: int = 0
    name: str = ""
    title: str = ""
    node: str = ""
    url: str = ""
    starting: bool = False
    barred: str = ""

    @requires()
    async def load(self) -> None:
        self.reset()
        async with self._filling():
            await self._read()
            self._show()

    @requires(background=True)
    async def start(self) -> AsyncIterator[Any]:
        """Start the guest. Its console opens when the guest runs."""
        rt, current = runtime(), session()
        async with self:
            if self.starting or not self.vmid:
                return
            self.starting = True
            guest = Guest(self.vmid, self.node, name=self.name)
        try:
            async for notice in notices(rt, await request(rt, current, Power.START.act, guest)):
                yield notice
        finally:
            async with self:
                self.starting = False
        yield ConsoleState.load

    async def _read(self) -> None:
        path = str(self.router.url.path).rstrip("/").removesuffix("/console")
        vmid = id_in(path, self.router.url.query_parameters, "vmid")
        if not (vmid.isascii() and vmid.isdigit() and len(vmid) <= VMID_DIGITS):
            raise NotFoundError(text.NO_SUCH_GUEST)
        guest, runs = await console.find(runtime(), session(), int(vmid))
        await privileges.require(runtime(), session(), f"/vms/{guest.vmid}", privileges.CONSOLE_PRIVILEGE)
        self.vmid, self.name, self.node, self.title = guest.vmid, guest.name, guest.node, str(guest)
        self.url = routes.console_socket(guest.vmid) if runs else ""
        self.barred = "" if runs else await barred_from(Power.START.act, guest.vmid)
