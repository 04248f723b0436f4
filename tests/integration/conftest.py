"""Real PostgreSQL and Valkey for the whole run, in a folder that goes with it."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from lxc_dashboard.db import migrate
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.settings import Settings

MIGRATED = "migrated"
LOGICAL_DATABASES = 64
# Whoever asks for a stack first builds the pages, which may take minutes beside other tests.
WITH_PAGES_S = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if item.path.is_relative_to(here) and "stack" in asked and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(WITH_PAGES_S))


@dataclass
class Services:
    """The servers of this run, and names not yet given out."""

    embedded: EmbeddedServices
    numbers: Iterator[int] = field(default_factory=itertools.count)

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

    def empty_redis_url(self) -> str:
        """The URL of a logical database of Valkey that nobody else uses, emptied."""
        url = f"{self.embedded.redis_url.rpartition('/')[0]}/{next(self.numbers) % LOGICAL_DATABASES}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """PostgreSQL and Valkey, nobody else's."""
    embedded = EmbeddedServices(tmp_path_factory.mktemp("services"), durable=False)
    with asyncio.Runner() as runner:
        runner.run(embedded.start())
        try:
            yield Services(embedded)
        finally:
            runner.run(embedded.stop())


@pytest.fixture(scope="session")
def migrated_template(services: Services) -> str:
    """The name of a database with all migrations and no rows, to be copied: that takes a tenth of migrating."""
    url = services.create_database("template1")
    migrate.upgrade(url)
    name = sql.Identifier(url.rpartition("/")[2])
    with psycopg.connect(services.embedded.database_url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name, sql.Identifier(MIGRATED)))
    return MIGRATED


@pytest.fixture
def database_url(services: Services, migrated_template: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    url = services.create_database(migrated_template)
    yield url
    services.drop_database(url)


@pytest.fixture
def empty_database_url(services: Services) -> Iterator[str]:
    """A database of this test's own without any table."""
    url = services.create_database("template1")
    yield url
    services.drop_database(url)


@pytest.fixture
def redis_url(services: Services) -> Iterator[str]:
    """An empty logical database of Valkey, this test's own."""
    url = services.empty_redis_url()
    yield url
    with redis.Redis.from_url(url) as client:
        client.flushdb()


@pytest.fixture
def settings_with(database_url: str, redis_url: str) -> Callable[..., Settings]:
    """Settings over this test's own database and Valkey: ``settings_with(PORT="3002")``."""
    key = secrets.token_hex(32)

    def make(**environ: str) -> Settings:
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ENCRYPTION_KEY": key}
        return Settings.load(given | environ)

    return make


@pytest.fixture
def settings(settings_with: Callable[..., Settings]) -> Settings:
    return settings_with()
