"""Real PostgreSQL and Valkey for the whole test run, in a temporary folder."""

from __future__ import annotations

import asyncio
import functools
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg import sql

from lxc_dashboard.db import migrate
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.settings import Settings
from tests.e2e.stack import QUICK

MIGRATED = "migrated"
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Changes with each table, column, default, index, constraint, trigger and function.
SCHEMA = """
SELECT (SELECT array_agg(version_num) FROM alembic_version)::text, md5(string_agg(line, ',' ORDER BY line)) FROM (
  SELECT format('%s %s', indexrelid, pg_get_indexdef(indexrelid)) AS line FROM pg_index JOIN pg_class ON oid = indexrelid
    WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s %s %s', attrelid, attname, format_type(atttypid, atttypmod), attnotnull)
    FROM pg_attribute JOIN pg_class ON oid = attrelid WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped
  UNION ALL SELECT format('%s %s %s', adrelid, adnum, pg_get_expr(adbin, adrelid)) FROM pg_attrdef
  UNION ALL SELECT format('%s %s', conrelid, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS parts
"""
# In the role of a replica, so that no trigger refuses it and references allow any order.
EMPTY_TABLES = """
DO $$
DECLARE name text;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
END $$
"""
LOGICAL_DATABASES = 64
# The first test that needs a stack builds the pages, which may take minutes beside other tests.
WITH_PAGES_S = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if item.path.is_relative_to(here) and "stack" in asked and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(WITH_PAGES_S))


@dataclass
class Services:
    """The servers of this test run. ``numbers`` name new databases; the databases in ``emptied`` can be reused."""

    embedded: EmbeddedServices
    numbers: Iterator[int] = field(default_factory=itertools.count)
    emptied: list[str] = field(default_factory=list)

    def create_database(self, template: str) -> str:
        """The URL of a new database, a copy of ``template``."""
        name = f"test_{next(self.numbers)}"
        with psycopg.connect(self.embedded.database_url_of("postgres"), autocommit=True) as connection:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        return self.embedded.database_url_of(name)

    def drop_database(self, url: str) -> None:
        with psycopg.connect(self.embedded.database_url_of("postgres"), autocommit=True) as connection:
            name = sql.Identifier(url.rpartition("/")[2])
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def empty_database(self) -> str:
        """The URL of a migrated database without rows, reused or new."""
        return self.emptied.pop() if self.emptied else self.create_database(MIGRATED)

    def give_back(self, url: str) -> None:
        """Delete all rows, ten times as fast as a new database. Drop a database whose tables were changed."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.embedded.database_url_of(name), autocommit=True) as connection:
            connection.execute(END_OTHERS)
            if connection.execute(SCHEMA).fetchone() == self.schema:
                connection.execute(EMPTY_TABLES)
                self.emptied.append(url)
                return
        self.drop_database(url)

    @functools.cached_property
    def schema(self) -> Any:
        """The result of ``SCHEMA`` for a database that was only migrated."""
        with psycopg.connect(self.embedded.database_url_of(MIGRATED)) as connection:
            return connection.execute(SCHEMA).fetchone()

    def empty_redis_url(self) -> str:
        """The URL of an unused logical database of Valkey, emptied."""
        url = f"{self.embedded.redis_url.rpartition('/')[0]}/{next(self.numbers) % LOGICAL_DATABASES}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """PostgreSQL and Valkey for these tests only."""
    embedded = EmbeddedServices(tmp_path_factory.mktemp("services"), durable=False)
    with asyncio.Runner() as runner:
        runner.run(embedded.start())
        try:
            yield Services(embedded)
        finally:
            runner.run(embedded.stop())


@pytest.fixture(scope="session")
def migrated_template(services: Services) -> str:
    """The name of a migrated database without rows. To copy it is ten times as fast as to migrate."""
    url = services.create_database("template1")
    migrate.upgrade(url)
    name = sql.Identifier(url.rpartition("/")[2])
    with psycopg.connect(services.embedded.database_url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name, sql.Identifier(MIGRATED)))
    return MIGRATED


@pytest.fixture
def database_url(services: Services, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database for this test only."""
    url = services.empty_database()
    yield url
    services.give_back(url)


@pytest.fixture
def empty_database_url(services: Services) -> Iterator[str]:
    """The URL of a database without tables for this test only."""
    url = services.create_database("template1")
    yield url
    services.drop_database(url)


@pytest.fixture
def redis_url(services: Services) -> Iterator[str]:
    """The URL of an empty logical database of Valkey for this test only."""
    url = services.empty_redis_url()
    yield url
    with redis.Redis.from_url(url) as client:
        client.flushdb()


@pytest.fixture
def settings_with(database_url: str, redis_url: str) -> Callable[..., Settings]:
    """Settings with this test's database and Valkey: ``settings_with(PORT="3002")``."""
    key = secrets.token_hex(32)

    def make(**environ: str) -> Settings:
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ENCRYPTION_KEY": key}
        given["TIMING"] = QUICK.model_dump_json()
        return Settings.load(given | environ)

    return make


@pytest.fixture
def settings(settings_with: Callable[..., Settings]) -> Settings:
    return settings_with()
