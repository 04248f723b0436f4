"""The worker: Celery on one event loop, with its schedule and log context.

Tasks are thin: ``@shared_task(name="area.verb")`` and one line, ``in_runtime(lambda rt: service.verb(rt, id))``.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, cast

import structlog
from celery import Celery, beat, current_app, signals
from celery.exceptions import SecurityWarning
from kombu import Connection
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry

from lxc_dashboard.queue import create_celery
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings
from tasks.loop import WorkerLoop

log = structlog.get_logger(__name__)
T = TypeVar("T")

READ_SOURCES_EVERY_S: Final = 60
RENEW_TICKETS_EVERY_S: Final = 60
FORGET_EVERY_S: Final = 60
# redbeat's own defaults would keep a dead beat's lock for 25 minutes.
BEAT_MAX_LOOP_S: Final = 1
BEAT_LOCK_S: Final = 6
BEAT_RESTART_AFTER_S: Final = 1
# Kombu's default pause grows to 30 s, and jobs would wait that long after Redis is back.
LOOK_FOR_REDIS: Final = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 3.0}
SPARE_THREADS: Final = 4  # for short tasks while all jobs run
BEGAN_AT: Final = datetime.now(UTC)
BEGAN_S: Final = time.monotonic()

TASK_MODULES: Final = ("tasks.auth", "tasks.jobs", "tasks.monitor", "tasks.templates")


class PersistentConnection(Connection):
    """The worker's connection to its queue. Retries within a few seconds, however long Redis is away."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **LOOK_FOR_REDIS | options)


class WorkerApp(Celery):
    """Celery with the event loop of its tasks."""

    worker_loop: WorkerLoop

    def now(self) -> datetime:
        """The schedule's clock. It does not go back if the host's clock does."""
        return BEGAN_AT + timedelta(seconds=time.monotonic() - BEGAN_S)


def create_app(settings: Settings, *, task_modules: Sequence[str] = TASK_MODULES) -> WorkerApp:
    """The worker's Celery: threads, the schedule, and the loop (opened when the worker starts)."""
    redis_url = settings.REDIS_URL.get_secret_value()
    app = create_celery(redis_url, WorkerApp)
    app.amqp.Connection = PersistentConnection
    app.conf.update(
        imports=task_modules,
        worker_pool="threads",
        worker_concurrency=settings.CREATIONS_PER_WORKER + SPARE_THREADS,
        beat_schedule={
            "reap jobs": _every(settings.TIMING.reap_every_s, "jobs.reap"),
            "read template sources": _every(READ_SOURCES_EVERY_S, "templates.sync_due"),
            "renew tickets of sessions": _every(RENEW_TICKETS_EVERY_S, "auth.renew"),
            "end what cancelled jobs left": _every(settings.TIMING.settle_every_s, "jobs.settle"),
            "renew tickets of jobs": _every(RENEW_TICKETS_EVERY_S, "jobs.renew"),
            "forget containers deleted in PVE": _every(FORGET_EVERY_S, "monitor.forget"),
        },
        beat_scheduler=RedBeatScheduler,
        beat_max_loop_interval=BEAT_MAX_LOOP_S,
        redbeat_redis_url=redis_url,
        redbeat_redis_options={"socket_connect_timeout": 3, "socket_timeout": 5},
        redbeat_lock_timeout=BEAT_LOCK_S,
        redbeat_key_prefix="lxc-dashboard:beat:",
    )
    name = f"{socket.gethostname()}:{os.getpid()}"
    app.worker_loop = WorkerLoop(lambda: Runtime.open(settings), name, places=settings.CREATIONS_PER_WORKER)
    return app


def _every(seconds: float, task: str) -> dict[str, Any]:
    """An entry of the schedule. It never expires: a worker would judge that by the clock of its own host.

    A turn right after another one is short.
    """
    return {"task": task, "schedule": seconds, "options": {"ignore_result": True}}


def in_runtime(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Run ``work`` on the loop of the worker that runs this task."""
    return cast("WorkerApp", current_app).worker_loop.run(work)


def in_place(work: Callable[[Runtime], Awaitable[object]]) -> None:
    """As ``in_runtime``, in one of the worker's places; see ``WorkerLoop.run_in_place``."""
    cast("WorkerApp", current_app).worker_loop.run_in_place(work)


def run_worker(app: WorkerApp, *, with_beat: bool = True) -> None:
    """Run until SIGTERM or SIGINT. Work is cancelled at its next await, and the next worker's reaper finds its job."""
    # Celery warns about pickle if root runs it; pickle is not accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app.worker_loop.start()
    app.set_default()
    ending = threading.Event()
    receivers = _connect(app)
    if with_beat:
        threading.Thread(target=_beat, args=(app, ending), name="beat", daemon=True).start()
    try:
        worker = app.Worker(
            pool="threads",
            concurrency=app.conf.worker_concurrency,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        worker.start()
    finally:
        ending.set()
        app.worker_loop.stop()
        _disconnect(receivers)


Receivers = list[tuple[Any, Callable[..., None]]]


def _connect(app: WorkerApp) -> Receivers:
    """Connect the receivers of Celery's signals; return them for ``_disconnect``."""

    def logs_as_they_are(**_: Any) -> None:
        """With a receiver here, Celery does not set up logging, which would drop all below WARNING."""

    def ready(**_: Any) -> None:
        log.info("worker ready", concurrency=app.conf.worker_concurrency)
        app.send_task("jobs.reap", ignore_result=True)

    def ticking(sender: beat.Service, **_: Any) -> None:
        _make_due(app, sender.scheduler)

    def ending(**_: Any) -> None:
        # the pool waits for its threads, and the threads wait for the loop
        app.worker_loop.stop()

    def begun(task_id: str, task: Any, kwargs: dict[str, Any], **_: Any) -> None:
        structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id, **kwargs)

    def done(**_: Any) -> None:
        structlog.contextvars.clear_contextvars()

    receivers: Receivers = [
        (signals.setup_logging, logs_as_they_are),
        (signals.worker_ready, ready),
        (signals.beat_init, ticking),
        (signals.worker_shutting_down, ending),
        (signals.task_prerun, begun),
        (signals.task_postrun, done),
    ]
    for signal, receiver in receivers:
        signal.connect(receiver, weak=False)
    return receivers


def _disconnect(receivers: Receivers) -> None:
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def _make_due(app: WorkerApp, scheduler: RedBeatScheduler) -> None:
    """Make all entries due once this beat holds the lock: the former beat may have used another clock."""
    if scheduler.lock is None:
        return
    for name, entry in app.conf.beat_schedule.items():
        known = RedBeatSchedulerEntry.from_key(RedBeatSchedulerEntry.generate_key(app, name), app=app)
        known.reschedule(app.now() - timedelta(seconds=entry["schedule"]))


def _beat(app: WorkerApp, ending: threading.Event) -> None:
    """Run beat, again after each end, as it ends when Redis is away. redbeat's lock lets one of many beats tick."""
    while not ending.is_set():
        service = beat.Service(app, scheduler_cls=RedBeatScheduler)
        try:
            service.start()
        except Exception as error:  # noqa: BLE001 -- the schedule must go on after any error
            log.warning("beat ended, starting again", cause=str(error))
        ending.wait(BEAT_RESTART_AFTER_S)
