"""Data that a test writes to embedded servers and reads again later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from redis.asyncio import Redis

from lxc_dashboard.embedded import EmbeddedServices

Hold = Callable[..., Any]


async def write(services: EmbeddedServices) -> None:
    with psycopg.connect(services.database_url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('stays')")
    client = Redis.from_url(services.redis_url)
    await client.set("kept", "stays")
    await client.aclose()


async def read(database_url: str, redis_url: str) -> tuple[Any, Any]:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT word FROM kept").fetchone()
    client = Redis.from_url(redis_url)
    word = await client.get("kept")
    await client.aclose()
    return row, word
