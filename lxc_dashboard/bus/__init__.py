"""Redis (or Valkey): streams, announcements, leases, limits, blobs that end by themselves, sets.

Everything is bytes in and out; what must be secret is encrypted by the caller. One policy for a lost connection: a few tries
within two seconds, then ``ServiceUnavailableError``. A call may therefore take effect twice when its answer was lost: all
calls here bear that, and who reads a stream drops the numbers he knows already.
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
_NOT_WRITTEN: Final = "MISCONF"  # its disk is full: the library has no error of its own for that


class Bus:
    """One per process. Connects on first use; every call may raise ``ServiceUnavailableError``."""

    def __init__(self, url: str) -> None:
        self._client: Redis = Redis.from_url(
            url,
            protocol=2,  # the shapes below; the library's default may change
            retry=Retry(NoBackoff(), 0),  # the policy is ours, below: the library's own would multiply with it
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
        """The server's name and version, such as ``valkey 9.1.2``."""
        info = await self._call(lambda: self._client.info("server"))
        name = str(info.get("server_name", "redis"))
        return f"{name} {info.get(f'{name}_version', info.get('redis_version', ''))}"

    # Streams

    async def publish(
        self, stream: str, entries: Sequence[bytes], *, maxlen: int, ttl_s: float, max_bytes: int = 0
    ) -> str:
        """Append ``entries``, in order and together; the last one's id. The stream forgets its oldest entries over ``maxlen`` (roughly)
        or ``max_bytes`` of the server's memory, and itself ``ttl_s`` after the last entry.
        """
        if not entries:
            return await self.last_id(stream)
        return await self.publish_all({stream: entries}, maxlen=maxlen, ttl_s=ttl_s, max_bytes=max_bytes)

    async def publish_all(
        self, entries: Mapping[str, Sequence[bytes]], *, maxlen: int, ttl_s: float, max_bytes: int = 0
    ) -> str:
        """``publish`` to many streams, all or none of it; the last id of the last stream. ``entries``: by stream, at least one each."""
        arguments: list[int | bytes] = [maxlen, _ms(ttl_s), max_bytes]
        for several in entries.values():
            arguments += [len(several), *several]
        return _text(await self._call(lambda: self._publish(keys=list(entries), args=arguments)))

    async def read_after(
        self, stream: str, after: str, *, block_ms: int = 0, count: int = 1000
    ) -> list[tuple[str, bytes]]:
        """Up to ``count`` entries after the id ``after`` (``0-0``: from the start), waiting up to ``block_ms`` for the first one."""
        answer = await self._call(
            lambda: self._client.xread({stream: after}, count=count, block=block_ms or None),
            within_s=ANSWER_TIMEOUT_S + block_ms / 1000,
        )
        return [(_text(entry_id), fields[b"d"]) for _, entries in answer for entry_id, fields in entries]

    async def last_id(self, stream: str) -> str:
        """The id of the newest entry, ``0-0`` where there is none."""
        newest = await self._call(lambda: self._client.xrevrange(stream, count=1))
        return _text(newest[0][0]) if newest else BEGINNING

    # Announcements: only who listens now hears them

    async def announce(self, channel: str, message: bytes) -> None:
        await self._call(lambda: self._client.publish(channel, message))

    @asynccontextmanager
    async def listen(self, *channels: str) -> AsyncIterator[AsyncIterator[tuple[str, bytes]]]:
        """Channel and message of each announcement from now on. The iterator raises ``ServiceUnavailableError`` when the connection is
        lost: what was said meanwhile is lost, too, so look again at whatever was announced.
        """
        async with self._client.pubsub(ignore_subscribe_messages=True) as listener:
            await self._call(lambda: listener.subscribe(*channels))
            yield self._heard(listener)

    async def _heard(self, listener: Any) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            message = await _translated(
                lambda: listener.get_message(timeout=LISTEN_PING_S / 2), LISTEN_PING_S + ANSWER_TIMEOUT_S
            )
            if message is not None:
                yield _text(message["channel"]), message["data"]

    # Leases

    async def acquire_lease(self, key: str, owner: str, ttl_s: float) -> bool:
        """Whether ``owner`` holds the lease now: it was free, or his already (then it lasts ``ttl_s`` from now)."""
        return bool(await self._call(lambda: self._hold(keys=[key], args=(owner, _ms(ttl_s), 1))))

    async def renew_lease(self, key: str, owner: str, ttl_s: float) -> bool:
        """Whether ``owner`` still held it. False: it ended, and whatever it guarded may be another's by now."""
        return bool(await self._call(lambda: self._hold(keys=[key], args=(owner, _ms(ttl_s), 0))))

    async def release_lease(self, key: str, owner: str) -> bool:
        """Whether ``owner`` held it; another's is left alone."""
        return bool(await self._call(lambda: self._release(keys=[key], args=(owner,))))

    async def lease_holder(self, key: str) -> str:
        """The owner, empty while the lease is free."""
        holder = await self.get(key)
        return "" if holder is None else holder.decode()

    # Limits

    async def hit(self, key: str, limit: int, window_s: float) -> int:
        """Count one attempt. 0 while there were at most ``limit`` in the window that the first one opened, else the seconds until it ends."""
        wait_ms = await self._call(lambda: self._hit(keys=[key], args=(limit, _ms(window_s))))
        return math.ceil(int(wait_ms) / 1000)

    async def unhit(self, key: str) -> None:
        """Give one attempt back, where any is counted; the window stays."""
        await self._call(lambda: self._unhit(keys=[key]))

    async def pace(self, key: str, *, at_once: int, each_s: float, patience_s: float) -> tuple[bool, float]:
        """Let one more in: ``at_once`` without a wait, then one each ``each_s``.

        Whether it is let in, and the seconds that it has to wait before. Nobody is let in who would wait longer than
        ``patience_s``; that takes no place from others.
        """
        limits = (at_once, _ms(each_s), _ms(patience_s))
        wait_ms = int(await self._call(lambda: self._pace(keys=[key], args=limits)))
        return wait_ms >= 0, abs(wait_ms) / 1000

    # Blobs

    async def get(self, key: str) -> bytes | None:
        return cast("bytes | None", await self._call(lambda: self._client.get(key)))

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Nothing is kept without an end."""
        await self._call(lambda: self._client.set(key, value, px=_ms(ttl_s)))

    async def swap(self, key: str, value: bytes, *, ttl_s: float) -> bytes | None:
        """``set``, and what was there before."""
        return cast("bytes | None", await self._call(lambda: self._client.set(key, value, px=_ms(ttl_s), get=True)))

    async def set_new(self, key: str, value: bytes, *, ttl_s: float) -> bool:
        """Whether ``key`` was free and is set now. After a lost answer, False may mean that the lost call had set it."""
        return bool(await self._call(lambda: self._client.set(key, value, px=_ms(ttl_s), nx=True)))

    async def set_with(self, key: str, value: bytes, *, other: str) -> bool:
        """Set ``key`` to end when ``other`` does. False where ``other`` is gone: then nothing is set, in the same instant."""
        return bool(await self._call(lambda: self._set_with(keys=[key, other], args=(value,))))

    async def take(self, key: str) -> bytes | None:
        """The value, which is gone afterwards: of many takers one gets it."""
        return cast("bytes | None", await self._call(lambda: self._client.getdel(key)))

    async def prolong(self, key: str, ttl_s: float) -> bool:
        """Have ``key`` end ``ttl_s`` from now; whether it is there."""
        return bool(await self._call(lambda: self._client.pexpire(key, _ms(ttl_s))))

    async def lasts_s(self, key: str) -> float:
        """How long ``key`` is there yet, 0 where it is not."""
        return float(max(await self._call(lambda: self._client.pttl(key)), 0)) / 1000

    async def delete(self, *keys: str) -> int:
        """How many of them there were."""
        return int(await self._call(lambda: self._client.delete(*keys))) if keys else 0

    # Timetables: members, each with the time (epoch seconds) at which it is due

    async def put_due(self, key: str, member: str, *, at: float, ttl_s: float) -> None:
        """Have ``member`` due at ``at``. The timetable ends ``ttl_s`` after its last change: its life only grows."""
        await self._call(lambda: self._add(keys=[key], args=(_ms(ttl_s), "ZADD", at, member)))

    async def take_due(self, key: str, *, until: float, again_at: float, count: int) -> list[str]:
        """Up to ``count`` members that are due by ``until``; of many takers one gets each. They are due again at ``again_at``."""
        taken = await self._call(lambda: self._take_due(keys=[key], args=(until, again_at, count)))
        return [_text(member) for member in taken]

    async def due(self, key: str, count: int) -> list[str]:
        """Up to ``count`` members, the one that is due last first. They stay as they are."""
        return [_text(member) for member in await self._call(lambda: self._client.zrevrange(key, 0, count - 1))]

    async def drop_due(self, key: str, member: str) -> bool:
        return bool(await self._call(lambda: self._client.zrem(key, member)))

    # Sets

    async def add_member(self, key: str, member: str, *, ttl_s: float) -> None:
        """The set ends when the last of its members would: its life only grows."""
        await self._call(lambda: self._add(keys=[key], args=(_ms(ttl_s), "SADD", member)))

    async def remove_member(self, key: str, member: str) -> bool:
        return bool(await self._call(lambda: self._client.srem(key, member)))

    async def members(self, key: str) -> frozenset[str]:
        return frozenset(map(_text, await self._call(lambda: self._client.smembers(key))))

    async def _call(self, call: Callable[[], Any], within_s: float = ANSWER_TIMEOUT_S) -> Any:
        """``call``, again after a lost connection, each try ``within_s``."""
        return await _translated(lambda: _tried(call, within_s), None)


async def _tried(call: Callable[[], Awaitable[T]], within_s: float) -> T:
    attempts = stamina.retry_context(
        on=_LOST, attempts=ATTEMPTS, timeout=RETRY_WITHIN_S, wait_initial=FIRST_RETRY_AFTER_S, wait_max=0.5
    )
    async for attempt in attempts:
        with attempt:
            async with asyncio.timeout(within_s):
                return await call()
    raise ServiceUnavailableError("Redis does not answer")


async def _translated(call: Callable[[], Awaitable[T]], within_s: float | None) -> T:
    try:
        async with asyncio.timeout(within_s):
            return await call()
    except (*_LOST, *_REFUSING) as error:
        raise ServiceUnavailableError("Redis does not answer", detail=f"{type(error).__name__}: {error}") from error
    except exceptions.ResponseError as error:
        if _NOT_WRITTEN not in str(error):
            raise
        raise ServiceUnavailableError("Redis cannot write to its disk", detail=str(error)) from error


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
