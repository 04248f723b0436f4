"""Sends work to Celery by task name and ids. Only this module and ``tasks`` import Celery.

A message may be lost or come twice. So callers commit a row first, and the reaper finds rows whose message was lost.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as over_redis
from redis.exceptions import RedisError

from lxc_dashboard.errors import ErrorCode, ServiceUnavailableError
from lxc_dashboard.messages import Message

log = structlog.get_logger(__name__)

AnyCelery = TypeVar("AnyCelery", bound=Celery)

APP_NAME: Final = "lxc-dashboard"
QUEUE_NAME: Final = "lxc-dashboard"
# After this time Redis delivers a message again that a dead worker had fetched and not started.
VISIBILITY_TIMEOUT_S: Final = 300
ANSWER_TIMEOUT_S: Final = 2  # for each try; the reaper finds jobs whose message was not sent
SEND_RETRIES: Final = {"max_retries": 4, "interval_start": 0.05, "interval_step": 0.2, "interval_max": 0.5}


def create_celery(redis_url: str, kind: type[AnyCelery]) -> AnyCelery:
    """Return an app with the shared settings: JSON only, no results, acknowledged before the work starts."""
    app = kind(APP_NAME, broker=redis_url, set_as_current=False)
    app.conf.update(_SHARED)
    return app


_SHARED: Final[dict[str, Any]] = {
    "task_default_queue": QUEUE_NAME,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "task_acks_late": False,
    "task_publish_retry_policy": SEND_RETRIES,
    "worker_prefetch_multiplier": 1,
    "worker_hijack_root_logger": False,
    "worker_send_task_events": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    "enable_utc": True,
    "timezone": "UTC",
}


class QoS(over_redis.QoS):
    """The messages that a worker has fetched and not started. Returns them when its connection closes.

    Only logs a failure, which would end the worker: the messages come again after ``VISIBILITY_TIMEOUT_S``.
    """

    def restore_unacked_once(self, stderr: Any = None) -> None:
        try:
            super().restore_unacked_once(stderr)
        except Exception as error:  # noqa: BLE001 - kombu raises various errors
            log.warning("messages not returned", reason=str(error))


class Channel(over_redis.Channel):
    QoS = QoS


class Transport(over_redis.Transport):
    Channel = Channel


# Kombu chooses the transport, and whether to use TLS, by the scheme of the URL.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))


class Queue:
    """The sender. One per process. Connects on first use."""

    def __init__(self, redis_url: str) -> None:
        self._celery = create_celery(redis_url, Celery)
        # Only for the sender: a worker's connection waits for its next message.
        answering = {"socket_timeout": ANSWER_TIMEOUT_S, "retry_on_timeout": False}
        self._celery.conf.broker_transport_options = _SHARED["broker_transport_options"] | answering

    async def enqueue(self, name: str, **ids: str) -> None:
        """Have a worker run the task ``name`` with ``ids``. Raises ``ServiceUnavailableError``."""
        await asyncio.to_thread(self._send, name, ids)

    def _send(self, name: str, ids: dict[str, str]) -> None:
        try:
            self._celery.send_task(name, kwargs=ids, ignore_result=True)
        except (OperationalError, RedisError, OSError) as error:
            raise ServiceUnavailableError(Message.of(ErrorCode.QUEUE_SILENT), detail=str(error)) from error

    def close(self) -> None:
        self._celery.close()
