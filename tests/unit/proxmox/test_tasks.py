"""Tasks of PVE: UPIDs, lists, logs and waiting for an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import (
    ApiError,
    InvalidInputError,
    SessionExpiredError,
    TaskCancelledError,
    TaskFailedError,
    TaskTimeoutError,
)
from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, TaskResult, TokenAuth, tasks
from lxc_dashboard.proxmox.schemas import LogLine
from lxc_dashboard.proxmox.tasks import LogFollower
from tests.unit.proxmox.replay import (
    HANG_UP,
    RECORDED,
    UPID,
    Answer,
    Identity,
    RawServer,
    Seen,
    check_all,
    data,
    refusal,
)

PLACEHOLDER = {"n": 1, "t": "no content"}


@dataclass
class Task:
    """A task as PVE shows it. ``moments``: the log and exit status at each status poll."""

    moments: list[tuple[list[str], str]]
    stops: int = 0
    polls: int = 0
    log_requests: list[dict[str, str]] = field(default_factory=list)
    exitstatus_of_stop: str = "received interrupt"

    def __call__(self, seen: Seen) -> Answer:
        lines, exitstatus = self.moments[min(max(self.polls - 1, 0), len(self.moments) - 1)]
        if seen.method == "DELETE":
            self.stops += 1
            self.moments = [(lines, self.exitstatus_of_stop)]
            return data(None)
        if seen.path.endswith("/status"):
            self.polls += 1
            exitstatus = self.moments[min(self.polls, len(self.moments)) - 1][1]
            ended = {"status": "stopped", "exitstatus": exitstatus} if exitstatus else {"status": "running"}
            return data({"upid": UPID, "type": "vzcreate", "id": "120", **ended})
        self.log_requests.append(seen.query)
        return self._page(lines, int(seen.query["start"]), int(seen.query["limit"]))

    @staticmethod
    def _page(lines: list[str], start: int, limit: int) -> Answer:
        if not lines:
            return data([PLACEHOLDER], total=1)
        wanted = lines[start : start + limit if limit else None]
        return data([{"n": start + i, "t": t} for i, t in enumerate(wanted, 1)], total=len(lines))


class Reader:
    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.first = asyncio.Event()

    async def __call__(self, lines: Sequence[LogLine]) -> None:
        self.lines += lines
        self.first.set()

    @property
    def text(self) -> list[str]:
        return [line.t for line in self.lines]


def client_of(pool: ProxmoxPool, server: RawServer) -> ProxmoxClient:
    return pool.client(server.endpoint, TokenAuth("root@pam!t", "s"), get_deadline_s=5)


async def wait(pool: ProxmoxPool, identity: Identity, task: Task, **options: Any) -> TaskResult:
    async with RawServer(identity, task) as server:
        return await client_of(pool, server).tasks.wait(UPID, **options)


TASKS = [
    {"upid": UPID.replace("120", vmid), "node": "pve1", "type": kind, "id": vmid, "starttime": at, **ended}
    for vmid, kind, at, ended in (
        ("120", "vzstart", 300, {}),
        ("120", "vzcreate", 200, {"endtime": 210, "status": "OK"}),
        ("120", "vzcreate", 100, {"endtime": 110, "status": "unable to create CT 120"}),
        ("121", "vzcreate", 400, {}),
    )
]


async def test_a_listed_task_says_whether_it_runs_and_how_it_ended(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data([*TASKS, TASKS[0] | {"status": "RUNNING"}])) as server:
        tasks = await client_of(pool, server).tasks.list("pve1")
    assert [task.running for task in tasks] == [True, False, False, True, True]
    assert [task.succeeded for task in tasks] == [False, True, False, False, False]


async def test_what_is_no_upid_is_refused_before_a_call(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data(None)) as server:
        calls: list[Awaitable[Any]] = [client_of(pool, server).tasks.stop("OK"), client_of(pool, server).tasks.wait("")]
        for call in calls:
            with pytest.raises(InvalidInputError):
                await call
        assert server.seen == []


async def test_a_task_that_ends_ok_is_a_result(pool: ProxmoxPool, identity: Identity) -> None:
    task = Task([([], ""), (["TASK OK"], "OK")])
    assert await wait(pool, identity, task) == TaskResult(UPID, "OK", 0)
    assert task.log_requests == []


@pytest.mark.parametrize(("exitstatus", "warnings"), [("WARNINGS: 3", 3), ("WARNINGS: 1", 1)])
async def test_warnings_are_a_success(exitstatus: str, warnings: int, pool: ProxmoxPool, identity: Identity) -> None:
    assert await wait(pool, identity, Task([(["x"], exitstatus)])) == TaskResult(UPID, exitstatus, warnings)


async def test_every_recorded_task_ends_as_pve_said(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        status, log = RECORDED[name], RECORDED[name.replace("__task_status", "__task_log")]
        upid, exitstatus = status.data["upid"], status.data["exitstatus"]

        def respond(seen: Seen) -> Answer:
            return status.answer if seen.path.endswith("/status") else log.answer

        reader = Reader()
        async with RawServer(identity, respond) as server:
            waiting_for = client_of(pool, server).tasks.wait(upid, on_lines=reader)
            if exitstatus == "OK" or exitstatus.startswith("WARNINGS"):
                assert (await waiting_for).exitstatus == exitstatus
            else:
                with pytest.raises(TaskFailedError) as caught:
                    await waiting_for
                assert (caught.value.upid, caught.value.exitstatus) == (upid, exitstatus)
                assert list(caught.value.log_tail) == reader.text[-20:]
                assert exitstatus in caught.value.user_message
        assert reader.text == [line["t"] for line in log.data]

    await check_all([name for name in RECORDED if name.endswith("__task_status")], check)


async def test_lines_come_once_whole_and_in_order(pool: ProxmoxPool, identity: Identity) -> None:
    reader = Reader()
    task = Task(
        [
            ([], ""),
            (["downloading", "12 % ...."], ""),
            (["downloading", "12 % ........ done", "extracting"], ""),
            (["downloading", "12 % ........ done", "extracting", "TASK OK"], "OK"),
        ]
    )
    await wait(pool, identity, task, on_lines=reader)
    assert reader.text == ["downloading", "12 % ........ done", "extracting", "TASK OK"]
    assert [line.n for line in reader.lines] == [1, 2, 3, 4]


async def test_a_line_that_stays_the_last_one_is_shown_at_the_next_poll(pool: ProxmoxPool, identity: Identity) -> None:
    reader = Reader()
    task = Task([(["creating"], "")])
    async with RawServer(identity, task) as server:
        waiter = asyncio.create_task(client_of(pool, server).tasks.wait(UPID, on_lines=reader))
        await asyncio.wait_for(reader.first.wait(), 30)
        assert reader.text == ["creating"]
        task.moments = [(["creating", "TASK OK"], "OK")]
        await waiter
    assert reader.text == ["creating", "TASK OK"]


async def test_an_adopting_waiter_goes_on_after_the_lines_it_has(pool: ProxmoxPool, identity: Identity) -> None:
    reader = Reader()
    task = Task([(["one", "two", "three", "TASK OK"], "OK")])
    await wait(pool, identity, task, on_lines=reader, first_line=2)
    assert [(line.n, line.t) for line in reader.lines] == [(3, "three"), (4, "TASK OK")]


async def test_a_long_log_comes_page_by_page(pool: ProxmoxPool, identity: Identity) -> None:
    reader = Reader()
    lines = [f"line {i}" for i in range(1_234)]
    task = Task([(lines, "OK")])
    await wait(pool, identity, task, on_lines=reader)
    assert reader.text == lines
    assert [int(query["start"]) for query in task.log_requests] == [0, 500, 1000]


async def test_a_task_without_output_hands_on_nothing(pool: ProxmoxPool, identity: Identity) -> None:
    reader = Reader()
    await wait(pool, identity, Task([([], ""), ([], "OK")]), on_lines=reader)
    assert reader.lines == []


async def test_a_failure_brings_the_last_lines_though_nobody_followed(pool: ProxmoxPool, identity: Identity) -> None:
    task = Task([([f"line {i}" for i in range(50)], "unable to create CT 120")])
    with pytest.raises(TaskFailedError) as caught:
        await wait(pool, identity, task)
    assert list(caught.value.log_tail) == [f"line {i}" for i in range(30, 50)]


async def test_a_failure_is_told_even_where_its_log_is_refused(pool: ProxmoxPool, identity: Identity) -> None:
    def respond(seen: Seen) -> Answer:
        if seen.path.endswith("/log"):
            return refusal("403 no", "Permission check failed (/nodes/pve1, Sys.Audit)")
        return data({"status": "stopped", "exitstatus": "command failed"})

    async with RawServer(identity, respond) as server:
        with pytest.raises(TaskFailedError) as caught:
            await client_of(pool, server).tasks.wait(UPID)
    assert (caught.value.exitstatus, caught.value.log_tail) == ("command failed", ())


async def test_a_server_that_begins_each_page_at_the_first_line_tells_none_twice(
    pool: ProxmoxPool, identity: Identity
) -> None:
    lines = [{"n": number, "t": f"line {number}"} for number in range(1, 601)]

    def respond(seen: Seen) -> Answer:
        return data(lines, total=len(lines)) if seen.path.endswith("/log") else data({"exitstatus": "OK"})

    reader = Reader()
    async with RawServer(identity, respond) as server:
        await client_of(pool, server).tasks.wait(UPID, on_lines=reader)
    assert reader.text == [line["t"] for line in lines]


async def test_a_log_without_a_total_still_has_a_tail(pool: ProxmoxPool, identity: Identity) -> None:
    lines = [{"n": str(i), "t": i} for i in range(1, 31)]
    async with RawServer(identity, lambda _: data(lines)) as server:
        tail = await client_of(pool, server).tasks.tail(UPID)
    assert tail == [str(i) for i in range(11, 31)]


async def test_an_ended_task_whose_status_nobody_knows_has_failed(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda seen: data({"status": "stopped"} if "status" in seen.path else [])) as server:
        with pytest.raises(TaskFailedError, match="unexpected status"):
            await client_of(pool, server).tasks.wait(UPID)
        assert server.calls().count(server.calls()[0]) == tasks.POLLS_WITHOUT_EXITSTATUS


async def test_a_double_that_puts_the_exit_text_into_status_is_understood(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: data({"status": "OK"})) as server:
        assert (await client_of(pool, server).tasks.wait(UPID)).exitstatus == "OK"


@pytest.mark.parametrize("status", ["501 Method not implemented", "403 Permission check failed"])
async def test_a_task_without_a_log_still_ends_as_it_does(status: str, pool: ProxmoxPool, identity: Identity) -> None:
    task, reader = Task([([], ""), ([], "OK")]), Reader()

    def respond(seen: Seen) -> Answer:
        return refusal(status) if seen.path.endswith("/log") else task(seen)

    async with RawServer(identity, respond) as server:
        assert (await client_of(pool, server).tasks.wait(UPID, on_lines=reader)).exitstatus == "OK"
    assert reader.text == []


async def test_polls_that_reach_nobody_go_on_until_someone_answers(pool: ProxmoxPool, identity: Identity) -> None:
    task = Task([(["TASK OK"], "OK")])
    silent = 8

    def respond(seen: Seen) -> Answer:
        nonlocal silent
        silent -= 1
        if silent >= 0:
            return HANG_UP if silent % 2 else refusal("595 Connection refused")
        return task(seen)

    reader = Reader()
    async with RawServer(identity, respond) as server:
        assert (await client_of(pool, server).tasks.wait(UPID, on_lines=reader)).exitstatus == "OK"
    assert reader.text == ["TASK OK"]


async def test_an_error_of_a_busy_pve_is_borne_a_few_times_in_a_row(
    pool: ProxmoxPool, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(tasks, "POLL_GROWTH", 1)
    task = Task([([], ""), ([], "OK")])
    asked = 0

    def respond(seen: Seen) -> Answer:
        nonlocal asked
        asked += 1
        stumbles = is_dead or asked % tasks.TOLERATED_ERRORS
        return refusal("500 no worker", "unable to fork worker\n") if stumbles else task(seen)

    is_dead = False
    async with RawServer(identity, respond) as server:
        assert (await client_of(pool, server).tasks.wait(UPID)).exitstatus == "OK"
        assert asked == 2 * tasks.TOLERATED_ERRORS
        is_dead, asked = True, 0
        with pytest.raises(ApiError, match="unable to fork worker"):
            await client_of(pool, server).tasks.wait(UPID)
        assert asked == tasks.TOLERATED_ERRORS


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal("401 permission denied - invalid PVE ticket"), SessionExpiredError),
        (refusal("400 Parameter verification failed.", "x", {"upid": "no such task"}), ApiError),
        (refusal("501 Method not implemented", "x"), ApiError),
    ],
)
async def test_what_pve_refuses_ends_the_wait_and_stops_nothing(
    answer: Answer, error: type[Exception], pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: answer) as server:
        with pytest.raises(error):
            await client_of(pool, server).tasks.wait(UPID)
        assert len(server.seen) == 1


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20)), st.data())
def test_a_follower_hands_on_every_line_once_however_the_log_grows(lines: list[str], growth: st.DataObject) -> None:
    whole = "\n".join(lines)
    follower, handed = LogFollower(0), []
    cuts = sorted(growth.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    for cut, ended in [*((cut, False) for cut in cuts), (len(whole), True)]:
        shown = whole[:cut].split("\n") if whole[:cut] else []
        shown = lines if ended else shown
        page = [LogLine(n, t) for n, t in enumerate(shown, 1)][follower.start :]
        handed += follower.take(page, ended=ended)
    if lines == ["no content"]:
        assert handed == []
    else:
        assert [line.n for line in handed] == list(range(1, len(lines) + 1))


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the time limits for stopping a task, so that a slow machine does not exceed them."""
    monkeypatch.setattr(tasks, "STOP_REQUEST_S", 60.0)
    monkeypatch.setattr(tasks, "STOP_GRACE_S", 60.0)


