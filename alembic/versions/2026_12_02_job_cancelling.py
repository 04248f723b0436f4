"""A state for cancelling jobs replaces the time of the request.

Revision: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE job DROP CONSTRAINT ck_job_state_known;
UPDATE job SET state = 'cancelling'
WHERE cancel_requested_at IS NOT NULL AND state IN ('queued', 'running', 'waiting', 'paused');
ALTER TABLE job
    DROP COLUMN cancel_requested_at,
    ADD CONSTRAINT ck_job_state_known
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'cancelling', 'done', 'failed', 'cancelled'));
DROP INDEX uq_job_endpoint_id_vmid_locked;
CREATE UNIQUE INDEX uq_job_endpoint_id_vmid_locked ON job (endpoint_id, vmid)
    WHERE locks_guest AND state IN ('queued', 'running', 'waiting', 'paused', 'cancelling');
"""

# The time of the request is unknown.
DOWN = """
ALTER TABLE job DROP CONSTRAINT ck_job_state_known;
ALTER TABLE job ADD COLUMN cancel_requested_at TIMESTAMP WITH TIME ZONE;
UPDATE job SET cancel_requested_at = now() WHERE state IN ('cancelling', 'cancelled');
UPDATE job SET state = CASE WHEN lease_owner IS NULL THEN 'queued' ELSE 'running' END WHERE state = 'cancelling';
ALTER TABLE job
    ADD CONSTRAINT ck_job_state_known
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'done', 'failed', 'cancelled'));
DROP INDEX uq_job_endpoint_id_vmid_locked;
CREATE UNIQUE INDEX uq_job_endpoint_id_vmid_locked ON job (endpoint_id, vmid)
    WHERE locks_guest AND state IN ('queued', 'running', 'waiting', 'paused');
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UP)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DOWN)
