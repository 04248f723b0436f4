"""The engine: async psycopg 3, with a limit on every wait."""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from lxc_dashboard.db.errors import DatabaseCode, translate
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message

DRIVER: Final = "postgresql+psycopg"
SCHEMES: Final = frozenset({"postgres", "postgresql", DRIVER})

POOL_SIZE: Final = 20  # for twenty creations at once: an overflow connection is opened for each use
POOL_OVERFLOW: Final = 10
POOL_TIMEOUT_S: Final = 10
POOL_RECYCLE_S: Final = 1800
PING_AFTER_IDLE_S: Final = 0.1  # a killed server takes longer to restart
CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30
IDLE_IN_TRANSACTION_TIMEOUT_S: Final = 60
UNACKNOWLEDGED_TIMEOUT_S: Final = 15


def database_url(text: str) -> URL:
    """Return ``text`` (``postgres://``, ``postgresql://``) with our driver.

    Raises ``InvalidInputError``, never with the password.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError) as error:
        raise InvalidInputError({"DATABASE_URL": Message.of(DatabaseCode.BAD_URL)}) from error
    if url.drivername not in SCHEMES:
        raise InvalidInputError({"DATABASE_URL": Message.of(DatabaseCode.BAD_SCHEME, scheme=url.drivername)})
    if not url.database:
        raise InvalidInputError({"DATABASE_URL": Message.of(DatabaseCode.NO_NAME)})
    return url.set(drivername=DRIVER)


def create_engine(
    url: str,
    *,
    pool_size: int = POOL_SIZE,
    max_overflow: int = POOL_OVERFLOW,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    application_name: str = "lxc-dashboard",
) -> AsyncEngine:
    """Return an engine that connects on first use and raises the errors of ``lxc_dashboard.errors``.

    Raises ``InvalidInputError`` for an invalid URL.
    """
    parsed = database_url(url)
    engine = create_async_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=POOL_RECYCLE_S,
        pool_use_lifo=True,  # the last used connection needs no ping and has prepared statements
        connect_args=_connect_args(parsed, statement_timeout_s, application_name),
    )
    event.listen(engine.sync_engine, "handle_error", _translate_error, retval=True)
    _ping_after_idle(engine)
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
        # These settings detect a vanished server, while sending and while waiting.
        "tcp_user_timeout": UNACKNOWLEDGED_TIMEOUT_S * 1000,
        "keepalives_idle": UNACKNOWLEDGED_TIMEOUT_S,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": f"{limits} {own if isinstance(own, str) else ' '.join(own)}".strip(),
    }


def _ping_after_idle(engine: AsyncEngine) -> None:
    """Before use, check a connection that was idle for ``PING_AFTER_IDLE_S``, and replace a dead one.

    SQLAlchemy's ``pool_pre_ping`` checks each time, which is every third statement of a busy worker.
    """
    dialect, clock = engine.dialect, time.monotonic

    def checked_in(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = clock()

    def checked_out(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or clock() - used_at < PING_AFTER_IDLE_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # the other connections were idle for longer and are dead, too

    event.listen(engine.sync_engine, "checkin", checked_in)
    event.listen(engine.sync_engine, "checkout", checked_out)


def _translate_error(context: ExceptionContext) -> BaseException | None:
    return translate(context.original_exception, statement=context.statement or "")
