"""Tables for alert rules, alerts and their channels.

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ALERTS = """
CREATE TABLE alert_rule (
    id UUID NOT NULL CONSTRAINT pk_alert_rule PRIMARY KEY,
    endpoint_id UUID CONSTRAINT fk_alert_rule_endpoint_id_proxmox_node REFERENCES proxmox_node (id) ON DELETE CASCADE,
    name VARCHAR(63) NOT NULL CONSTRAINT uq_alert_rule_name UNIQUE,
    metric VARCHAR(63) NOT NULL,
    severity VARCHAR(16) NOT NULL
        CONSTRAINT ck_alert_rule_severity_known CHECK (severity IN ('info', 'warning', 'critical')),
    threshold DOUBLE PRECISION NOT NULL,
    clear_below DOUBLE PRECISION NOT NULL,
    for_s INTEGER NOT NULL CONSTRAINT ck_alert_rule_for_positive CHECK (for_s >= 0),
    scope JSONB NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT ck_alert_rule_hysteresis CHECK (clear_below <= threshold)
);
CREATE INDEX ix_alert_rule_endpoint_id ON alert_rule (endpoint_id);
CREATE TABLE alert (
    id UUID NOT NULL CONSTRAINT pk_alert PRIMARY KEY,
    rule_id UUID NOT NULL CONSTRAINT fk_alert_rule_id_alert_rule REFERENCES alert_rule (id) ON DELETE CASCADE,
    subject VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL CONSTRAINT ck_alert_state_known CHECK (state IN ('firing', 'acknowledged', 'resolved')),
    value DOUBLE PRECISION NOT NULL,
    message TEXT NOT NULL,
    fired_at TIMESTAMPTZ NOT NULL,
    acknowledged_by VARCHAR(255) NOT NULL,
    resolved_at TIMESTAMPTZ
);
CREATE INDEX ix_alert_fired_at ON alert (fired_at);
CREATE UNIQUE INDEX uq_alert_unresolved ON alert (rule_id, subject) WHERE state <> 'resolved';
CREATE TABLE notification_channel (
    id UUID NOT NULL CONSTRAINT pk_notification_channel PRIMARY KEY,
    name VARCHAR(63) NOT NULL CONSTRAINT uq_notification_channel_name UNIQUE,
    url_enc TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(ALERTS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE notification_channel, alert, alert_rule")
