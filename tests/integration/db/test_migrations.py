"""Migrations up and down on a real server; the result matches the models."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from lxc_dashboard.db import migrate
from lxc_dashboard.db.engine import database_url as with_driver
from lxc_dashboard.db.models import Table
from lxc_dashboard.errors import InvalidInputError, ServiceUnavailableError

ROOT = Path(__file__).resolve().parents[3]
TABLES = """
SELECT relname, '', '' FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text
       || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"""
CONSTRAINTS = """
SELECT c.relname, k.conname, k.contype::text || ' ' || pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.connamespace = 'public'::regnamespace"""
INDEXES = """
SELECT c.relname, i.relname, pg_get_indexdef(x.indexrelid) || ' ' || x.indisunique || ' ' || x.indnullsnotdistinct
       || ' ' || coalesce(pg_get_expr(x.indpred, x.indrelid), '')
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE c.relnamespace = 'public'::regnamespace"""
Catalogue = set[tuple[str, str, str]]


def catalogue(url: str) -> Catalogue:
    """Tables, columns, constraints (CHECKs, keys, NOT NULLs) and indexes (predicates too) as PostgreSQL prints them."""
    with psycopg.connect(url) as connection:
        found = {row for query in (TABLES, COLUMNS, CONSTRAINTS, INDEXES) for row in connection.execute(query.encode())}
    return {row for row in found if row[0] != "alembic_version"}


def made_by_models(url: str) -> Catalogue:
    with create_engine(with_driver(url), poolclass=NullPool).begin() as connection:
        Table.metadata.create_all(connection)
    return catalogue(url)


@pytest.fixture
def migrated(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def test_up_down_and_up_again(empty_database_url: str) -> None:
    assert migrate.current(empty_database_url) is None
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == migrate.head()
    first = catalogue(empty_database_url)
    migrate.downgrade(empty_database_url, "base")
    assert migrate.current(empty_database_url) is None
    assert catalogue(empty_database_url) == set()
    migrate.upgrade(empty_database_url)
    assert catalogue(empty_database_url) == first


def test_each_revision_goes_down_by_one_step_and_up_again(empty_database_url: str) -> None:
    seen: list[tuple[str | None, Catalogue]] = []
    while migrate.current(empty_database_url) != migrate.head():
        seen.append((migrate.current(empty_database_url), catalogue(empty_database_url)))
        migrate.upgrade(empty_database_url, "+1")
    for revision, shape in reversed(seen):
        migrate.downgrade(empty_database_url, "-1")
        assert (migrate.current(empty_database_url), catalogue(empty_database_url)) == (revision, shape)
    assert len(seen) >= 2


def test_downgrade_leaves_no_function_or_type_behind(empty_database_url: str) -> None:
    leftovers = (
        b"SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace UNION ALL"
        b" SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%alembic%'"
    )
    migrate.upgrade(empty_database_url)
    migrate.downgrade(empty_database_url, "base")
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute(leftovers).fetchall() == []


def test_models_and_migrations_agree(empty_database_url: str, database_url: str) -> None:
    by_models, by_migrations = made_by_models(empty_database_url), catalogue(database_url)
    assert by_models - by_migrations == set(), "only in the models"
    assert by_migrations - by_models == set(), "only in the migrations"


@pytest.mark.parametrize(
    "drift",
    [
        "ALTER TABLE container DROP CONSTRAINT ck_container_lifecycle_known",
        "ALTER TABLE container ALTER vmid TYPE bigint",
        "ALTER TABLE container ALTER address DROP NOT NULL",
        "ALTER TABLE container ALTER address SET DEFAULT ''",
        "ALTER TABLE container DROP CONSTRAINT fk_container_endpoint_id_proxmox_node",
        "DROP INDEX ix_job_session_id",
        "ALTER INDEX uq_container_endpoint_vmid_existing RENAME TO other",
        "DROP INDEX uq_proxmox_node_default; CREATE UNIQUE INDEX uq_proxmox_node_default ON proxmox_node (is_default)",
        "DROP TABLE preset",
    ],
)
def test_the_agreement_test_sees_every_kind_of_drift(
    database_url: str, migrated: psycopg.Connection, drift: str
) -> None:
    before = catalogue(database_url)
    migrated.execute(drift.encode())
    assert catalogue(database_url) != before


@pytest.mark.full
def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    code = "import sys; from lxc_dashboard.db import migrate; migrate.upgrade(sys.argv[1])"
    command = [sys.executable, "-W", "error", "-c", code, empty_database_url]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert migrate.current(empty_database_url) == migrate.head()


@pytest.mark.full
def test_a_migration_does_not_wait_for_a_locked_table_for_ever(database_url: str) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE job, job_event IN ACCESS SHARE MODE")
        with pytest.raises(ServiceUnavailableError) as caught:
            migrate.downgrade(database_url, "base")
    assert caught.value.retryable
    assert migrate.current(database_url) is not None


def test_a_failed_migration_gives_the_lock_back(database_url: str) -> None:
    with pytest.raises(InvalidInputError):
        migrate.upgrade(database_url, "no-such-revision")
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (migrate.ADVISORY_LOCK,)).fetchone()
    assert row == (True,)


def test_a_server_that_does_not_answer_is_said_so() -> None:
    with pytest.raises(ServiceUnavailableError):
        migrate.current("postgresql://me:hunter2@127.0.0.1:1/none")


def test_an_installation_without_migrations_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_PACKAGE", tmp_path)
    with pytest.raises(ServiceUnavailableError, match="migrations are missing"):
        migrate.head()


@pytest.mark.full
def test_migrations_are_found_beside_the_package_as_in_a_wheel(tmp_path: Path, empty_database_url: str) -> None:
    package = tmp_path / "lxc_dashboard"
    shutil.copytree(ROOT / "lxc_dashboard" / "db", package / "db", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "lxc_dashboard" / "text", package / "text", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "messages.py", "errors.py", "crypto.py"):
        shutil.copy(ROOT / "lxc_dashboard" / name, package / name)
    shutil.copytree(ROOT / "alembic", package / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from lxc_dashboard.db import migrate; print(migrate.folder()); migrate.upgrade(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, empty_database_url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(package / "migrations") in done.stdout
    assert migrate.current(empty_database_url) == migrate.head()


def test_every_migration_bounds_its_locks() -> None:
    files = sorted((ROOT / "alembic" / "versions").glob("*.py"))
    assert files
    for file in files:
        assert file.name[:10].replace("_", "").isdigit(), f"{file.name} carries no date"
        assert file.read_text().count("SET LOCAL lock_timeout") == 2, f"{file.name} sets no lock_timeout in both ways"


def test_the_audit_log_can_only_be_added_to(migrated: psycopg.Connection) -> None:
    migrated.execute(
        "INSERT INTO audit_entry (id, at, userid, endpoint_name, action, subject, address, result, detail)"
        " VALUES (gen_random_uuid(), now(), 'root@pam', '', 'a', '', '', 'ok', '{}')"
    )
    for forbidden in (b"UPDATE audit_entry SET userid = 'x'", b"DELETE FROM audit_entry", b"TRUNCATE audit_entry"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            migrated.execute(forbidden)
    row = migrated.execute("SELECT count(*) FROM audit_entry").fetchone()
    assert row == (1,)


def test_a_role_without_rights_is_told_to_become_the_owner(empty_database_url: str) -> None:
    """After ``CREATE DATABASE`` by another role: since PostgreSQL 15, other roles may create no tables in it."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE no_owner LOGIN PASSWORD 'word'")
        try:
            url = with_driver(empty_database_url).set(drivername="postgresql", username="no_owner", password="word")
            with pytest.raises(ServiceUnavailableError, match="OWNER TO"):
                migrate.upgrade(url.render_as_string(hide_password=False))
        finally:
            connection.execute("DROP ROLE no_owner")


def test_a_database_that_takes_no_writes_is_named(empty_database_url: str) -> None:
    with pytest.raises(ServiceUnavailableError, match="read-only"):
        migrate.upgrade(f"{empty_database_url}?options=-c%20default_transaction_read_only%3Don")