async def test_the_deadline_stops_the_task(pool: ProxmoxPool, identity: Identity) -> None:
    task = Task([(["working"], "")])
    with pytest.raises(TaskTimeoutError) as caught:
        await wait(pool, identity, task, deadline_s=0.3)
    assert (caught.value.upid, task.stops) == (UPID, 1)


async def test_a_timeout_of_the_callbacks_own_is_not_the_deadline(pool: ProxmoxPool, identity: Identity) -> None:
    async def on_lines(_: Sequence[LogLine]) -> None:
        raise TimeoutError("the database")

    task = Task([(["a", "b"], "")])
    with pytest.raises(TimeoutError, match="the database"):
        await wait(pool, identity, task, on_lines=on_lines)
    assert task.stops == 0


async def cancelled_by_event(client: ProxmoxClient, task: Task) -> TaskCancelledError:
    cancel = asyncio.Event()
    waiter = asyncio.create_task(client.tasks.wait(UPID, cancel=cancel))
    await until(lambda: task.polls > 0)
    cancel.set()
    with pytest.raises(TaskCancelledError) as caught:
        await waiter
    return caught.value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("exitstatus", ["received interrupt", "OK"])
async def test_cancelling_stops_the_task_and_tells_how_it_ended(
    exitstatus: str, pool: ProxmoxPool, identity: Identity
) -> None:
    task = Task([(["working"], "")], exitstatus_of_stop=exitstatus)
    async with RawServer(identity, task) as server:
        error = await cancelled_by_event(client_of(pool, server), task)
    assert (error.upid, error.exitstatus, task.stops) == (UPID, exitstatus, 1)


