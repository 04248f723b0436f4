"""Whether pages offer changes of templates. PVE is asked in the background: the page does not wait for it."""

from __future__ import annotations

import time
from typing import Final

import reflex as rx

from lxc_dashboard.services.templates import rights
from lxc_dashboard.state.base import requires, runtime, session

ASKED_EVERY_S: Final = 30.0


class AuthoringState(rx.State):
    """``may_author``: show the actions; each action checks the privilege again."""

    may_author: bool = False
    _asked_at: float = -ASKED_EVERY_S

    @requires(background=True)
    async def ask(self) -> None:
        """Ask PVE. If it does not answer, a message says so and no actions are shown."""
        rt, who = runtime(), session()
        async with self:
            if time.monotonic() - self._asked_at < ASKED_EVERY_S:
                return
        allowed = await rights.may_author(rt, who)
        async with self:
            # Only after the answer: leaving the page cancels this, and the next page must ask again.
            self._asked_at = time.monotonic()
            self.may_author = allowed
