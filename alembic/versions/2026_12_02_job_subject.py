"""Jobs about no guest have vmid 0. Each OS template has at most one unfinished download to a node.

Revision: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE job ADD CONSTRAINT ck_job_guest_known CHECK (vmid > 0 OR NOT locks_guest);
CREATE UNIQUE INDEX uq_job_endpoint_id_node_name_download ON job (endpoint_id, node, name)
    WHERE kind = 'ostemplate.download' AND finished_at IS NULL;
"""
# The previous version does not know such jobs.
DOWN = """
DELETE FROM job WHERE kind = 'ostemplate.download';
DROP INDEX uq_job_endpoint_id_node_name_download;
ALTER TABLE job DROP CONSTRAINT ck_job_guest_known;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UP)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DOWN)
