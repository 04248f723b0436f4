"""Whether the user is offered changes of templates: asked of PVE beside the page, which is there without the answer."""

from __future__ import annotations

import time
from typing import Final

import reflex as rx

from lxc_dashboard.services.templates import rights
from lxc_dashboard.state.base import requires, runtime, session

ASKED_EVERY_S: Final = 30.0


class AuthoringState(rx.State):
    """``may_author`` shows what changes templates; each change asks PVE again by itself."""

    may_author: bool = False
    _asked_at: float = -ASKED_EVERY_S

    @requires(background=True)
    async def ask(self) -> None:
        """Asks PVE. A PVE that does not answer is told in the corner, and nothing is offered."""
        rt, who = runtime(), session()
        async with self:
            if time.monotonic() - self._asked_at < ASKED_EVERY_S:
                return
        allowed = await rights.may_author(rt, who)
        async with self:
            # Not before the answer: who goes on to another page meanwhile ends this, and is to be asked for there.
            self._asked_at = time.monotonic()
            self.may_author = allowed
