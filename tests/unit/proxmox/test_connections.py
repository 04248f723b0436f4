"""Which connection serves a request, and what becomes of those that can serve no more."""

from __future__ import annotations

import asyncio

import httpcore
import pytest

from lxc_dashboard.proxmox.transport import Connections

ORIGIN = httpcore.Origin(b"https", b"pve1", 8006)


class Connection(httpcore.AsyncHTTPConnection):
    """Idle and fresh, until a test says otherwise."""

    def __init__(self, origin: httpcore.Origin) -> None:
        super().__init__(origin)
        self.idle, self.expired, self.closed = True, False, False

    def is_idle(self) -> bool:
        return self.idle

    def has_expired(self) -> bool:
        return self.expired

    async def aclose(self) -> None:
        self.closed = True


def at_most(limit: int) -> tuple[Connections, list[Connection]]:
    """And all that are made."""
    made: list[Connection] = []

    def connect(origin: httpcore.Origin) -> Connection:
        made.append(Connection(origin))
        return made[-1]

    return Connections(connect, limit), made


async def test_one_that_was_given_back_serves_the_next_request() -> None:
    connections, made = at_most(8)
    for _ in range(5):
        async with connections.one(ORIGIN, 1.0):
            pass
    assert len(made) == 1
    assert not made[0].closed


async def test_the_last_one_used_serves_first() -> None:
    connections, made = at_most(8)
    async with connections.one(ORIGIN, 1.0):
        async with connections.one(ORIGIN, 1.0) as second:
            pass
        async with connections.one(ORIGIN, 1.0) as again:
            assert again is second
    async with connections.one(ORIGIN, 1.0) as last:
        assert last is made[0]
    assert len(made) == 2


async def test_who_comes_when_all_are_busy_waits_for_one() -> None:
    connections, made = at_most(1)
    served: list[str] = []

    async def serve(name: str) -> None:
        async with connections.one(ORIGIN, 5.0):
            await asyncio.sleep(0)
            served.append(name)

    await asyncio.gather(*map(serve, "abc"))
    assert served == ["a", "b", "c"]
    assert len(made) == 1


async def test_who_waits_too_long_is_told_so_and_takes_nobodys_turn() -> None:
    connections, made = at_most(1)
    async with connections.one(ORIGIN, 5.0):
        with pytest.raises(httpcore.PoolTimeout, match=r"within 0\.01 s"):
            async with connections.one(ORIGIN, 0.01):
                pytest.fail("there was none")
    async with connections.one(ORIGIN, 5.0):
        assert len(made) == 1


async def test_one_whose_answer_was_not_read_to_its_end_serves_nobody_else() -> None:
    connections, made = at_most(1)

    async def read_half() -> None:
        async with connections.one(ORIGIN, 5.0):
            made[0].idle = False
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        await read_half()
    assert made[0].closed
    async with connections.one(ORIGIN, 5.0) as next_one:
        assert next_one is not made[0]


async def test_one_that_the_server_closed_meanwhile_serves_nobody() -> None:
    connections, made = at_most(1)
    async with connections.one(ORIGIN, 5.0):
        pass
    made[0].expired = True
    async with connections.one(ORIGIN, 5.0) as next_one:
        assert next_one is not made[0]
    assert made[0].closed


async def test_those_that_nobody_needed_for_long_are_closed_with_the_next_request() -> None:
    connections, made = at_most(3)
    async with connections.one(ORIGIN, 5.0), connections.one(ORIGIN, 5.0), connections.one(ORIGIN, 5.0):
        pass
    old = made[1:]
    for connection in old:
        connection.expired = True
    async with connections.one(ORIGIN, 5.0) as used:
        assert used is made[0]
    assert [connection.closed for connection in old] == [True, True]
    assert not made[0].closed


async def test_at_the_end_all_are_closed_busy_or_not() -> None:
    connections, made = at_most(2)
    async with connections.one(ORIGIN, 5.0):
        async with connections.one(ORIGIN, 5.0):
            pass
        await connections.aclose()
        assert [connection.closed for connection in made] == [True, True]
