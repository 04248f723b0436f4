"""The migration drops the tables of alerts and keeps the others."""

from __future__ import annotations

import psycopg

from lxc_dashboard.db import migrate

BEFORE, AFTER = "0009", "0010"
TABLES = ("alert", "alert_rule", "notification_channel")
COUNTS = """
SELECT (SELECT count(*) FROM alert), (SELECT count(*) FROM alert_rule), (SELECT count(*) FROM notification_channel)
"""
STORED = """
INSERT INTO proxmox_node (id, name, host, port, verify_tls, ssh_user, doors, owner, is_default, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-000000000001', 'pve', 'pve.test', 8006, true, 'root', '{}', '', true, now(), now());
INSERT INTO alert_rule (
    id, endpoint_id, name, metric, severity, threshold, clear_below, for_s, scope, enabled, created_by, created_at
)
VALUES (
    '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 'cpu', 'cpu', 'warning', 0.9, 0.8,
    60, '{}', true, '', now()
);
INSERT INTO alert (id, rule_id, subject, state, value, message, fired_at, acknowledged_by)
VALUES (
    '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000002', '101', 'firing', 1, '', now(), ''
);
INSERT INTO notification_channel (id, name, url_enc, enabled, created_by, created_at)
VALUES ('00000000-0000-7000-8000-000000000004', 'mail', 'v1', true, '', now());
"""


def test_tables_of_alerts_are_dropped_with_their_rows_and_come_back_empty(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(STORED.encode())
    migrate.upgrade(empty_database_url, AFTER)
    with psycopg.connect(empty_database_url) as connection:
        known = "SELECT tablename FROM pg_tables WHERE tablename = ANY(%s)"
        assert connection.execute(known, (list(TABLES),)).fetchall() == []
        assert connection.execute("SELECT name FROM proxmox_node").fetchall() == [("pve",)]
    migrate.downgrade(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute(COUNTS).fetchone() == (0, 0, 0)
        assert connection.execute("SELECT name FROM proxmox_node").fetchall() == [("pve",)]
