"""Migration of creations that were stored before the table of jobs."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.errors import CheckViolation, UniqueViolation

from lxc_dashboard.db import migrate

BEFORE, AFTER = "0005", "0006"
STORED = """
INSERT INTO proxmox_node (id, name, host, port, verify_tls, ssh_user, doors, owner, is_default, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-000000000001', 'pve', 'pve.test', 8006, true, 'root', '[]', '', true, now(), now());
INSERT INTO container (id, endpoint_id, vmid, node, hostname, lifecycle, marker, address, services, created_by, created_at, deleted_at)
SELECT id::uuid, '00000000-0000-7000-8000-000000000001', vmid, node, hostname, 'creating', id::uuid, '', '[]', 'root@pam', now(), deleted_at
FROM (VALUES
    ('00000000-0000-7000-8000-000000000011', 101, 'pve1', 'web-01', NULL),
    ('00000000-0000-7000-8000-000000000012', 102, 'pve1', 'web-02', now()),
    ('00000000-0000-7000-8000-000000000013', 102, 'pve2', 'web-03', NULL)
) AS made (id, vmid, node, hostname, deleted_at);
INSERT INTO creation (
    id, endpoint_id, container_id, userid, spec, secrets_enc, signed_in_at, state, phase, percent, checkpoint, attempt,
    cancelled_by, error, result, created_at
)
SELECT id::uuid, '00000000-0000-7000-8000-000000000001', container::uuid, 'root@pam', '{"cores": 2}', 'sealed', now(), state, phase, 70, '{"done": ["a"]}', 1,
    '', '{}', '{}', now()
FROM (VALUES
    ('00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000011', 'ready', 'finalizing'),
    ('00000000-0000-7000-8000-000000000022', '00000000-0000-7000-8000-000000000012', 'running', 'syncing'),
    ('00000000-0000-7000-8000-000000000023', '00000000-0000-7000-8000-000000000013', 'queued', 'creating')
) AS begun (id, container, state, phase);
INSERT INTO creation_event (creation_id, seq, lines, type, phase, percent, message, script, script_index, script_total, at)
SELECT id, seq, 1, 'log', 'syncing', 50, 'line ' || seq, '10-a.sh', 1, 2, now() FROM creation, generate_series(1, 2) AS seq;
"""
OF_ANOTHER_KIND = """
INSERT INTO job
SELECT (jsonb_populate_record(job, '{"id": "00000000-0000-7000-8000-000000000031", "kind": "container.start", "vmid": 900}')).*
FROM job LIMIT 1
"""

CANCEL_ASKED = """
UPDATE job SET cancel_requested_at = now();
UPDATE job SET lease_owner = 'worker', lease_until = now() WHERE state = 'running'
"""
SECOND_ON_THE_GUEST = """
INSERT INTO job
SELECT (jsonb_populate_record(job, '{"id": "00000000-0000-7000-8000-000000000031", "state": "queued"}')).*
FROM job WHERE state = 'cancelling' AND locks_guest
"""


def all_rows(connection: psycopg.Connection) -> list[Any]:
    """Each row with its columns by name, independent of their order."""
    queries = (
        "SELECT to_jsonb(creation) FROM creation ORDER BY id",
        "SELECT to_jsonb(creation_event) FROM creation_event ORDER BY creation_id, seq",
    )
    return [row for query in queries for row in connection.execute(query)]


def test_creations_become_jobs_and_go_back_with_all_that_was_stored(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(STORED.encode())
        before = all_rows(connection)
    migrate.upgrade(empty_database_url, AFTER)
    with psycopg.connect(empty_database_url) as connection:
        jobs = connection.execute(
            "SELECT kind, vmid, node, name, state, step, locks_guest FROM job ORDER BY id"
        ).fetchall()
        lines = connection.execute("SELECT count(*) FROM job_event WHERE step = 'syncing'").fetchone()
        connection.execute(OF_ANOTHER_KIND)
    assert jobs == [
        ("container.create", 101, "pve1", "web-01", "done", "finalizing", True),
        ("container.create", 102, "pve1", "web-02", "running", "syncing", False),
        ("container.create", 102, "pve2", "web-03", "queued", "creating", True),
    ]
    assert lines == (6,)
    migrate.downgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        assert all_rows(connection) == before


def test_a_job_that_was_asked_to_cancel_is_cancelling_and_goes_back(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(STORED.encode())
    migrate.upgrade(empty_database_url, "0007")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(CANCEL_ASKED)
        before = states(connection)
    migrate.upgrade(empty_database_url, "0008")
    with psycopg.connect(empty_database_url) as connection:
        assert states(connection) == ["done", "cancelling", "cancelling"]
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(SECOND_ON_THE_GUEST)
    migrate.downgrade(empty_database_url, "0007")
    with psycopg.connect(empty_database_url) as connection:
        assert states(connection) == before == ["done", "running", "queued"]
        assert connection.execute("SELECT count(cancel_requested_at) FROM job").fetchone() == (2,)


def states(connection: psycopg.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT state FROM job ORDER BY id")]


DOWNLOAD = """
INSERT INTO job
SELECT (jsonb_populate_record(job, '{"kind": "ostemplate.download", "vmid": 0, "locks_guest": false, "container_id": null,
    "name": "local:vztmpl/debian.tar.zst", "state": "running"}'::jsonb || jsonb_build_object('id', gen_random_uuid()))).*
FROM job ORDER BY job.id LIMIT 1
"""


def test_one_download_of_a_file_is_unfinished_and_none_is_left_for_the_former_version(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(STORED.encode())
    migrate.upgrade(empty_database_url, "0009")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        before = connection.execute("SELECT to_jsonb(job) FROM job ORDER BY id").fetchall()
        connection.execute(DOWNLOAD.encode())
        with pytest.raises(UniqueViolation, match="uq_job_endpoint_id_node_name_download"):
            connection.execute(DOWNLOAD.encode())
        connection.execute("UPDATE job SET finished_at = now() WHERE kind = 'ostemplate.download'")
        connection.execute(DOWNLOAD.encode())
        with pytest.raises(CheckViolation, match="ck_job_guest_known"):
            connection.execute("UPDATE job SET locks_guest = true WHERE vmid = 0")
    migrate.downgrade(empty_database_url, "0008")
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_jsonb(job) FROM job ORDER BY id").fetchall() == before
    migrate.upgrade(empty_database_url, "0009")
