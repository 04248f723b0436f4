"""How long a step in a guest may keep us, and how much it may say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from lxc_dashboard.errors import GuestError, GuestUnreachableError
from lxc_dashboard.guest.steps import Judge, Outcome

log = structlog.get_logger(__name__)

RECONNECT_FOR_S: Final = 120.0
RESTARTED_WAIT_S: Final = 8.0  # so long a guest that was restarted is tried, for what the step has printed until then
# What is in the guest may be replaced by the guest: that a step ends, and says no more than this, is seen to from here as well.
OVERTIME_S: Final = 300.0
OUTPUT_MAX_BYTES: Final = 4 << 30
_BACKOFF_S: Final = (0.1, 0.3, 1.0, 2.0, 4.0)


class Bound:
    """How long and how much a step may keep us, however often it is connected to. The time that its reader takes is not its own."""

    def __init__(self, timeout_s: int) -> None:
        self._left_s = timeout_s + OVERTIME_S
        self._left_bytes = OUTPUT_MAX_BYTES

    @contextmanager
    def waiting(self) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            yield
        finally:
            self._left_s -= clock() - began

    def check(self, printed: int) -> None:
        """Raises ``GuestError``."""
        self._left_bytes -= printed
        if self._left_s < 0:
            raise GuestError("The step goes on in the guest long after its time is over, and nothing there ends it")
        if self._left_bytes < 0:
            raise GuestError(f"The step printed more than {OUTPUT_MAX_BYTES >> 30} GiB")


class Patience:
    """How long a door that went away is tried again, from the last sign of life."""

    def __init__(self) -> None:
        self._tries = 0
        self._until = 0.0

    def renew(self) -> None:
        self._tries = 0
        self._until = 0.0

    async def wait(self, error: GuestUnreachableError, judge: Judge) -> Outcome | None:
        """Before the next try; or how the step has ended by what ``judge`` says."""
        clock = asyncio.get_running_loop().time
        lost_at = clock()
        outcome = await judge()
        if self._tries == 0:
            self._until = lost_at + RECONNECT_FOR_S
        tried_s = lost_at + RECONNECT_FOR_S - self._until
        if outcome is Outcome.STOPPED or (outcome is Outcome.RESTARTED and tried_s >= RESTARTED_WAIT_S):
            return outcome
        if clock() >= self._until:
            raise error
        delay_s = _BACKOFF_S[min(self._tries, len(_BACKOFF_S) - 1)]
        self._tries += 1
        log.info("guest connection lost", tries=self._tries, delay_s=delay_s, error=str(error))
        await asyncio.sleep(delay_s)
        return None
