"""Runs migrations on the connection of ``lxc_dashboard.db.migrate``, or of ``alembic -x url=``."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from lxc_dashboard.db.engine import database_url
from lxc_dashboard.db.models import Table


def run_on(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Table.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def run_on_argument() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("Name the database: alembic -x url=postgresql://user:password@host/name ...")
    with create_engine(database_url(url), poolclass=NullPool).connect() as opened:
        run_on(opened)


connection = context.config.attributes.get("connection")
if connection is None:
    run_on_argument()
else:
    run_on(connection)
