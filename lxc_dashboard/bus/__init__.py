"""Redis or Valkey: streams, announcements, leases, limits, blobs, timetables and sets.

Values are bytes, and callers encrypt secrets. A lost connection is retried within ``RETRY_WITHIN_S``, then raises
``ServiceUnavailableError``. A call may take effect twice when its answer was lost. All calls tolerate that, and
readers of a stream drop numbers that they already have.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast

import stamina
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lxc_dashboard.bus import scripts
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.messages import Message, MessageCode

T = TypeVar("T")

ATTEMPTS: Final = 6
RETRY_WITHIN_S: Final = 2.0
FIRST_RETRY_AFTER_S: Final = 0.05
CONNECT_TIMEOUT_S: Final = 3
ANSWER_TIMEOUT_S: Final = 5
MAX_CONNECTIONS: Final = 1000
LISTEN_PING_S: Final = 10
BEGINNING: Final = "0-0"

_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError, OSError)
_REFUSING = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)
_NOT_WRITTEN: Final = "MISCONF"  # the disk is full: the library has no error class for it


class BusCode(MessageCode):
    SILENT = "bus.silent"
    DISK = "bus.disk"


class Bus:
    """One per process. Connects on first use. Every call may raise ``ServiceUnavailableError``."""

    def __init__(self, url: str) -> None:
        self._client: Redis = Redis.from_url(
            url,
            protocol=2,  # the code below depends on these shapes, and the library's default may change
            retry=Retry(NoBackoff(), 0),  # ``_call`` retries: the library's retries would multiply with it
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_keepalive=True,
            max_connections=MAX_CONNECTIONS,
            health_check_interval=LISTEN_PING_S,
        )
        self._publish = self._client.register_script(scripts.PUBLISH)
        self._hold = self._client.register_script(scripts.HOLD)
        self._release = self._client.register_script(scripts.RELEASE)
        self._hit = self._client.register_script(scripts.HIT)
        self._add = self._client.register_script(scripts.ADD)
        self._pace = self._client.register_script(scripts.PACE)
        self._unhit = self._client.register_script(scripts.UNHIT)
        self._set_with = self._client.register_script(scripts.SET_WITH)
        self._take_due = self._client.register_script(scripts.TAKE_DUE)

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        await self._call(self._client.ping)

    async def version(self) -> str:
        """Return the server's name and version, such as ``valkey 9.1.2``."""
        info = await self._call(lambda: self._client.info("server"))
        name = str(info.get("server_name", "redis"))
        return f"{name} {info.get(f'{name}_version', info.get('redis_version', ''))}"

    # Streams

    async def publish(
        self, stream: str, entries: Sequence[bytes], *, maxlen: int, ttl_s: float, max_bytes: int = 0
    ) -> str:
        """Append ``entries`` in order and atomically. Returns the last id.

        The stream drops its oldest entries above ``maxlen`` (approximately) or ``max_bytes`` of memory. It ends
        ``ttl_s`` after the last entry.
        """
        if not entries:
            return await self.last_id(stream)
        return await self.publish_all({stream: entries}, maxlen=maxlen, ttl_s=ttl_s, max_bytes=max_bytes)

    async def publish_all(
        self, entries: Mapping[str, Sequence[bytes]], *, maxlen: int, ttl_s: float, max_bytes: int = 0
    ) -> str:
        """Publish to several streams atomically. Returns the last id of the last stream.

        ``entries``: by stream, none empty.
        """
        arguments: list[int | bytes] = [maxlen, _ms(ttl_s), max_bytes]
        for several in entries.values():
            arguments += [len(several), *several]
        return _text(await self._call(lambda: self._publish(keys=list(entries), args=arguments)))

    async def read_after(
        self, stream: str, after: str, *, block_ms: int = 0, count: int = 1000
    ) -> list[tuple[str, bytes]]:
        """Return up to ``count`` entries after the id ``after``, as ``(id, data)``.

        ``0-0`` is the start. Waits up to ``block_ms`` for the first entry.
        """
        answer = await self._call(
            lambda: self._client.xread({stream: after}, count=count, block=block_ms or None),
            within_s=ANSWER_TIMEOUT_S + block_ms / 1000,
        )
        return [(_text(entry_id), fields[b"d"]) for _, entries in answer for entry_id, fields in entries]

    async def last_id(self, stream: str) -> str:
        """Return the id of the newest entry, ``0-0`` where there is none."""
        newest = await self._call(lambda: self._client.xrevrange(stream, count=1))
        return _text(newest[0][0]) if newest else BEGINNING

    # Announcements: only current listeners receive them

    async def announce(self, channel: str, message: bytes) -> None:
        await self._call(lambda: self._client.publish(channel, message))

    @asynccontextmanager
    async def listen(self, *channels: str) -> AsyncIterator[AsyncIterator[tuple[str, bytes]]]:
        """Yield channel and message of each announcement from now on.

        The iterator raises ``ServiceUnavailableError`` for a lost connection. Announcements before the next ``listen``
        are lost: read their data again after it.
        """
        async with self._client.pubsub(ignore_subscribe_messages=True) as listener:
            await self._call(lambda: listener.subscribe(*channels))
            yield self._announcements(listener)

    async def _announcements(self, listener: Any) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            message = await _translate_errors(
                lambda: listener.get_message(timeout=LISTEN_PING_S / 2), LISTEN_PING_S + ANSWER_TIMEOUT_S
            )
            if message is not None:
                yield _text(message["channel"]), message["data"]

    # Leases

    async def acquire_lease(self, key: str, owner: str, ttl_s: float) -> bool:
        """Take a free lease, or prolong the owner's. Returns whether ``owner`` holds it for ``ttl_s`` from now."""
        return bool(await self._call(lambda: self._hold(keys=[key], args=(owner, _ms(ttl_s), 1))))

    async def renew_lease(self, key: str, owner: str, ttl_s: float) -> bool:
        """Prolong the lease. Returns False where it has ended: another owner may hold it."""
        return bool(await self._call(lambda: self._hold(keys=[key], args=(owner, _ms(ttl_s), 0))))

    async def release_lease(self, key: str, owner: str) -> bool:
        """Release the lease. Returns whether ``owner`` held it. Leaves another owner's lease."""
        return bool(await self._call(lambda: self._release(keys=[key], args=(owner,))))

    async def lease_holder(self, key: str) -> str:
        """Return the owner, empty for a free lease."""
        holder = await self.get(key)
        return "" if holder is None else holder.decode()

    # Limits

    async def hit(self, key: str, limit: int, window_s: float) -> int:
        """Count one attempt. Returns 0 within the limit, else the seconds until the window ends.

        The first attempt opens a window of ``window_s``.
        """
        wait_ms = await self._call(lambda: self._hit(keys=[key], args=(limit, _ms(window_s))))
        return math.ceil(int(wait_ms) / 1000)

    async def unhit(self, key: str) -> None:
        """Take one attempt back, if any is counted. The window stays."""
        await self._call(lambda: self._unhit(keys=[key]))

    async def pace(self, key: str, *, at_once: int, each_s: float, patience_s: float) -> tuple[bool, float]:
        """Ask for a turn: ``at_once`` without waiting, then one each ``each_s``.

        Returns whether there is a turn, and the seconds to wait before it. A caller who would wait longer than
        ``patience_s`` gets no turn and takes no place.
        """
        limits = (at_once, _ms(each_s), _ms(patience_s))
        wait_ms = int(await self._call(lambda: self._pace(keys=[key], args=limits)))
        return wait_ms >= 0, abs(wait_ms) / 1000

    # Blobs

    async def get(self, key: str) -> bytes | None:
        return cast("bytes | None", await self._call(lambda: self._client.get(key)))

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Set ``key`` for ``ttl_s``."""
        await self._call(lambda: self._client.set(key, value, px=_ms(ttl_s)))

    async def swap(self, key: str, value: bytes, *, ttl_s: float) -> bytes | None:
        """Set ``key`` for ``ttl_s`` and return its previous value."""
        return cast("bytes | None", await self._call(lambda: self._client.set(key, value, px=_ms(ttl_s), get=True)))

    async def set_new(self, key: str, value: bytes, *, ttl_s: float) -> bool:
        """Set ``key`` if it is free. Returns whether it was.

        After a lost answer, False may mean that the lost call has set it.
        """
        return bool(await self._call(lambda: self._client.set(key, value, px=_ms(ttl_s), nx=True)))

    async def set_with(self, key: str, value: bytes, *, other: str) -> bool:
        """Set ``key`` until ``other`` ends. Returns False, and sets nothing, where ``other`` does not exist."""
        return bool(await self._call(lambda: self._set_with(keys=[key, other], args=(value,))))

    async def take(self, key: str) -> bytes | None:
        """Return and delete the value. Only one of several callers gets it."""
        return cast("bytes | None", await self._call(lambda: self._client.getdel(key)))

    async def prolong(self, key: str, ttl_s: float) -> bool:
        """Let ``key`` end ``ttl_s`` from now. Returns whether it exists."""
        return bool(await self._call(lambda: self._client.pexpire(key, _ms(ttl_s))))

    async def lasts_s(self, key: str) -> float:
        """Return the seconds until ``key`` ends, 0 where it does not exist."""
        return float(max(await self._call(lambda: self._client.pttl(key)), 0)) / 1000

    async def delete(self, *keys: str) -> int:
        """Delete the keys. Returns how many existed."""
        return int(await self._call(lambda: self._client.delete(*keys))) if keys else 0

    # Timetables: members with the time (epoch seconds) when they are due

    async def put_due(self, key: str, member: str, *, at: float, ttl_s: float) -> None:
        """Schedule ``member`` for ``at``. The timetable lasts ``ttl_s`` from its last change, or longer."""
        await self._call(lambda: self._add(keys=[key], args=(_ms(ttl_s), "ZADD", at, member)))

    async def take_due(self, key: str, *, until: float, again_at: float, count: int) -> list[str]:
        """Return up to ``count`` members due by ``until``, and schedule them again for ``again_at``.

        Only one of several callers gets a member.
        """
        taken = await self._call(lambda: self._take_due(keys=[key], args=(until, again_at, count)))
        return [_text(member) for member in taken]

    async def due(self, key: str, count: int) -> list[str]:
        """Return up to ``count`` members, the latest due first."""
        return [_text(member) for member in await self._call(lambda: self._client.zrevrange(key, 0, count - 1))]

    async def drop_due(self, key: str, member: str) -> bool:
        return bool(await self._call(lambda: self._client.zrem(key, member)))

    # Sets

    async def add_member(self, key: str, member: str, *, ttl_s: float) -> None:
        """Add ``member``. The set lasts ``ttl_s`` from its last change, or longer."""
        await self._call(lambda: self._add(keys=[key], args=(_ms(ttl_s), "SADD", member)))

    async def remove_member(self, key: str, member: str) -> bool:
        return bool(await self._call(lambda: self._client.srem(key, member)))

    async def members(self, key: str) -> frozenset[str]:
        return frozenset(map(_text, await self._call(lambda: self._client.smembers(key))))

    async def _call(self, call: Callable[[], Any], within_s: float = ANSWER_TIMEOUT_S) -> Any:
        """Run ``call``, and retry after a lost connection. Each try may take ``within_s``."""
        return await _translate_errors(lambda: _with_retries(call, within_s), None)


async def _with_retries(call: Callable[[], Awaitable[T]], within_s: float) -> T:
    attempts = stamina.retry_context(
        on=_LOST, attempts=ATTEMPTS, timeout=RETRY_WITHIN_S, wait_initial=FIRST_RETRY_AFTER_S, wait_max=0.5
    )
    async for attempt in attempts:
        with attempt:
            async with asyncio.timeout(within_s):
                return await call()
    raise ServiceUnavailableError(Message.of(BusCode.SILENT))


async def _translate_errors(call: Callable[[], Awaitable[T]], within_s: float | None) -> T:
    try:
        async with asyncio.timeout(within_s):
            return await call()
    except (*_LOST, *_REFUSING) as error:
        raise ServiceUnavailableError(Message.of(BusCode.SILENT), detail=f"{type(error).__name__}: {error}") from error
    except exceptions.ResponseError as error:
        if _NOT_WRITTEN not in str(error):
            raise
        raise ServiceUnavailableError(Message.of(BusCode.DISK), detail=str(error)) from error


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
