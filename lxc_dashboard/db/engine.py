"""The engine: psycopg 3 in its async form, with limits on everything that could wait for ever."""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from lxc_dashboard.db.errors import translate
from lxc_dashboard.errors import InvalidInputError

DRIVER: Final = "postgresql+psycopg"
SCHEMES: Final = frozenset({"postgres", "postgresql", DRIVER})

POOL_SIZE: Final = (
    20  # twenty creations at once, each with its lease, its log and its steps: what overflows connects anew each time
)
POOL_OVERFLOW: Final = 10
POOL_TIMEOUT_S: Final = 10
POOL_RECYCLE_S: Final = 1800
RESTED_AFTER_S: Final = 0.1  # sooner no server that was killed is back
CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30
IDLE_IN_TRANSACTION_TIMEOUT_S: Final = 60
UNACKNOWLEDGED_TIMEOUT_S: Final = 15


def database_url(text: str) -> URL:
    """``text`` (``postgres://``, ``postgresql://``) with our driver. Raises ``InvalidInputError``, never with the password."""
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError) as error:
        raise InvalidInputError({"DATABASE_URL": "is no URL like postgresql://user:password@host:5432/name"}) from error
    if url.drivername not in SCHEMES:
        raise InvalidInputError({"DATABASE_URL": f"starts with {url.drivername}://, not with postgresql://"})
    if not url.database:
        raise InvalidInputError({"DATABASE_URL": "names no database"})
    return url.set(drivername=DRIVER)


def create_engine(
    url: str,
    *,
    pool_size: int = POOL_SIZE,
    max_overflow: int = POOL_OVERFLOW,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    application_name: str = "lxc-dashboard",
) -> AsyncEngine:
    """An engine that connects on first use. Its errors are already those of ``lxc_dashboard.errors``.

    Raises ``InvalidInputError`` for a URL that cannot be one.
    """
    parsed = database_url(url)
    engine = create_async_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=POOL_RECYCLE_S,
        pool_use_lifo=True,  # the one that was used last: it needs no ping, and has its statements prepared
        connect_args=_connect_args(parsed, statement_timeout_s, application_name),
    )
    event.listen(engine.sync_engine, "handle_error", _translate_at_the_door, retval=True)
    _ping_after_a_rest(engine)
    return engine


def _connect_args(url: URL, statement_timeout_s: float, application_name: str) -> dict[str, Any]:
    own = url.query.get("options", "")
    limits = (
        f"-c statement_timeout={round(statement_timeout_s * 1000)}"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S * 1000}"
        " -c timezone=UTC"
    )
    return {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        # a server that vanished without a word is noticed, whether we are sending or waiting
        "tcp_user_timeout": UNACKNOWLEDGED_TIMEOUT_S * 1000,
        "keepalives_idle": UNACKNOWLEDGED_TIMEOUT_S,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": f"{limits} {own if isinstance(own, str) else ' '.join(own)}".strip(),
    }


def _ping_after_a_rest(engine: AsyncEngine) -> None:
    """A connection that was not used for ``RESTED_AFTER_S`` is asked before it is used, and one that is dead replaced. SQLAlchemy's
    own ``pool_pre_ping`` asks each time: of a busy worker's statements that is every third.
    """
    dialect, clock = engine.dialect, time.monotonic

    def checked_in(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = clock()

    def checked_out(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or clock() - used_at < RESTED_AFTER_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # the others were made before it died, too

    event.listen(engine.sync_engine, "checkin", checked_in)
    event.listen(engine.sync_engine, "checkout", checked_out)


def _translate_at_the_door(context: ExceptionContext) -> BaseException | None:
    return translate(context.original_exception, statement=context.statement or "")
