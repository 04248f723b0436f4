"""The page of a guest's console. The terminal itself speaks to ``api/console``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.auth import privileges
from lxc_dashboard.services.containers import console
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.jobs.run import Guest
from lxc_dashboard.state.base import PageState, requires, runtime, session
from lxc_dashboard.state.ids import id_in
from lxc_dashboard.state.jobs.outcome import notices

VMID_DIGITS = 9


class ConsoleState(PageState, rx.State):
    """``url`` is where the terminal connects to, empty while the guest does not run."""

    vmid: int = 0
    name: str = ""
    title: str = ""
    node: str = ""
    url: str = ""
    starting: bool = False

    @requires()
    async def load(self) -> None:
        self.reset()
        async with self._filling():
            await self._look()
            self._show()

    @requires(background=True)
    async def start(self) -> AsyncIterator[Any]:
        """Starts the guest; its console opens when it runs."""
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

    async def _look(self) -> None:
        path = str(self.router.url.path).rstrip("/").removesuffix("/console")
        wanted = id_in(path, self.router.url.query_parameters, "vmid")
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= VMID_DIGITS):
            raise NotFoundError(text.NO_SUCH_GUEST)
        guest, runs = await console.find(runtime(), session(), int(wanted))
        await privileges.require(runtime(), session(), f"/vms/{guest.vmid}", privileges.CONSOLE_PRIVILEGE)
        self.vmid, self.name, self.node, self.title = guest.vmid, guest.name, guest.node, str(guest)
        self.url = routes.console_socket(guest.vmid) if runs else ""
