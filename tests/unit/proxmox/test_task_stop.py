from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from lxc_dashboard.errors import TaskCancelledError, TaskTimeoutError
from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, tasks
from lxc_dashboard.proxmox.schemas import LogLine
from tests.unit.proxmox.replay import UPID, Answer, Identity, RawServer, Seen, data, refusal
from tests.unit.proxmox.task_double import Task, client_of, wait


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked to stop a task answers here, however slow the machine is."""
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
