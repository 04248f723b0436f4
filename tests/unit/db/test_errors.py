"""The translation of database errors, as far as it needs no server."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lxc_dashboard.db.errors import translate
from lxc_dashboard.errors import ConflictError, DashboardError, NotFoundError, ServiceUnavailableError


@pytest.mark.parametrize(
    ("error", "statement", "expected"),
    [
        (NoResultFound(), "", NotFoundError),
        (PoolTimeoutError(), "", ServiceUnavailableError),
        (psycopg.errors.ForeignKeyViolation(), "INSERT INTO x", NotFoundError),
        (psycopg.errors.ForeignKeyViolation(), " delete FROM x", ConflictError),
        (psycopg.errors.RestrictViolation(), "DELETE FROM x", ConflictError),
        (psycopg.errors.DeadlockDetected(), "", ServiceUnavailableError),
        (psycopg.errors.SerializationFailure(), "", ServiceUnavailableError),
        (psycopg.errors.LockNotAvailable(), "", ServiceUnavailableError),
        (psycopg.errors.QueryCanceled(), "", ServiceUnavailableError),
        (psycopg.errors.AdminShutdown(), "", ServiceUnavailableError),
        (psycopg.errors.TooManyConnections(), "", ServiceUnavailableError),
        (psycopg.errors.DiskFull(), "", ServiceUnavailableError),
        (psycopg.OperationalError("connection refused"), "", ServiceUnavailableError),
        (psycopg.InterfaceError("the connection is closed"), "", ServiceUnavailableError),
    ],
)
def test_each_condition_has_its_error(error: Exception, statement: str, expected: type[DashboardError]) -> None:
    assert type(translate(error, statement=statement)) is expected


def test_an_error_wrapped_by_sqlalchemy_is_the_one_inside() -> None:
    wrapped = IntegrityError("DELETE FROM x", None, psycopg.errors.ForeignKeyViolation())
    assert type(translate(wrapped)) is ConflictError


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (psycopg.errors.UndefinedTable(), "lxc-dashboard migrate"),
        (psycopg.errors.UndefinedColumn(), "lxc-dashboard migrate"),
        (psycopg.errors.InsufficientPrivilege(), "ALTER DATABASE"),
        (psycopg.errors.ReadOnlySqlTransaction(), "standby"),
    ],
)
def test_what_the_operator_can_mend_in_the_database_is_told(error: Exception, advice: str) -> None:
    translated = translate(error)
    assert type(translated) is ServiceUnavailableError
    assert advice in translated.user_message


@pytest.mark.parametrize("error", [ValueError("ours"), psycopg.errors.SyntaxError()])
def test_a_mistake_of_ours_is_not_translated(error: Exception) -> None:
    assert translate(error) is None


def test_only_the_first_line_of_postgresql_is_kept_for_the_log() -> None:
    translated = translate(psycopg.OperationalError("no route to host\nsecret hint"))
    assert translated is not None
    assert "no route to host" in translated.detail
    assert "secret" not in str(translated)
