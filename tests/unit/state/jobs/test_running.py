"""Running jobs in the frame of every page: read once for all tabs of a user, and pushed when they change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lxc_dashboard import routes
from lxc_dashboard.db.models import CREATE_KIND, JobState, new_id
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.views import JobView
from lxc_dashboard.services.monitor.rows import Row
from lxc_dashboard.state.jobs import hubs
from lxc_dashboard.state.jobs.hubs import LISTED, Pushes, RunningHub, shown_of, sid_of, status_of

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
JOB = JobView(
    id=new_id(),
    endpoint_id=new_id(),
    container_id=new_id(),
    vmid=101,
    node="pve1",
    kind=CREATE_KIND,
    name="web-01",
    template="nginx-web r7",
    userid="root@pam",
    state=JobState.RUNNING,
    step="syncing",
    percent=72,
    created_at=BEGIN,
    started_at=BEGIN,
    finished_at=None,
)
ROWS = {102: Row(102, "db-01")}
KEY = "feed:of a user"


def task(kind: str = "vzdump", of: str = "102", **changes: Any) -> dict[str, Any]:
    return {
        "upid": f"UPID:{kind}:{of}",
        "type": kind,
        "id": of,
        "node": "pve2",
        "user": "ann@pve",
        "since": 9,
    } | changes


def test_an_entry_of_a_job_shows_its_state_and_links_to_its_page() -> None:
    [entry] = shown_of([JOB], {}, {})["entries"]
    assert (entry["title"], entry["word"], entry["percent"]) == ("web-01", "syncing 72 %", 72)
    assert entry["about"] == "CT 101 · pve1 · nginx-web r7 · root@pam"
    assert (entry["href"], entry["since"]) == (routes.job(JOB.id), BEGIN.isoformat())


def test_a_task_of_pve_names_its_guest_and_links_to_its_row() -> None:
    [entry] = shown_of([], ROWS, {"tasks": [task()]})["entries"]
    assert (entry["title"], entry["word"], entry["percent"]) == ("CT 102 db-01", "backing up", -1)
    assert entry["about"] == "PVE vzdump · pve2 · ann@pve"
    assert entry["href"] == routes.containers(q="102 db-01")


@pytest.mark.parametrize(("of", "title"), [("200", "200"), ("", "imgdel"), ("local:x", "local:x")])
def test_a_task_without_a_guest_has_no_link(of: str, title: str) -> None:
    [entry] = shown_of([], ROWS, {"tasks": [task("imgdel", of)]})["entries"]
    assert (entry["title"], entry["word"], entry["href"]) == (title, "running", "")


def test_the_task_of_a_job_is_not_counted_twice() -> None:
    shown = shown_of([JOB], ROWS, {"tasks": [task("vzcreate", "101"), task()]})
    assert (shown["count"], [entry["title"] for entry in shown["entries"]]) == (2, ["web-01", "CT 102 db-01"])


def test_all_are_counted_though_not_all_are_sent() -> None:
    shown = shown_of([], {}, {"tasks": [task(of=str(vmid)) for vmid in range(200, 200 + LISTED + 12)]})
    assert (shown["count"], len(shown["entries"]), shown["more"]) == (LISTED + 12, LISTED, 12)


def test_a_silent_pve_is_reported() -> None:
    assert shown_of([], {}, {"error": "PVE cannot be reached"})["silent"]
    assert not shown_of([], {}, {"error": ""})["silent"]


@dataclass
class Fake:
    """Doubles for a process's sockets, feeds and jobs. Records what the hub pushes."""

    rooms: dict[str, set[str]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    viewers: list[str] = field(default_factory=list)
    attending: list[str] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)
    statuses: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    looked: int = 0
    away: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def enter(self, sid: str, room: str) -> None:
        self.rooms.setdefault(room, set()).add(sid)

    async def quit(self, sid: str, room: str) -> None:
        self.rooms.get(room, set()).discard(sid)

    def count(self, room: str) -> int:
        return len(self.rooms.get(room, ()))

    def watch(self, _session: Session, viewer: str) -> str:
        self.viewers.append(viewer)
        return KEY

    def unwatch(self, viewer: str) -> list[str]:
        self.viewers.remove(viewer)
        return [KEY]

    def known(self, _session: Session) -> tuple[dict[int, Any], dict[str, Any]]:
        return ROWS, self.meta

    async def attend(self, sid: str, _endpoint_id: Any) -> None:
        self.attending.append(sid)

    async def stop_attending(self, sid: str, _endpoint_id: Any) -> None:
        self.attending.remove(sid)

    async def tell(self, room: str, shown: dict[str, Any]) -> None:
        self.told.append((room, shown["count"]))
        self.moved.set()

    async def tell_status(self, room: str, status: dict[str, Any], but: str) -> None:
        assert but == (KEY if room == ROOM else "")
        self.statuses.append((room, status))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self.moved.clear()
                await self.moved.wait()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    there = Fake()

    async def none_of_ours(*_: Any) -> tuple[JobView, ...]:
        there.looked += 1
        there.moved.set()
        if there.away:
            raise ServiceUnavailableError
        return ()

    monkeypatch.setattr("lxc_dashboard.services.jobs.listing.running", none_of_ours)
    monkeypatch.setattr(hubs, "AT_MOST_EVERY_S", 0.0)
    return there


@pytest.fixture
async def hub(fake: Fake) -> AsyncIterator[RunningHub]:
    made: Any = fake
    opened = RunningHub(made, made, made, made, Pushes(fake.tell, fake.tell_status))
    yield opened
    await opened.close()