async def test_cancelling_where_the_stop_is_refused_says_that_it_may_still_run(
    pool: ProxmoxPool, identity: Identity
) -> None:
    task = Task([(["working"], "")])

    def respond(seen: Seen) -> Answer:
        return refusal("403 no", "Permission check failed") if seen.method == "DELETE" else task(seen)

    async with RawServer(identity, respond) as server:
        error = await cancelled_by_event(client_of(pool, server), task)
    assert (error.exitstatus, task.stops) == ("", 0)


@pytest.mark.parametrize(
    "gone",
    [refusal("400 Parameter verification failed.", "x", {"upid": "no such task"}), data({"status": "stopped"})],
    ids=["forgotten", "no-exitstatus"],
)
async def test_a_task_that_is_over_in_whatever_way_does_not_go_on(
    gone: Answer, pool: ProxmoxPool, identity: Identity
) -> None:
    task = Task([(["working"], "")])

    def respond(seen: Seen) -> Answer:
        return gone if seen.path.endswith("/status") and task.stops else task(seen)

    async with RawServer(identity, respond) as server:
        error = await cancelled_by_event(client_of(pool, server), task)
    assert (error.exitstatus, task.stops) == ("unexpected status", 1)


async def test_cancelling_does_not_wait_for_an_endpoint_that_hangs(pool: ProxmoxPool, identity: Identity) -> None:
    task = Task([(["working"], "")])

    async def respond(seen: Seen) -> Answer:
        if seen.method == "GET" and not task.stops:
            task.polls += 1
            await asyncio.Event().wait()
        return task(seen)

    async with RawServer(identity, respond) as server:
        error = await cancelled_by_event(client_of(pool, server), task)
    assert (error.exitstatus, task.stops) == ("received interrupt", 1)


@pytest.mark.parametrize("stop", [True, False])
async def test_a_cancelled_coroutine_stops_the_task_unless_it_is_to_be_adopted(
    stop: bool, pool: ProxmoxPool, identity: Identity
) -> None:
    task = Task([(["working"], "")])
    async with RawServer(identity, task) as server:
        waiter = asyncio.create_task(client_of(pool, server).tasks.wait(UPID, stop_on_cancellation=stop))
        await until(lambda: task.polls > 0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
    assert task.stops == int(stop)
