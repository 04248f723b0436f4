"""Tasks for tests only: they write what happens to a stream."""

from __future__ import annotations

import asyncio

import structlog
from celery import shared_task

from lxc_dashboard.runtime import Runtime
from tasks.app import in_runtime

STREAM = "probe"


async def note(rt: Runtime, text: str) -> None:
    await rt.bus.publish(STREAM, [text.encode()], maxlen=10_000, ttl_s=600)


@shared_task(name="jobs.reap")
def reap() -> None:
    in_runtime(lambda rt: note(rt, "reap"))


@shared_task(name="probe.say")
def say(word: str) -> None:
    in_runtime(lambda rt: note(rt, word))


@shared_task(name="probe.context")
def context() -> None:
    async def tell(rt: Runtime) -> None:
        await note(rt, str(structlog.contextvars.get_contextvars().get("task")))

    in_runtime(tell)


@shared_task(name="probe.meet")
def meet(number: str, of: str) -> None:
    """Return only when all ``of`` tasks run at the same time."""

    async def wait_for_all(rt: Runtime) -> None:
        await rt.bus.add_member("probe:met", number, ttl_s=60)
        while len(await rt.bus.members("probe:met")) < int(of):
            await asyncio.sleep(0.02)
        await note(rt, f"met {number}")

    in_runtime(wait_for_all)


@shared_task(name="probe.sleep")
def sleep() -> None:
    async def doze(rt: Runtime) -> None:
        try:
            await note(rt, "asleep")  # the test may cancel this task before the write returns
            await asyncio.sleep(3600)
        finally:
            await note(rt, "woken")

    in_runtime(doze)


@shared_task(name="probe.fail")
def fail() -> None:
    raise ValueError("planted")