ANN = Session(id=new_id(), endpoint_id=JOB.endpoint_id, endpoint_name="pve", userid="ann@pve", signed_in_at=BEGIN)
ROOM = hubs.looks_room(KEY)


async def test_a_second_tab_gets_the_last_result_without_another_reading(fake: Fake, hub: RunningHub) -> None:
    await hub.watch(ANN, "one")
    await fake.until(lambda: fake.told == [(ROOM, 0)])
    await hub.watch(ANN, "two")
    assert (fake.told, fake.looked) == ([(ROOM, 0), ("two", 0)], 1)
    assert [sid_of(viewer) for viewer in fake.viewers] == fake.attending == ["one", "two"]


async def test_only_changes_are_pushed(fake: Fake, hub: RunningHub) -> None:
    await hub.watch(ANN, "one")
    await fake.until(lambda: fake.told == [(ROOM, 0)])
    hub.on_jobs(ANN.endpoint_id)
    await fake.until(lambda: fake.looked == 2)
    fake.meta = {"tasks": [task()]}
    await hub.on_patch(KEY, {"meta": {"at": 1, "tasks": []}, "rows": {}})
    await fake.until(lambda: len(fake.told) > 1)
    assert fake.told == [(ROOM, 0), (ROOM, 1)]


async def test_changed_figures_and_other_endpoints_cause_no_reading(fake: Fake, hub: RunningHub) -> None:
    await hub.watch(ANN, "one")
    await fake.until(lambda: fake.told == [(ROOM, 0)])
    room = hub._rooms[KEY]
    hub.on_jobs(new_id())
    await hub.on_patch("feed:of another", {"meta": {"tasks": []}, "rows": {}})
    await hub.on_patch(KEY, {"meta": {"at": 1}, "rows": {102: {"cpu": 0.3}}})
    assert not room.changed.is_set()
    await hub.on_patch(KEY, {"meta": None, "rows": {102: {"job": "x"}}})
    assert room.changed.is_set()


async def test_pages_keep_the_last_result_while_the_database_is_down(fake: Fake, hub: RunningHub) -> None:
    await hub.watch(ANN, "one")
    await fake.until(lambda: fake.told == [(ROOM, 0)])
    fake.away, fake.meta = True, {"tasks": [task()]}
    hub.on_jobs(ANN.endpoint_id)
    await fake.until(lambda: fake.looked == 2)
    fake.away = False
    hub.on_jobs(ANN.endpoint_id)
    await fake.until(lambda: len(fake.told) > 1)
    assert fake.told == [(ROOM, 0), (ROOM, 1)]


async def test_reading_ends_when_the_last_tab_has_left(fake: Fake, hub: RunningHub) -> None:
    await hub.watch(ANN, "one")
    await fake.until(lambda: fake.told == [(ROOM, 0)])
    reader = hub._rooms[KEY].reader
    assert reader is not None
    await hub.leave(ANN, "one")
    assert (fake.viewers, fake.attending) == ([], [])
    hub.on_jobs(ANN.endpoint_id)
    async with asyncio.timeout(60):
        await reader
    assert (fake.looked, hub._rooms) == (1, {})


async def test_each_answer_of_pve_is_pushed_and_a_new_tab_gets_the_last_one(fake: Fake, hub: RunningHub) -> None:
    await hub.watch(ANN, "one")
    assert fake.statuses == [], "PVE was not asked yet"
    fake.meta = {"at": time.time(), "version": "9.1.4", "nodes": [{"down": 0}, {"down": 5}], "error": ""}
    await hub.on_patch(KEY, {"meta": {"at": fake.meta["at"]}, "rows": {}})
    await hub.on_patch(KEY, {"meta": None, "rows": {102: {"cpu": 0.3}}})
    await hub.watch(ANN, "two")
    assert [room for room, _ in fake.statuses] == [ROOM, "two"]
    assert fake.statuses[0][1].items() >= {"version": "9.1.4", "up": 1, "all": 2, "error": ""}.items()
    await hub.on_patch("feed:of another", {"meta": {"at": 9}, "rows": {}})
    assert len(fake.statuses) == 2


def test_a_status_has_an_age_and_not_a_time() -> None:
    assert status_of({"at": time.time() - 30})["age"] == pytest.approx(30, abs=5)
    assert status_of({"at": time.time() + 30})["age"] == 0, "of another host, whose clock is ahead"


def test_each_answer_of_pve_has_another_status() -> None:
    now = time.time()
    first, second = status_of({"at": now - 2}), status_of({"at": now})
    assert first | {"age": 0} != second | {"age": 0}


def test_a_pvedaemon_that_is_silent_is_named_beside_the_age_unless_all_of_pve_is() -> None:
    nodes = [{"name": "pve1", "down": 0, "silent": 5}, {"name": "pve2", "down": 0, "silent": 0}]
    meta = {"at": time.time(), "version": "9.1.4", "nodes": nodes, "error": ""}
    assert status_of(meta)["error"] == "pvedaemon does not answer on pve1"
    assert status_of(meta | {"error": "PVE cannot be reached"})["error"] == "PVE cannot be reached"


def test_a_pve_that_has_never_answered_has_no_age() -> None:
    assert status_of({}) == {}
    silent = status_of({"error": "PVE cannot be reached", "failing": 5, "away": True})
    assert silent == {"age": -1, "at": 0, "version": "", "up": 0, "all": 0, "error": "PVE cannot be reached"}


def test_a_job_that_is_being_cancelled_is_shown_as_cancelling() -> None:
    [entry] = shown_of([replace(JOB, state=JobState.CANCELLING)], {}, {})["entries"]
    assert entry["word"] == "Cancelling"
