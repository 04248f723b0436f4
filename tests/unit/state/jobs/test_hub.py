"""The hub pushes a tick when a job changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import CREATE_KIND, JobState
from lxc_dashboard.services.jobs.listing import JobPulse
from lxc_dashboard.state.jobs import hubs as jobs_hub
from lxc_dashboard.state.jobs.hubs import JobsHub

ENDPOINT = uuid4()


def running(percent: int = 0) -> JobPulse:
    return JobPulse(UUID(int=1), CREATE_KIND, JobState.RUNNING, "creating", percent, None, None)


class Rooms:
    """The rooms of one socket."""

    def __init__(self) -> None:
        self.entered: set[str] = set()

    async def enter(self, _sid: str, room: str) -> None:
        self.entered.add(room)

    async def quit(self, _sid: str, room: str) -> None:
        self.entered.discard(room)

    def count(self, room: str) -> int:
        return int(room in self.entered)


async def test_a_tab_that_comes_back_gets_a_tick_that_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    moves, told = iter(range(1_000_000)), asyncio.Queue[int]()

    async def pulse(_runtime: Any, _endpoint_id: UUID) -> Any:
        return (running(next(moves)),)

    async def tell(_room: str, tick: int) -> None:
        told.put_nowait(tick)

    monkeypatch.setattr(jobs_hub, "pulse", pulse)
    monkeypatch.setattr(jobs_hub, "READ_EVERY_S", 0.005)
    rooms: Any = Rooms()
    hub = JobsHub(lambda: None, rooms, tell, lambda _: None)  # type: ignore[arg-type, return-value]  # not used
    held: list[int] = []
    for _ in range(2):
        await hub.watch("sid", ENDPOINT)
        held.append(await told.get())
        await hub.leave("sid", ENDPOINT)
        await hub._readers[ENDPOINT]
        while not told.empty():
            held.append(told.get_nowait())
    assert len(set(held)) == len(held)


async def test_a_change_between_the_load_of_the_page_and_the_first_reading_is_pushed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state, told, changed = [running()], asyncio.Queue[str](), list[UUID]()

    async def pulse(_runtime: Any, _endpoint_id: UUID) -> Any:
        return (state[0],)

    async def tell(room: str, _tick: int) -> None:
        told.put_nowait(room)

    monkeypatch.setattr(jobs_hub, "pulse", pulse)
    rooms: Any = Rooms()
    hub = JobsHub(lambda: None, rooms, tell, changed.append)  # type: ignore[arg-type, return-value]  # as above
    await hub.watch("sid", ENDPOINT)
    state[0] = running(100)  # after the page has read the jobs and before the reader starts
    async with asyncio.timeout(60):
        assert await told.get() == jobs_hub.room_of(ENDPOINT)
    await hub.close()
    assert changed == [ENDPOINT]


async def test_an_endpoint_without_unfinished_jobs_is_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, told = list[int](), asyncio.Queue[int]()

    async def pulse(_runtime: Any, _endpoint_id: UUID) -> Any:
        looks.append(1)
        return (replace(running(100), finished_at=datetime.now(UTC)),)

    async def tell(_room: str, tick: int) -> None:
        told.put_nowait(tick)

    monkeypatch.setattr(jobs_hub, "pulse", pulse)
    monkeypatch.setattr(jobs_hub, "READ_EVERY_S", 0.0)
    monkeypatch.setattr(jobs_hub, "IDLE_EVERY_S", 3600.0)
    rooms: Any = Rooms()
    hub = JobsHub(lambda: None, rooms, tell, lambda _: None)  # type: ignore[arg-type, return-value]  # as above
    await hub.watch("sid", ENDPOINT)
    await told.get()
    for _ in range(20):
        await asyncio.sleep(0)
    await hub.close()
    assert len(looks) == 1
