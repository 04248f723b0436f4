"""Migrates the database up and down, one process at a time. All functions block: use ``asyncio.to_thread``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from lxc_dashboard.db.engine import CONNECT_TIMEOUT_S, database_url
from lxc_dashboard.db.errors import DatabaseCode, translate
from lxc_dashboard.errors import InvalidInputError, ServiceUnavailableError
from lxc_dashboard.messages import Message

log = structlog.get_logger(__name__)

# Our migrations' key among PostgreSQL's advisory locks: "lxcdash" in ASCII.
ADVISORY_LOCK: Final = 0x6C786364617368
WAIT_FOR_OTHERS_S: Final = 300

_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Return the folder of the migrations: inside the package in a wheel, at the top of the source tree otherwise.

    Raises ``ServiceUnavailableError`` where they are missing.
    """
    for place in (_PACKAGE / "migrations", _PACKAGE.parent / "alembic"):
        if (place / "env.py").is_file():
            return place
    raise ServiceUnavailableError(Message.of(DatabaseCode.NO_MIGRATIONS), detail=str(_PACKAGE))


def head() -> str:
    """Return the newest revision of this version. Raises ``ServiceUnavailableError`` without migrations."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    if newest is None:
        raise ServiceUnavailableError(Message.of(DatabaseCode.NO_MIGRATIONS))
    return newest


def current(url: str) -> str | None:
    """Return the database's revision, None before the first migration.

    Raises ``ServiceUnavailableError``, ``InvalidInputError``.
    """
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to ``revision``. Several processes may call it at once: the others wait.

    Raises ``ServiceUnavailableError`` (not reachable, or a table is locked), ``InvalidInputError`` (URL, revision).
    """
    with _migrating(url) as config:
        command.upgrade(config, revision)
    log.info("database upgraded", revision=revision)


def downgrade(url: str, revision: str) -> None:
    """Downgrade to ``revision`` (``base``: empty). Deletes the data of newer tables. Raises as ``upgrade``."""
    with _migrating(url) as config:
        command.downgrade(config, revision)
    log.info("database downgraded", revision=revision)


@contextmanager
def _migrating(url: str) -> Iterator[Config]:
    """Yield a configuration with a connection that holds the advisory lock. Closing it releases the lock."""
    with _connected(url) as connection:
        connection.execute(text(f"SET lock_timeout = '{WAIT_FOR_OTHERS_S}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        try:
            yield config
        except CommandError as error:
            raise InvalidInputError({"revision": str(error)}, Message.of(DatabaseCode.NO_REVISION)) from error


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(
        database_url(url),
        poolclass=NullPool,
        connect_args={"application_name": "lxc-dashboard migrate", "connect_timeout": CONNECT_TIMEOUT_S},
    )
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    return config
