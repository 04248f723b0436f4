"""Valid and invalid database URLs, and the errors about them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.engine import create_engine, database_url
from lxc_dashboard.errors import InvalidInputError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_scheme_leads_to_our_driver(scheme: str) -> None:
    url = database_url(f" {scheme}://me:p%40ss@db:5433/lxc?sslmode=require\n")
    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host, url.port, url.database) == ("me", "p@ss", "db", 5433, "lxc")
    assert url.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a URL"),
        ("hunter2", "is not a URL"),
        ("postgresql://me:hunter2@db:port/x", "is not a URL"),
        ("mysql://me:hunter2@db/x", "starts with mysql://"),
        ("postgresql+asyncpg://me:hunter2@db/x", "starts with postgresql+asyncpg://"),
        ("postgresql://me:hunter2@db", "has no database name"),
    ],
)
def test_a_bad_url_is_named_without_its_password(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        database_url(text)
    assert problem in caught.value.fields["DATABASE_URL"]
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_url_or_a_named_error(text: str) -> None:
    with suppress(InvalidInputError):
        assert database_url(text).drivername == "postgresql+psycopg"


def test_an_engine_connects_to_nothing_by_itself() -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    assert engine.pool.status()
