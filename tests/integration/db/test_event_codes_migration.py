"""Events, errors and results, stored before and after the migration to codes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from lxc_dashboard.db import migrate

BEFORE, AFTER = "0006", "0007"
JOB = "00000000-0000-7000-8000-000000000021"
CANCELLED = {"code": "act.cancelled", "params": {"by": "root@pam"}, "phase": "stop"}
STARTED = {"code": "power.started", "params": {"guest": "CT 101 web"}}
STORED = """
INSERT INTO proxmox_node (id, name, host, port, verify_tls, ssh_user, doors, owner, is_default, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-000000000001', 'pve', 'pve.test', 8006, true, 'root', '[]', '', true, now(), now());
INSERT INTO job (
    id, kind, endpoint_id, vmid, node, name, locks_guest, userid, params, signed_in_at, state, step, percent, checkpoint,
    attempt, cancelled_by, error, result, created_at
)
VALUES (
    '00000000-0000-7000-8000-000000000021', 'container.stop', '00000000-0000-7000-8000-000000000001', 101, 'pve1', 'web', true, 'root@pam', '{}',
    now(), 'cancelled', 'stop', 70, '{}', 1, '', '{"message": "Cancelled by root@pam"}', '{}', now()
);
"""
OLD = (
    ("step", "CT 101 is made and not started: paused until its user lets it go on"),
    ("warning", "The sign-in of this job's user has ended: it goes on after the next one"),
    ("step", "Waits for 1 other on pve1 before its turn comes"),
    ("step", "Waits for 12 others on pve-2 before its turn comes"),
    ("log", "Waits for 2 others on pve1 before its turn comes"),
    ("step", "Its address is 10.0.0.5"),
)
NEW: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("job.paused", {"vmid": 101}, ""),
    ("job.sign_in_ended", {}, ""),
    ("job.slot_awaited", {"count": 1, "node": "pve1"}, ""),
    ("job.slot_awaited", {"count": 12, "node": "pve-2"}, ""),
    ("", {}, "Waits for 2 others on pve1 before its turn comes"),
    ("", {}, "Its address is 10.0.0.5"),
)
TOLD_SINCE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("guest.address", {"address": "10.0.0.5", "also": ["a"]}),
    ("guest.init_up", {}),
    ("job.failed", {"reason": "It failed"}),
)
PLAN = [
    {"key": "create.slot", "phase": "creating", "code": "plan.turn", "params": {"node": "pve1"}},
    {"key": "deploy.file.motd", "phase": "deploying", "title": "/etc/motd"},
]
ADD = """
INSERT INTO job_event (job_id, seq, lines, type, step, percent, message, script, script_index, script_total, at)
VALUES (%s, %s, 1, %s, 'stop', 1, %s, '', 0, 0, now())
"""
ADD_CODE = """
INSERT INTO job_event (job_id, seq, lines, type, step, percent, code, params, message, script, script_index, script_total, at)
VALUES (%s, %s, 1, 'step', 'stop', 1, %s, %s, '', '', 0, 0, now())
"""
MESSAGES = "SELECT type, message FROM job_event ORDER BY seq"
ENDS = "SELECT error, result FROM job"


@pytest.fixture
def url(empty_database_url: str) -> str:
    """A database with the events of an older version, migrated."""
    migrate.upgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(STORED.encode())
        for seq, (kind, message) in enumerate(OLD, 1):
            connection.execute(ADD, (JOB, seq, kind, message))
    migrate.upgrade(empty_database_url, AFTER)
    return empty_database_url


def test_what_a_job_stands_still_after_gets_a_code_and_other_sentences_stay(url: str) -> None:
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT code, params, message FROM job_event ORDER BY seq").fetchall() == list(NEW)
        assert connection.execute(ENDS).fetchall() == [({"message": "Cancelled by root@pam"}, {})]
    migrate.downgrade(url, BEFORE)
    with psycopg.connect(url) as connection:
        assert connection.execute(MESSAGES).fetchall() == list(OLD)


def test_what_was_told_in_codes_goes_back_as_plain_text(url: str) -> None:
    with psycopg.connect(url) as connection:
        for seq, (code, params) in enumerate(TOLD_SINCE, len(OLD) + 1):
            connection.execute(ADD_CODE, (JOB, seq, code, psycopg.types.json.Jsonb(params)))
        jsons = (psycopg.types.json.Jsonb(CANCELLED), psycopg.types.json.Jsonb(STARTED))
        connection.execute("UPDATE job SET error = %s, result = %s", jsons)
        plan = psycopg.types.json.Jsonb({"facts": {"plan": PLAN}})
        connection.execute("UPDATE job SET checkpoint = %s", (plan,))
    migrate.downgrade(url, BEFORE)
    with psycopg.connect(url) as connection:
        since = [message for _, message in connection.execute(MESSAGES).fetchall()[len(OLD) :]]
        ends = connection.execute(ENDS).fetchone()
        titles = connection.execute(
            "SELECT jsonb_path_query_array(checkpoint, '$.facts.plan[*].title') FROM job"
        ).fetchone()
    assert titles == (["plan.turn node=pve1", "/etc/motd"],)
    assert since == ['guest.address address=10.0.0.5 also=["a"]', "guest.init_up", "It failed"]
    assert ends == (
        {"message": "act.cancelled by=root@pam", "phase": "stop"},
        {"message": "power.started guest=CT 101 web"},
    )
