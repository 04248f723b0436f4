"""Tests do not see each other's rows and keys."""

from __future__ import annotations

import psycopg
import pytest
import redis

from lxc_dashboard.db import migrate
from lxc_dashboard.settings import Settings


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_migrated_database_of_its_own(database_url: str, turn: int) -> None:
    assert migrate.current(database_url) == migrate.head()
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE mine (turn int)")


def test_an_empty_database_is_empty(empty_database_url: str) -> None:
    assert migrate.current(empty_database_url) is None


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_valkey(redis_url: str, turn: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == []
        client.set("mine", turn)


def test_settings_name_this_tests_services(settings: Settings, database_url: str, redis_url: str) -> None:
    assert settings.DATABASE_URL.get_secret_value() == database_url
    assert settings.REDIS_URL.get_secret_value() == redis_url
