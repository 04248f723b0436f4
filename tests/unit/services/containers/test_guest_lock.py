"""What is done under a guest's lock counts, whatever becomes of the lock."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import pytest

from lxc_dashboard.bus import Bus
from lxc_dashboard.errors import ConflictError, ServiceUnavailableError
from lxc_dashboard.services.containers.guest_lock import guest_lock


class Gone:
    """A bus that goes away once the lease was given."""

    async def acquire_lease(self, *_: object) -> bool:
        return True

    async def release_lease(self, *_: object) -> bool:
        raise ServiceUnavailableError("Redis does not answer")


async def test_what_was_done_stays_done_where_redis_is_gone_at_the_end() -> None:
    done = []
    async with guest_lock(cast("Bus", Gone()), uuid4(), 101):
        done.append("it")
    assert done == ["it"]


async def test_what_went_wrong_within_is_told_not_that_redis_is_gone() -> None:
    with pytest.raises(ConflictError, match="frobnicated"):
        async with guest_lock(cast("Bus", Gone()), uuid4(), 101):
            raise ConflictError("frobnicated")
